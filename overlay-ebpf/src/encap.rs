//! Encapsulation: pushes the outer header and sends the frame to its VTEP.
//!
//! The kernel's neighbour table supplies the next hop's MAC address, so that none can outlive an agent. It does so
//! for buffers that the kernel takes for IP. A frame that is not IP goes back to the device it came from: there the
//! kernel reads its type anew (`eth_type_trans`), now that of the outer header, and `from_container`, which knows it
//! by its mark, sends it on. So does a frame that is a tunnel's already.

use overlay_common::{
    Counter, DropReason, Ip16, MacAddr, entropy,
    header::{Eth, Header},
    mark,
    vxlan::{self, OVERHEAD_V4, OuterV4},
};

use crate::{
    Drop, Verdict, helpers,
    inner::Flow,
    maps,
    packet::{ETH, Family, Grown, Packet},
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
    check_size(&pkt, len, flow.family)?;
    let vtep = maps::vtep(place)?;
    if !vtep.is_routed() {
        return Err(DropReason::NoRoute);
    }
    let outer = vtep.outer_v4(vni, len as u16, flow.tos, entropy::source_port(flow.hash));
    let grown = match flow.family {
        Family::V4 | Family::V6 => pkt.grow_ip()?,
        Family::Other => Grown::Tunnel(pkt),
    };
    let mut pkt = match grown {
        Grown::Whole(pkt) => pkt,
        Grown::Tunnel(pkt) => return go_round(pkt, place, outer),
    };
    *pkt.at_mut::<OuterV4>(0)? = outer;
    *pkt.at_mut::<Eth>(OuterV4::LEN)? = eth;
    pkt.set_mark(mark::to_vtep(place));
    let verdict = helpers::redirect_neigh(pkt, vtep.ifindex, vtep.next_hop_v4())?;
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
}

/// Puts a frame with its outer header back into the device it came from, for `resend`.
#[inline(always)]
fn go_round(pkt: Packet<'_>, place: u32, outer: OuterV4) -> Result<Verdict, DropReason> {
    // Nothing in the kernel cuts it up below a header that it does not know of.
    if pkt.gso_size() != 0 {
        return Err(DropReason::KernelRefused);
    }
    let mut pkt = pkt.grow_other()?;
    // No station's address: nobody's stack takes the frame in, should no program be there to meet it again.
    let eth = Eth { dst: MacAddr::ZERO, ..outer.eth };
    *pkt.at_mut::<OuterV4>(0)? = OuterV4 { eth, ..outer };
    pkt.set_mark(mark::to_vtep(place));
    let port = pkt.ifindex();
    helpers::redirect_ingress(pkt, port)
}

/// Sends a frame that came back with its outer header to the VTEP at a place of `VTEPS`.
#[inline(always)]
pub(crate) fn resend(pkt: Packet<'_>, place: u32) -> Result<Verdict, Drop> {
    let pkt = pkt.pull(OuterV4::LEN).map_err(Drop::outside)?;
    let outer = *pkt.at::<OuterV4>(0).map_err(Drop::outside)?;
    let vni = vxlan::vni_of(&outer.vxlan);
    let sent = maps::vtep(place).and_then(|vtep| {
        // The place may have been given to another VTEP meanwhile.
        if !vtep.is_routed() || vtep.addr != Ip16::v4(outer.ip.dst_addr) {
            return Err(DropReason::NoRoute);
        }
        helpers::redirect_neigh(pkt, vtep.ifindex, vtep.next_hop_v4())
    });
    let verdict = sent.map_err(|reason| Drop { vni, reason })?;
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
}

/// Refuses what the underlay cannot carry. Segments of a super-frame count, not the super-frame.
#[inline(always)]
fn check_size(pkt: &Packet<'_>, len: usize, family: Family) -> Result<(), DropReason> {
    let mtu = usize::from(maps::config()?.inner_mtu);
    let ip_len = match pkt.gso_size() {
        0 => len - ETH.min(len),
        // Nothing in the kernel cuts it up once it has an outer header.
        _ if family == Family::Other => return Err(DropReason::TooBig),
        segment => segment + MIN_HEADERS,
    };
    if ip_len > mtu || len > MAX_INNER { Err(DropReason::TooBig) } else { Ok(()) }
}
