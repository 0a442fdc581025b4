//! ARP and neighbour discovery from a VTEP. Nodes answer their containers themselves and send no questions; a plain
//! VXLAN device does. Its claims are checked, since nobody has before, and its question is given to the one port
//! that it is for, whose container answers as on any Ethernet.

use network_types::{arp::ArpHdr, ip::Ipv6Hdr};
use overlay_common::{
    DropReason, Ip16, MacAddr,
    arp::{self, Arp},
    header::{Eth, ethertype, icmpv6, protocol},
    map::Fdb,
    nd,
    vxlan::Vtep,
};

use crate::{
    inner, maps,
    maps::Network,
    neigh,
    packet::{ETH, Packet},
};

/// Who sent a frame: a station behind a VTEP.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) network: Network<'a>,
    /// The VTEP, by the outer header.
    pub(crate) vtep: Ip16,
    /// The station, by the inner one.
    pub(crate) mac: MacAddr,
    /// Length of what it sent, before `decap::strip` filled it up.
    pub(crate) length: usize,
}

impl Sender<'_> {
    /// Whether its claims need checks; refused where the station is not behind that VTEP at all.
    #[inline(always)]
    fn is_unchecked(&self) -> Result<bool, DropReason> {
        let fdb = maps::fdb(self.network, self.mac).map_err(|_| DropReason::SpoofedMac)?;
        let vtep = maps::vtep(fdb.to()).map_err(|_| DropReason::SpoofedMac)?;
        // A node of two addresses may be sent to by one and send from the other.
        let behind = vtep.addr == self.vtep || vtep.other == self.vtep;
        if fdb.delivery() != Fdb::UNDERLAY || !behind {
            return Err(DropReason::SpoofedMac);
        }
        Ok(vtep.flags & Vtep::EXTERNAL != 0)
    }

    /// Whether an address is the station's.
    #[inline(always)]
    fn has_ip(&self, ip: Ip16) -> bool {
        maps::neigh(self.network, ip).is_ok_and(|found| found.0 == self.mac)
    }

    /// The port whose container has the address asked for.
    #[inline(always)]
    pub(crate) fn port_of(&self, target: Ip16) -> Result<Fdb, DropReason> {
        let mac = maps::neigh(self.network, target)?.0;
        if mac == self.mac {
            return Err(DropReason::OwnNeigh);
        }
        let fdb = maps::fdb(self.network, mac)?;
        match fdb.delivery() {
            Fdb::PEER | Fdb::EGRESS => Ok(fdb),
            _ => Err(DropReason::SplitHorizon),
        }
    }
}

/// Whether an inner frame, whose Ethernet header is at an offset, may be ARP or neighbour discovery.
#[inline(always)]
pub(crate) fn concerns(pkt: &Packet<'_>, offset: usize, eth: &Eth) -> bool {
    match eth.ethertype {
        ethertype::ARP => true,
        ethertype::IPV6 => pkt.copy::<Ipv6Hdr>(offset + ETH).is_some_and(|ip| match ip.next_hdr {
            protocol::ICMPV6 => true,
            // Behind these there may be ICMPv6. To groups, only who hides sends them so (RFC 6980).
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::FRAGMENT | protocol::DESTINATION_OPTIONS => {
                !eth.dst.is_multicast()
            }
            _ => false,
        }),
        _ => false,
    }
}

/// Checks what a decapsulated frame claims. Other than ARP and neighbour discovery claims nothing, and what comes from
/// one node's container to another's has been checked there.
///
/// The address that it asks for, if it asks.
#[inline(always)]
pub(crate) fn check<'a>(
    pkt: Packet<'a>,
    sender: Sender<'_>,
    eth: &Eth,
) -> Result<(Packet<'a>, Option<Ip16>), DropReason> {
    let checks = || Ok(sender.is_unchecked()? || eth.dst.is_multicast());
    if eth.ethertype == ethertype::ARP {
        return if checks()? { arp(pkt, sender) } else { Ok((pkt, None)) };
    }
    let (pkt, ip) = inner::ipv6(pkt)?;
    if ip.protocol != protocol::ICMPV6 {
        return Ok((pkt, None));
    }
    let [kind, _] = pkt.copy::<[u8; 2]>(ip.transport).ok_or(DropReason::Malformed)?;
    match kind {
        icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT if !checks()? => Ok((pkt, None)),
        // As from a container (RFC 6980).
        icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT if ip.fragment => {
            Err(DropReason::Malformed)
        }
        icmpv6::NEIGHBOUR_SOLICITATION => solicitation(pkt, sender, &ip),
        icmpv6::NEIGHBOUR_ADVERTISEMENT => {
            let (pkt, target) = neigh::message(pkt, &ip, nd::TARGET_MAC, |mac| mac == sender.mac)?;
            if sender.has_ip(target) { Ok((pkt, None)) } else { Err(DropReason::SpoofedNd) }
        }
        _ => Ok((pkt, None)),
    }
}

/// The address that ARP asks for, once what it claims of its sender holds.
#[inline(always)]
fn arp<'a>(pkt: Packet<'a>, sender: Sender<'_>) -> Result<(Packet<'a>, Option<Ip16>), DropReason> {
    // Of what it did not send nothing may be read as zeros.
    if sender.length < ETH + arp::LEN {
        return Err(DropReason::Malformed);
    }
    let pkt = pkt.pull(ETH + arp::LEN)?;
    let arp = Arp::parse(pkt.at::<ArpHdr>(ETH)?)?;
    let probe = arp.sender_ip == [0; 4];
    if arp.sender_mac != sender.mac || !(probe || sender.has_ip(Ip16::v4(arp.sender_ip))) {
        return Err(DropReason::SpoofedArp);
    }
    Ok((pkt, arp.request.then_some(Ip16::v4(arp.target_ip))))
}

/// The address that a solicitation asks for, once what it claims of its sender holds.
#[inline(always)]
fn solicitation<'a>(
    pkt: Packet<'a>,
    sender: Sender<'_>,
    ip: &inner::Ip,
) -> Result<(Packet<'a>, Option<Ip16>), DropReason> {
    // A mapped address in an IPv6 header would pass for the IPv4 address that it maps.
    let probe = ip.src == Ip16::ZERO;
    if !probe && (ip.src.is_v4() || !sender.has_ip(ip.src)) {
        return Err(DropReason::SpoofedIp);
    }
    let (pkt, target) = neigh::message(pkt, ip, nd::SOURCE_MAC, |mac| mac == sender.mac)?;
    Ok((pkt, Some(target)))
}
