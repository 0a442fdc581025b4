//! ARP and neighbour discovery of a container: the claims it makes are checked, its questions answered from
//! `NEIGH`, by turning the question into the answer and sending it back through the port.

use network_types::arp::ArpHdr;
use overlay_common::{
    Counter, DropReason, Ip16, MacAddr,
    arp::{self, Arp},
    header::{Eth, Header, NdMessage, NdOption, icmpv6},
    map::Port,
    nd::{self, Solicitation},
};

use crate::{
    Verdict, helpers,
    inner::{Flow, Ip},
    maps,
    maps::Network,
    packet::{ETH, Packet},
};

/// Options of a neighbour discovery message that are followed; RFC 4861 and RFC 3971 define fewer for each.
const MAX_OPTIONS: usize = 4;

/// What to do with a message after its claims were checked.
pub(crate) enum Next<'a> {
    /// It was a question and has been answered.
    Answered(Verdict),
    /// It is to be forwarded as any other frame.
    Forward(Packet<'a>, Flow),
}

/// ARP from a port.
#[inline(always)]
pub(crate) fn arp<'a>(pkt: Packet<'a>, port: &Port, eth: Eth) -> Result<Next<'a>, DropReason> {
    let mut pkt = pkt.pull(ETH + arp::LEN)?;
    let arp = Arp::parse(pkt.at::<ArpHdr>(ETH)?)?;
    let probe = arp.sender_ip == [0; 4];
    if arp.sender_mac != eth.src || !(probe || port.has_ip(Ip16::v4(arp.sender_ip))) {
        return Err(DropReason::SpoofedArp);
    }
    if !arp.request {
        return Ok(Next::Forward(pkt, Flow::other(&eth)));
    }
    let mac = lookup(port, Ip16::v4(arp.target_ip))?;
    let (answer_eth, answer) = arp.reply(mac);
    *pkt.at_mut::<Eth>(0)? = answer_eth;
    *pkt.at_mut::<ArpHdr>(ETH)? = answer;
    answered(pkt, Counter::ArpAnswered)
}

/// ICMPv6 from a port.
#[inline(always)]
pub(crate) fn icmpv6<'a>(pkt: Packet<'a>, port: &Port, eth: Eth, ip: &Ip) -> Result<Next<'a>, DropReason> {
    // Type and code.
    let pkt = pkt.pull(ip.transport + 2)?;
    match pkt.at::<[u8; 2]>(ip.transport)?[0] {
        // Nobody does that but to hide from guards (RFC 6980).
        icmpv6::ROUTER_SOLICITATION..=icmpv6::REDIRECT if ip.fragment => Err(DropReason::Malformed),
        icmpv6::ROUTER_ADVERTISEMENT | icmpv6::REDIRECT if port.flags & Port::ALLOW_RA == 0 => {
            Err(DropReason::RogueRa)
        }
        icmpv6::NEIGHBOUR_SOLICITATION => {
            let (pkt, target) = message(pkt, ip, nd::SOURCE_MAC, |mac| port.has_mac(mac))?;
            solicitation(pkt, port, Solicitation { from_mac: eth.src, from: ip.src, target })
        }
        icmpv6::NEIGHBOUR_ADVERTISEMENT => {
            let (pkt, target) = message(pkt, ip, nd::TARGET_MAC, |mac| port.has_mac(mac))?;
            if port.has_ip(target) { Ok(Next::Forward(pkt, ip.flow())) } else { Err(DropReason::SpoofedNd) }
        }
        _ => Ok(Next::Forward(pkt, ip.flow())),
    }
}

/// The target of a solicitation or advertisement, once its link-layer address options of this kind name a MAC address
/// of the sender's own.
#[inline(always)]
pub(crate) fn message<'a>(
    pkt: Packet<'a>,
    ip: &Ip,
    claims: u8,
    is_own: impl Fn(MacAddr) -> bool,
) -> Result<(Packet<'a>, Ip16), DropReason> {
    let target = Ip16::v6(pkt.copy::<NdMessage>(ip.transport).ok_or(DropReason::Malformed)?.target);
    if ip.hop_limit != nd::HOP_LIMIT || target.is_v4() {
        return Err(DropReason::Malformed);
    }
    let mut offset = ip.transport + NdMessage::LEN;
    for _ in 0..MAX_OPTIONS {
        if pkt.len() < offset + NdOption::LEN {
            return Ok((pkt, target));
        }
        let option = pkt.copy::<NdOption>(offset).ok_or(DropReason::Malformed)?;
        if option.len == 0 {
            return Err(DropReason::Malformed);
        }
        if option.kind == claims && !is_own(option.mac) {
            return Err(DropReason::SpoofedNd);
        }
        offset += usize::from(option.len) * 8;
    }
    // What follows cannot be checked.
    if pkt.len() < offset + NdOption::LEN { Ok((pkt, target)) } else { Err(DropReason::Malformed) }
}

/// Answers a solicitation.
#[inline(always)]
fn solicitation<'a>(pkt: Packet<'a>, port: &Port, ask: Solicitation) -> Result<Next<'a>, DropReason> {
    let mac = lookup(port, ask.target)?;
    let mut pkt = pkt.resize(nd::ADVERTISEMENT_LEN)?.pull(nd::ADVERTISEMENT_LEN)?;
    ask.advertisement(mac, pkt.at_mut(0)?);
    answered(pkt, Counter::NdAnswered)
}

/// Sends an answer back through the port.
#[inline(always)]
fn answered<'a>(pkt: Packet<'_>, counter: Counter) -> Result<Next<'a>, DropReason> {
    let ifindex = pkt.ifindex();
    let verdict = helpers::redirect(pkt, ifindex)?;
    maps::count(counter);
    Ok(Next::Answered(verdict))
}

/// Who has an address; nobody but the port itself answers for the port's own.
#[inline(always)]
fn lookup(port: &Port, ip: Ip16) -> Result<MacAddr, DropReason> {
    let mac = maps::neigh(Network::of(port), ip)?.0;
    if port.has_mac(mac) { Err(DropReason::OwnNeigh) } else { Ok(mac) }
}
