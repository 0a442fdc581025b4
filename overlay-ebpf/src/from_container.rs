//! A frame from a local port: who sent it, may it, and where to.

use aya_ebpf::programs::TcContext;
use overlay_common::{
    Counter, DropReason, Ip16,
    header::{Eth, ethertype, protocol},
    map::{Fdb, Port},
    mark,
};

use crate::{
    Drop, Verdict, encap, helpers, inner,
    inner::{Flow, Ip},
    maps,
    maps::Network,
    neigh,
    neigh::Next,
    packet::{ETH, Family, Packet},
};

/// UDP ports of DHCP, big-endian.
struct Dhcp {
    /// Where servers send from, and relays.
    server: [u8; 2],
    /// Where clients listen, many of them whatever port a message is from.
    client: [u8; 2],
}

/// RFC 2131 section 4.1.
const DHCP_V4: Dhcp = Dhcp { server: 67_u16.to_be_bytes(), client: 68_u16.to_be_bytes() };
/// RFC 8415 section 7.2.
const DHCP_V6: Dhcp = Dhcp { server: 547_u16.to_be_bytes(), client: 546_u16.to_be_bytes() };

#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let pkt = Packet::new(ctx);
    // No container's: its mark is cleared on the way here (`skb_scrub_packet`).
    if let Some(place) = mark::vtep(pkt.mark()) {
        return encap::resend(pkt, place);
    }
    let port = maps::port(pkt.ifindex()).map_err(Drop::outside)?;
    frame(pkt, port).map_err(|reason| Drop { vni: port.vni(), reason })
}

#[inline(always)]
fn frame(pkt: Packet<'_>, port: &Port) -> Result<Verdict, DropReason> {
    let pkt = pkt.pull(ETH)?;
    let eth = *pkt.at::<Eth>(0)?;
    if !port.has_mac(eth.src) {
        return Err(DropReason::SpoofedMac);
    }
    let next = match eth.ethertype {
        _ if pkt.has_vlan_tag() => return Err(DropReason::VlanTagged),
        ethertype::VLAN | ethertype::QINQ => return Err(DropReason::VlanTagged),
        ethertype::IPV4 => {
            let (pkt, ip) = inner::ipv4(pkt)?;
            guard(port, &ip, &DHCP_V4)?;
            Next::Forward(pkt, ip.flow())
        }
        ethertype::IPV6 => {
            let (pkt, ip) = inner::ipv6(pkt)?;
            guard(port, &ip, &DHCP_V6)?;
            if ip.protocol == protocol::ICMPV6 {
                neigh::icmpv6(pkt, port, eth, &ip)?
            } else {
                Next::Forward(pkt, ip.flow())
            }
        }
        ethertype::ARP => neigh::arp(pkt, port, eth)?,
        _ => Next::Forward(pkt, Flow::other(&eth)),
    };
    match next {
        Next::Answered(verdict) => Ok(verdict),
        Next::Forward(pkt, flow) => forward(pkt, port, eth, flow),
    }
}

/// Checks that a port may send this packet.
#[inline(always)]
fn guard(port: &Port, ip: &Ip, dhcp: &Dhcp) -> Result<(), DropReason> {
    // `::` is the source of duplicate address detection and of multicast listener reports before an address is
    // assigned (RFC 4862 section 5.4.2, RFC 3590); both go to groups.
    let unspecified = ip.src == Ip16::ZERO && ip.dst.is_v6_multicast();
    // A mapped address in an IPv6 header would pass for the IPv4 address that it maps.
    let mapped = ip.family == Family::V6 && ip.src.is_v4();
    if mapped || !(unspecified || port.has_ip(ip.src)) {
        return Err(DropReason::SpoofedIp);
    }
    let to_client =
        ip.protocol == protocol::UDP && (ip.ports.src == dhcp.server || ip.ports.dst == dhcp.client);
    if to_client && port.flags & Port::ALLOW_DHCP_SERVER == 0 {
        return Err(DropReason::RogueDhcp);
    }
    Ok(())
}

/// Sends a checked frame to where its destination is.
#[inline(always)]
fn forward(pkt: Packet<'_>, port: &Port, eth: Eth, flow: Flow) -> Result<Verdict, DropReason> {
    if eth.dst.is_multicast() {
        return Err(DropReason::Bum);
    }
    let fdb = maps::fdb(Network::of(port), eth.dst)?;
    match fdb.delivery() {
        Fdb::UNDERLAY if fdb.flags() & Fdb::ENCRYPTED != 0 => Err(DropReason::NotEncrypted),
        Fdb::UNDERLAY => encap::send(pkt, port.vni(), fdb.to(), eth, &flow),
        Fdb::PEER | Fdb::EGRESS if fdb.to() == pkt.ifindex() => Err(DropReason::Hairpin),
        Fdb::PEER | Fdb::EGRESS => {
            let verdict = deliver(pkt, fdb, flow.family != Family::Other)?;
            maps::count(Counter::ToLocal);
            Ok(verdict)
        }
        _ => Err(DropReason::NotEncrypted),
    }
}

/// Gives a frame to the container behind a local port; `typed`: the kernel knows its type, which is IPv4 or IPv6.
#[inline(always)]
pub(crate) fn deliver(pkt: Packet<'_>, fdb: Fdb, typed: bool) -> Result<Verdict, DropReason> {
    match (fdb.delivery(), typed) {
        (Fdb::PEER, true) => helpers::redirect_peer(pkt, fdb.to()),
        // Through the device, so that the kernel reads the frame's type again (`eth_type_trans`).
        _ => helpers::redirect(pkt, fdb.to()),
    }
}
