//! A frame from the underlay: is it from a member, and for whom.

use aya_ebpf::programs::TcContext;
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    vxlan::VxlanHdr,
};
use overlay_common::{
    Counter, DropReason, MacAddr, Vni,
    header::{Eth, ethertype, protocol},
    map::{Fdb, Member, NodeConfig},
    mark,
};

use crate::{
    Drop, Verdict, decap,
    from_container::deliver,
    helpers, maps,
    maps::Network,
    neigh_remote::{self, Sender},
    outer::{self, Outer},
    packet::{ETH, Family, Packet},
};

#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let pkt = Packet::new(ctx);
    if let Some((vni, fdb)) = pkt.handed().and_then(|handed| handed.read()) {
        return popped(pkt, fdb).map_err(|reason| Drop { vni, reason });
    }
    let Some((pkt, outer)) = outer::read(pkt).map_err(Drop::outside)? else { return Ok(Verdict::Pass) };
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

/// Delivers a frame that `xdp_underlay` took out of its tunnel. It never was in a socket buffer with its outer header:
/// there are no rests of that to care for.
#[inline(always)]
fn popped(pkt: Packet<'_>, fdb: Fdb) -> Result<Verdict, DropReason> {
    // Where the device takes tags off, XDP does not see them.
    if pkt.has_vlan_tag() {
        return Err(DropReason::VlanTagged);
    }
    let verdict = deliver(pkt.popped_before()?, fdb, true)?;
    maps::count(Counter::FromUnderlay);
    maps::count(Counter::FromXdp);
    Ok(verdict)
}

/// Whether a VNI may be that of another vxlan device on our UDP port.
#[inline(always)]
fn is_anothers(vni: u32) -> bool {
    let shared = maps::config().is_ok_and(|config| config.flags & NodeConfig::SHARED != 0);
    shared && vni != Vni::ANCHOR && !maps::is_net(vni)
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
    let sender = Sender { network, vtep: outer.src, mac: eth.src, length: outer.end - outer.inner };
    if eth.dst.is_multicast() {
        let (pkt, _) = decap::strip(trim(pkt, outer.end)?, outer, eth, family)?;
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
        Fdb::PEER | Fdb::EGRESS if !about_neighbours && needs_stack(&pkt, outer, family, fdb) => {
            to_anchor(pkt, outer, family)
        }
        Fdb::PEER | Fdb::EGRESS => {
            let (mut pkt, typed) = decap::strip(trim(pkt, outer.end)?, outer, eth, family)?;
            if about_neighbours {
                pkt = neigh_remote::check(pkt, sender, &eth)?.0;
            }
            let verdict = deliver(pkt, fdb, typed)?;
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
fn needs_stack(pkt: &Packet<'_>, outer: &Outer, family: Family, fdb: Fdb) -> bool {
    let forwards = fdb.flags() & Fdb::FORWARDS != 0;
    let transport = match family {
        _ if !forwards && pkt.gso_size() == 0 => return false,
        Family::V4 => pkt.copy::<Ipv4Hdr>(outer.inner + ETH).map(|ip| ip.proto),
        Family::V6 => pkt.copy::<Ipv6Hdr>(outer.inner + ETH).map(|ip| ip.next_hdr),
        Family::Other => return false,
    };
    forwards || transport != Some(protocol::TCP)
}

/// Leaves a frame to our vxlan device of its family, by way of the host's stack: never under its own VNI, which might be
/// another device's.
#[inline(always)]
fn to_anchor(pkt: Packet<'_>, outer: &Outer, family: Family) -> Result<Verdict, DropReason> {
    let config = maps::config()?;
    if (if outer.is_v6() { config.anchor_v6 } else { config.anchor_v4 }) == 0 {
        return Err(DropReason::NoAnchor);
    }
    // The device marks inwards, and drops for the same reason, but does not count by it.
    decap::check_mark(&pkt, outer.inner + ETH, outer.tos, family)?;
    let [_, a, b, c] = Vni::ANCHOR.to_be_bytes();
    // No checksum (RFC 768, RFC 6935), rather than one that the other VNI makes wrong.
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
