//! A packet that does not fit the underlay: its sender is told how long it may be, as a router would.
//!
//! The packet becomes its own answer: it is cut to what the answer quotes, headers are put before it, and it goes back
//! through the port it came from. Answered are whom the kernel's own vxlan device answers (`iptunnel_pmtud_check_icmp`,
//! `iptunnel_pmtud_check_icmpv6`): whole IPv4 packets that must not be fragmented, and IPv6.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use overlay_common::{
    Counter, DropReason, Ip16,
    header::{Eth, protocol},
    icmp::{self, Ends},
    vxlan,
};

use crate::{
    Verdict, helpers,
    inner::Flow,
    maps,
    packet::{ETH, Family, Packet},
};

/// Answers a packet that is longer than `mtu` bytes, which is dropped with that; `TooBig` where there is no answer.
#[inline(always)]
pub(crate) fn answer(
    pkt: Packet<'_>,
    vni: u32,
    eth: &Eth,
    flow: &Flow,
    mtu: u16,
) -> Result<Verdict, DropReason> {
    let answer = match flow.family {
        Family::V4 => answer_v4(pkt, eth, flow, mtu),
        Family::V6 => answer_v6(pkt, eth, flow, mtu),
        Family::Other => Err(DropReason::TooBig),
    };
    let pkt = answer?;
    let port = pkt.ifindex();
    let verdict = helpers::redirect(pkt, port)?;
    maps::count_drop(vni, DropReason::TooBig);
    maps::count(Counter::TooBigAnswered);
    Ok(verdict)
}

#[inline(always)]
fn answer_v4<'a>(pkt: Packet<'a>, eth: &Eth, flow: &Flow, mtu: u16) -> Result<Packet<'a>, DropReason> {
    let ip = *pkt.at::<Ipv4Hdr>(ETH)?;
    let is_error = flow.protocol == protocol::ICMP && kind(&pkt, flow).is_none_or(icmp::is_error_v4);
    let answerable = ip.frags == icmp::ONLY_DONT_FRAGMENT && mtu >= icmp::LEAST_MTU_V4;
    // Not from a group, nor from all.
    if !answerable || is_error || ip.dst_addr[0] >= 224 || pkt.len() < ETH + icmp::QUOTE_V4 {
        return Err(DropReason::TooBig);
    }
    let pkt = pkt.resize(ETH + icmp::QUOTE_V4)?.grow(icmp::BEFORE_V4 - ETH)?;
    let mut pkt = pkt.pull(icmp::BEFORE_V4 + icmp::QUOTE_V4)?;
    let quoted = pkt.sum(icmp::BEFORE_V4, 0)?;
    let ends = Ends { from: ip.dst_addr, to: ip.src_addr };
    icmp::too_big_v4(eth, ends, mtu, folded(quoted), pkt.at_mut(0)?);
    Ok(pkt)
}

#[inline(always)]
fn answer_v6<'a>(pkt: Packet<'a>, eth: &Eth, flow: &Flow, mtu: u16) -> Result<Packet<'a>, DropReason> {
    let pkt = pkt.pull(ETH + Ipv6Hdr::LEN)?;
    let ip = pkt.at::<Ipv6Hdr>(ETH)?;
    let ends = Ends { from: Ip16::v6(ip.dst_addr), to: Ip16::v6(ip.src_addr) };
    let is_error = flow.protocol == protocol::ICMPV6 && kind(&pkt, flow).is_none_or(icmp::is_error_v6);
    if mtu < icmp::LEAST_MTU_V6 || is_error || ends.from.is_v6_multicast() || pkt.len() < ETH + icmp::QUOTE_V6
    {
        return Err(DropReason::TooBig);
    }
    let pkt = pkt.resize(ETH + icmp::QUOTE_V6)?.grow(icmp::BEFORE_V6 - ETH)?;
    let mut pkt = pkt.pull(icmp::BEFORE_V6 + icmp::QUOTE_V6)?;
    let quoted = pkt.sum(icmp::BEFORE_V6, 0)?;
    let quoted = pkt.sum(icmp::BEFORE_V6 + 512, quoted)?;
    icmp::too_big_v6(eth, ends, mtu, folded(quoted), pkt.at_mut(0)?);
    Ok(pkt)
}

/// A sum of `Packet::sum` as 16 bits in the order of the wire.
#[inline(always)]
fn folded(sum: u32) -> u16 {
    u16::from_be_bytes(vxlan::fold(sum).to_ne_bytes())
}

/// The type of an ICMP message; none where the frame ends before it.
#[inline(always)]
fn kind(pkt: &Packet<'_>, flow: &Flow) -> Option<u8> {
    pkt.copy::<[u8; 2]>(flow.transport).map(|[kind, _]| kind)
}
