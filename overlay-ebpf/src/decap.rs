//! Decapsulation: pops the outer header, and carries congestion marks inwards (RFC 6040).

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use overlay_common::{DropReason, ecn, header::Eth};

use crate::packet::{ETH, Family, Packet};

/// Shortest frame that the kernel leaves over from an IPv4 packet (`bpf_skb_net_base_len`); half of what Ethernet
/// allows, but containers send shorter ones.
const SHORTEST: usize = ETH + Ipv4Hdr::LEN;

/// Takes the outer header off: `inner` is the offset of the inner frame, `tos` the outer TOS.
#[inline(always)]
pub(crate) fn strip(
    pkt: Packet<'_>,
    inner: usize,
    tos: u8,
    eth: Eth,
    family: Family,
) -> Result<Packet<'_>, DropReason> {
    let pkt = match family {
        Family::V4 => mark_v4(pkt, inner + ETH, tos)?,
        Family::V6 => mark_v6(pkt, inner + ETH, tos)?,
        Family::Other => pad(pkt, inner + SHORTEST)?,
    };
    let mut pkt = pkt.shrink(inner, family)?;
    *pkt.at_mut::<Eth>(0)? = eth;
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

/// Fills a frame up with zeros to `len` bytes.
#[inline(always)]
fn pad(pkt: Packet<'_>, len: usize) -> Result<Packet<'_>, DropReason> {
    if pkt.len() < len { pkt.resize(len) } else { Ok(pkt) }
}

/// Marks an inner IPv4 packet.
#[inline(always)]
fn mark_v4(pkt: Packet<'_>, offset: usize, outer: u8) -> Result<Packet<'_>, DropReason> {
    let mut pkt = pkt.pull(offset + Ipv4Hdr::LEN)?;
    let ip = pkt.at_mut::<Ipv4Hdr>(offset)?;
    let marked = ecn::decap(ip.tos, outer).ok_or(DropReason::CeNotEct)?;
    if marked != ip.tos & ecn::MASK {
        let tos = ip.tos & !ecn::MASK | marked;
        ip.check = ecn::adjust(ip.check, ip.tos, tos);
        ip.tos = tos;
    }
    Ok(pkt)
}

/// Marks an inner IPv6 packet.
#[inline(always)]
fn mark_v6(pkt: Packet<'_>, offset: usize, outer: u8) -> Result<Packet<'_>, DropReason> {
    let pkt = pkt.pull(offset + Ipv6Hdr::LEN)?;
    let [first, second, ..] = pkt.at::<Ipv6Hdr>(offset)?.vcf;
    // The traffic class lies across both bytes; its last two bits are ECN.
    let marked = ecn::decap(second >> 4, outer).ok_or(DropReason::CeNotEct)?;
    if marked == second >> 4 & ecn::MASK {
        return Ok(pkt);
    }
    pkt.store(offset, [first, second & !(ecn::MASK << 4) | marked << 4])
}
