//! Encapsulation: pushes the outer header and sends the frame to its VTEP.

use overlay_common::{
    Counter, DropReason, entropy,
    header::{Eth, Header},
    mark,
    vxlan::{OVERHEAD_V4, OuterV4, Vtep},
};

use crate::{
    Verdict, helpers,
    inner::Flow,
    maps,
    packet::{ETH, Family, Packet},
};

/// Longest inner frame whose outer lengths still fit 16 bits: 65535 less outer IPv4, UDP and VXLAN headers.
const MAX_INNER: usize = 65_535 - (OVERHEAD_V4 - ETH);
/// What a segment has besides its payload at least: an IPv4 and a UDP header.
const MIN_HEADERS: usize = 28;

/// Sends an inner frame to the VTEP at a place of `VTEPS`.
#[inline(always)]
pub(crate) fn send(
    pkt: Packet<'_>,
    vni: u32,
    place: u32,
    eth: Eth,
    flow: &Flow,
) -> Result<Verdict, DropReason> {
    let len = pkt.len();
    check_size(&pkt, len)?;
    let vtep = maps::vtep(place)?;
    if !vtep.is_routed() {
        return Err(DropReason::NoRoute);
    }
    let outer = vtep.outer_v4(vni, len as u16, flow.tos, entropy::source_port(flow.hash));
    let verdict = match flow.family {
        Family::V4 | Family::V6 => {
            let mut pkt = pkt.grow_ip()?;
            *pkt.at_mut::<OuterV4>(0)? = outer;
            *pkt.at_mut::<Eth>(OuterV4::LEN)? = eth;
            pkt.set_mark(mark::to_vtep(place));
            helpers::redirect_neigh(pkt, vtep.ifindex, vtep.next_hop_v4())?
        }
        Family::Other => {
            if vtep.flags & Vtep::NEXT_HOP_MAC == 0 {
                return Err(DropReason::NoRoute);
            }
            let mut pkt = pkt.grow_other()?;
            *pkt.at_mut::<OuterV4>(0)? = outer;
            pkt.set_mark(mark::to_vtep(place));
            helpers::redirect(pkt, vtep.ifindex)?
        }
    };
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
}

/// Refuses what the underlay cannot carry. Segments of a super-frame count, not the super-frame.
#[inline(always)]
fn check_size(pkt: &Packet<'_>, len: usize) -> Result<(), DropReason> {
    let mtu = usize::from(maps::config()?.inner_mtu);
    let ip_len = match pkt.gso_size() {
        0 => len - ETH.min(len),
        segment => segment + MIN_HEADERS,
    };
    if ip_len > mtu || len > MAX_INNER { Err(DropReason::TooBig) } else { Ok(()) }
}
