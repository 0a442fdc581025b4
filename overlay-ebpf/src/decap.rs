//! Decapsulation: pops the outer header, and carries congestion marks inwards (RFC 6040).

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use overlay_common::{DropReason, ecn, header::Eth};

use crate::{
    outer::Outer,
    packet::{ETH, Family, Packet},
};

/// Takes the outer header off; `eth` and `family` are those of the inner frame. Besides the frame, whether the kernel
/// knows its type, or must read it again.
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
    let pkt = if typed { pkt } else { pad(pkt, inner + ETH + outer.ip_len)? };
    let mut pkt = pkt.shrink(inner, family)?;
    *pkt.at_mut::<Eth>(0)? = eth;
    Ok((pkt, typed))
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
