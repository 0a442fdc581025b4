//! A frame from the underlay: is it VXLAN for us, from a member, and for whom.

use aya_ebpf::programs::TcContext;
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};
use overlay_common::{
    Counter, DropReason, Ip16, MacAddr, Vni,
    header::{Eth, ethertype, protocol},
    map::{Fdb, Member, NodeConfig},
    mark, vxlan,
};

use crate::{
    Drop, Verdict, decap,
    from_container::deliver,
    helpers, maps,
    maps::Network,
    neigh_remote::{self, Sender},
    packet::{ETH, Family, Packet},
};

/// A VXLAN packet whose outer headers hold.
struct Outer {
    /// VNI in host order.
    vni: u32,
    /// Who sent it.
    src: Ip16,
    tos: u8,
    /// Offset of the inner frame.
    inner: usize,
    /// Length of the frame up to the end of the UDP datagram.
    end: usize,
}

#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let pkt = Packet::new(ctx);
    let Some((pkt, header)) = ours(pkt).map_err(Drop::outside)? else { return Ok(Verdict::Pass) };
    let (pkt, outer) = outer(pkt, header).map_err(Drop::outside)?;
    let vni = outer.vni;
    if is_anothers(vni) {
        return Ok(Verdict::Pass);
    }
    let member = maps::member(vni, outer.src).map_err(|reason| {
        // A VNI of nobody is no network to count under.
        Drop { vni: if matches!(reason, DropReason::VtepNotInVni) { vni } else { 0 }, reason }
    })?;
    frame(pkt, &outer, member).map_err(|reason| Drop { vni, reason })
}

/// Whether a VNI may be that of another vxlan device on our UDP port.
#[inline(always)]
fn is_anothers(vni: u32) -> bool {
    let shared = maps::config().is_ok_and(|config| config.flags & NodeConfig::SHARED != 0);
    shared && vni != Vni::ANCHOR && !maps::is_net(vni)
}

/// The outer IPv4 header, if the frame is UDP to our VTEP address and port; `None`: it is the host's.
///
/// UDP to our address whose port cannot be read is malformed: it might be VXLAN, and the host's stack would drop
/// it uncounted.
#[inline(always)]
fn ours(pkt: Packet<'_>) -> Result<Option<(Packet<'_>, Ipv4Hdr)>, DropReason> {
    const NEEDED: usize = ETH + Ipv4Hdr::LEN;
    if pkt.len() < NEEDED || !pkt.is_for_host() || pkt.has_vlan_tag() {
        return Ok(None);
    }
    let pkt = pkt.pull(NEEDED)?;
    if pkt.at::<Eth>(0)?.ethertype != ethertype::IPV4 {
        return Ok(None);
    }
    let header = *pkt.at::<Ipv4Hdr>(ETH)?;
    let config = maps::config()?;
    if header.proto != protocol::UDP || Ip16::v4(header.dst_addr) != config.vtep {
        return Ok(None);
    }
    // A later fragment has no ports: the host's, which will not make a datagram of it without its first.
    if header.frags[0] & 0x1f | header.frags[1] != 0 {
        return Ok(None);
    }
    let length = usize::from(header.vihl & 0xf) * 4;
    if length < Ipv4Hdr::LEN {
        return Err(DropReason::Malformed);
    }
    let pkt = pkt.pull(ETH + length + UdpHdr::LEN)?;
    let ours = pkt.at::<UdpHdr>(ETH + length)?.dst == config.udp_port_be();
    Ok(if ours { Some((pkt, header)) } else { None })
}

/// Checks the outer headers as the kernel's stack and its vxlan device would.
#[inline(always)]
fn outer(pkt: Packet<'_>, ip: Ipv4Hdr) -> Result<(Packet<'_>, Outer), DropReason> {
    const MORE_FRAGMENTS: u8 = 0x20;
    let header = usize::from(ip.vihl & 0xf) * 4;
    let inner = ETH + header + UdpHdr::LEN + VxlanHdr::LEN;
    let pkt = pkt.pull(inner + ETH)?;
    if ip.frags[0] & MORE_FRAGMENTS != 0 {
        return Err(DropReason::OuterFragment);
    }
    let udp = pkt.at::<UdpHdr>(ETH + header)?;
    let (ip_len, udp_len) =
        (usize::from(u16::from_be_bytes(ip.tot_len)), usize::from(u16::from_be_bytes(udp.len)));
    let outer = Outer {
        vni: vxlan::vni(pkt.at::<VxlanHdr>(ETH + header + UdpHdr::LEN)?).ok_or(DropReason::Malformed)?,
        src: Ip16::v4(ip.src_addr),
        tos: ip.tos,
        inner,
        end: ETH + header + udp_len,
    };
    let lengths_hold = header + udp_len <= ip_len && ETH + ip_len <= pkt.len() && inner + ETH <= outer.end;
    // Options are not summed here: no VTEP of ours sends any, and one that does is told by the count.
    let header_holds = ip.vihl == 0x45 && vxlan::ipv4_checksum_holds(&ip);
    if lengths_hold && header_holds { Ok((pkt, outer)) } else { Err(DropReason::Malformed) }
}

