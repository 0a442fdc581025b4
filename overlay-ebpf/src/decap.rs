//! Decapsulation: pops the outer header, and carries congestion marks inwards (RFC 6040).

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use overlay_common::{DropReason, ecn, header::Eth};

use crate::{
    outer::Outer,
    packet::{ETH, Family, Packet},
};

/// Takes the outer header off; `eth` and `family` are those of the inner frame. Besides the frame, whether the kernel
/// knows its type, or must read it again.
#[expect(clippy::wildcard_enum_match_arm, reason = "only of IPv4 a short packet is to be told from others")]
#[inline(always)]
pub(crate) fn strip<'a>(
    pkt: Packet<'a>,
    outer: &Outer,
    eth: Eth,
    family: Family,
) -> Result<(Packet<'a>, bool), DropReason> {
    let inner = outer.inner;
    let (pkt, typed) = match family {
        Family::V4 => (mark_v4(pkt, inner + ETH, outer.tos)?, !outer.is_v6() || Family::can_be_told()),
        Family::V6 if cfg!(feature = "broken") => (pkt.pull(inner + ETH + Ipv6Hdr::LEN)?, true),
        Family::V6 => (mark_v6(pkt, inner + ETH, outer.tos)?, outer.is_v6() || Family::can_be_told()),
        Family::Other => (pkt, false),
    };
    // Of a frame whose family it is not told the kernel leaves no less over than an IP header of the outer one
    // (`bpf_skb_net_base_len`). Behind a packet the zeros are what Ethernet fills a short frame up with: its length says
    // where it ends.
    let is_short = !typed && pkt.len() < inner + ETH + outer.ip_len;
    let pkt = match family {
        Family::V4 if is_short => return Ok((strip_short(pkt, inner, eth)?, typed)),
        _ if is_short => pkt.resize(inner + ETH + outer.ip_len)?,
        _ => pkt,
    };
    let mut pkt = pkt.shrink(inner, family)?;
    *pkt.at_mut::<Eth>(0)? = eth;
    Ok((pkt, typed))
}

/// Takes the outer headers off an IPv4 packet that is shorter than an IPv6 header: all but so much that one would be left,
/// and moves the packet up.
///
/// It cannot be filled up: IP packets may come in buffers of a tunnel (`skb->encapsulation`), from veths and from NICs that
/// look into tunnels, and `bpf_skb_change_tail` refuses those.
#[inline(always)]
fn strip_short(pkt: Packet<'_>, inner: usize, eth: Eth) -> Result<Packet<'_>, DropReason> {
    let packet = pkt.copy_to_end::<{ Ipv6Hdr::LEN / 8 }>(inner + ETH).ok_or(DropReason::Malformed)?;
    let by = pkt.len() - ETH - Ipv6Hdr::LEN;
    let mut pkt = pkt.shrink(by, Family::V4)?;
    *pkt.at_mut::<Eth>(0)? = eth;
    for (to, word) in pkt.at_mut::<[u8; Ipv6Hdr::LEN]>(ETH)?.chunks_exact_mut(8).zip(packet) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(pkt)
}

/// Refuses what `strip` would refuse to mark.
#[inline(always)]
pub(crate) fn check_mark(
    pkt: &Packet<'_>,
    offset: usize,
    outer: u8,
    family: Family,
) -> Result<(), DropReason> {
    let inner = match family {
        Family::V4 => pkt.copy::<Ipv4Hdr>(offset).map(|ip| ip.tos),
        Family::V6 => pkt.copy::<Ipv6Hdr>(offset).map(|ip| ip.vcf[1] >> 4),
        Family::Other => return Ok(()),
    };
    ecn::decap(inner.ok_or(DropReason::Malformed)?, outer).ok_or(DropReason::CeNotEct).map(|_| ())
}

/// Marks an inner IPv4 packet.
#[inline(always)]
fn mark_v4(pkt: Packet<'_>, offset: usize, outer: u8) -> Result<Packet<'_>, DropReason> {
    let mut pkt = pkt.pull(offset + Ipv4Hdr::LEN)?;
    ecn::mark_v4(pkt.at_mut::<Ipv4Hdr>(offset)?, outer).ok_or(DropReason::CeNotEct)?;
    Ok(pkt)
}

/// Marks an inner IPv6 packet.
#[inline(always)]
fn mark_v6(pkt: Packet<'_>, offset: usize, outer: u8) -> Result<Packet<'_>, DropReason> {
    let pkt = pkt.pull(offset + Ipv6Hdr::LEN)?;
    let [first, second, ..] = pkt.at::<Ipv6Hdr>(offset)?.vcf;
    let marked = ecn::mark_v6(second, outer).ok_or(DropReason::CeNotEct)?;
    if marked == second { Ok(pkt) } else { pkt.store(offset, [first, marked]) }
}