/// Decapsulates a frame of a member and gives it to the endpoint it is for.
#[inline(always)]
fn frame(pkt: Packet<'_>, outer: &Outer, member: &Member) -> Result<Verdict, DropReason> {
    if member.flags & Member::ENCRYPTED != 0 {
        return Err(DropReason::NotEncrypted);
    }
    let eth = *pkt.at::<Eth>(outer.inner)?;
    if !MacAddr::is_unicast(eth.src) {
        return Err(DropReason::Malformed);
    }
    let about_neighbours = neigh_remote::concerns(&pkt, outer.inner, &eth);
    if eth.dst.is_multicast() && !about_neighbours {
        return Err(DropReason::Bum);
    }
    let family = match eth.ethertype {
        ethertype::VLAN | ethertype::QINQ => return Err(DropReason::VlanTagged),
        ethertype::IPV4 => Family::V4,
        ethertype::IPV6 => Family::V6,
        _ => Family::Other,
    };
    let network = Network { vni: outer.vni, slice: &member.slice };
    let sender = Sender { network, vtep: outer.src, mac: eth.src };
    if eth.dst.is_multicast() {
        let pkt = decap::strip(trim(pkt, outer.end)?, outer.inner, outer.tos, eth, family)?;
        let (pkt, asked) = neigh_remote::check(pkt, sender, &eth)?;
        // What asks nothing is for nobody: an announcement tells what the tables have.
        let fdb = sender.port_of(asked.ok_or(DropReason::Bum)?)?;
        // Through the device, so that the container's stack knows it as sent to a group (`eth_type_trans`).
        let verdict = helpers::redirect(pkt, fdb.to())?;
        maps::count(Counter::FromUnderlay);
        return Ok(verdict);
    }
    let fdb = maps::fdb(network, eth.dst)?;
    match fdb.delivery() {
        Fdb::PEER | Fdb::EGRESS if !about_neighbours && needs_stack(&pkt, outer.inner, family, fdb) => {
            to_anchor(pkt, outer, family)
        }
        Fdb::PEER | Fdb::EGRESS => {
            let mut pkt = decap::strip(trim(pkt, outer.end)?, outer.inner, outer.tos, eth, family)?;
            if about_neighbours {
                pkt = neigh_remote::check(pkt, sender, &eth)?.0;
            }
            let verdict = deliver(pkt, fdb, family)?;
            maps::count(Counter::FromUnderlay);
            Ok(verdict)
        }
        _ => Err(DropReason::SplitHorizon),
    }
}

/// Whether a frame must not go to its endpoint with what `decap::strip` leaves in the socket buffer of the tunnel.
///
/// All IP frames of an endpoint that sends them on, so that none overtakes another (but ICMPv6 and what may hide it, which
/// `neigh_remote` must see without its header). Of the others super-frames that are not TCP: for those of UDP the kernel
/// checks `gso_type` (`udp_unexpected_gso`), and drops what has a tunnel in it.
#[inline(always)]
fn needs_stack(pkt: &Packet<'_>, inner: usize, family: Family, fdb: Fdb) -> bool {
    let transport = match family {
        _ if fdb.flags() & Fdb::FORWARDS == 0 && pkt.gso_size() == 0 => return false,
        Family::V4 => pkt.copy::<Ipv4Hdr>(inner + ETH).map(|ip| ip.proto),
        Family::V6 => pkt.copy::<Ipv6Hdr>(inner + ETH).map(|ip| ip.next_hdr),
        Family::Other => return false,
    };
    fdb.flags() & Fdb::FORWARDS != 0 || transport != Some(protocol::TCP)
}

/// Leaves a frame to our vxlan device, by way of the host's stack: never under its own VNI, which might be another
/// device's.
#[inline(always)]
fn to_anchor(pkt: Packet<'_>, outer: &Outer, family: Family) -> Result<Verdict, DropReason> {
    if maps::config()?.anchor == 0 {
        return Err(DropReason::NoAnchor);
    }
    // The device marks inwards, and drops for the same reason, but does not count by it.
    decap::check_mark(&pkt, outer.inner + ETH, outer.tos, family)?;
    let [_, a, b, c] = Vni::ANCHOR.to_be_bytes();
    // No checksum (RFC 768), rather than one that the other VNI makes wrong.
    let pkt = pkt.store(outer.inner - VxlanHdr::LEN - 2, [0; 2])?;
    let pkt = pkt.store(outer.inner - 4, [a, b])?;
    let mut pkt = pkt.store(outer.inner - 2, [c, 0])?;
    pkt.set_mark(mark::ANCHOR);
    pkt.set_priority(outer.vni);
    maps::count(Counter::ToAnchor);
    Ok(Verdict::Pass)
}

/// Cuts off what lies behind the UDP datagram (padding of short frames).
#[inline(always)]
fn trim(pkt: Packet<'_>, end: usize) -> Result<Packet<'_>, DropReason> {
    if pkt.len() == end { Ok(pkt) } else { pkt.resize(end) }
}
