//! Encapsulation: pushes the outer header and sends the frame to its VTEP.
//!
//! The kernel's neighbour table supplies the next hop's MAC address, so that none can outlive an agent. It does so
//! for buffers that the kernel takes for IP. A frame that is not IP goes back to the device it came from: there the
//! kernel reads its type anew (`eth_type_trans`), now that of the outer header, and `from_container`, which knows it
//! by its mark, sends it on. So does a frame that is a tunnel's already.

use network_types::udp::UdpHdr;
use overlay_common::{
    Counter, DropReason, Ip16, MacAddr, entropy,
    header::{Eth, Header, ethertype, protocol},
    mark,
    vxlan::{self, OuterV4, OuterV6},
};

use crate::{
    Drop, Verdict, helpers,
    inner::Flow,
    maps,
    packet::{ETH, Family, Grown, OuterHeader, Packet},
    too_big,
};

/// Where a TCP header says how long it is.
const TCP_DATA_OFFSET: usize = 12;

/// Sends an inner frame to the VTEP at a place of `VTEPS`.
#[inline(always)]
pub(crate) fn send(
    pkt: Packet<'_>,
    vni: u32,
    place: u32,
    eth: Eth,
    flow: &Flow,
) -> Result<Verdict, DropReason> {
    let vtep = maps::vtep(place)?;
    if !vtep.is_routed() {
        return Err(DropReason::NoRoute);
    }
    if !fits(&pkt, flow, vtep.inner_mtu) {
        return too_big::answer(pkt, vni, &eth, flow, vtep.inner_mtu);
    }
    let (len, port) = (pkt.len() as u16, entropy::source_port(flow.hash));
    let verdict = if vtep.is_v6() {
        // Made where it is written: the stack has no room for it besides.
        let outer = || vtep.outer_v6(vni, len, flow.tos, port);
        match push(pkt, flow.family, outer, eth, place)? {
            Grown::Whole(pkt) => helpers::redirect_neigh_v6(pkt, vtep)?,
            Grown::Tunnel(pkt) => return go_round(pkt, outer, place),
        }
    } else {
        let outer = vtep.outer_v4(vni, len, flow.tos, port);
        match push(pkt, flow.family, || outer, eth, place)? {
            Grown::Whole(pkt) => helpers::redirect_neigh_v4(pkt, vtep)?,
            Grown::Tunnel(pkt) => return go_round(pkt, || outer, place),
        }
    };
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
}

/// Puts the outer header in front of an IP frame, unless it must go round.
#[inline(always)]
fn push<O: OuterHeader>(
    pkt: Packet<'_>,
    family: Family,
    outer: impl FnOnce() -> O,
    eth: Eth,
    place: u32,
) -> Result<Grown<'_>, DropReason> {
    if family == Family::Other {
        return Ok(Grown::Tunnel(pkt));
    }
    let mut pkt = match pkt.grow_ip::<O>()? {
        Grown::Whole(pkt) => pkt,
        tunnel @ Grown::Tunnel(_) => return Ok(tunnel),
    };
    *pkt.at_mut::<O>(0)? = outer();
    *pkt.at_mut::<Eth>(O::LEN)? = eth;
    pkt.set_mark(mark::to_vtep(place));
    Ok(Grown::Whole(pkt))
}

/// Puts the outer header in front of a frame that is not IP, or a tunnel's already, and sends it to where it comes from,
/// for `resend`.
#[inline(always)]
fn go_round<O: OuterHeader>(
    pkt: Packet<'_>,
    outer: impl FnOnce() -> O,
    place: u32,
) -> Result<Verdict, DropReason> {
    // Nothing in the kernel cuts it up below a header that it does not know of.
    if pkt.gso_size() != 0 {
        return Err(DropReason::KernelRefused);
    }
    let mut pkt = pkt.grow_other::<O>()?;
    *pkt.at_mut::<O>(0)? = outer();
    // No station's address: nobody's stack takes the frame in, should no program be there to meet it again.
    pkt.at_mut::<Eth>(0)?.dst = MacAddr::ZERO;
    pkt.set_mark(mark::to_vtep(place));
    let port = pkt.ifindex();
    helpers::redirect_ingress(pkt, port)
}

/// Sends a frame that came back with its outer header to the VTEP at a place of `VTEPS`.
#[inline(always)]
pub(crate) fn resend(pkt: Packet<'_>, place: u32) -> Result<Verdict, Drop> {
    let (pkt, vni, addr) = sent_to(pkt).map_err(Drop::outside)?;
    let sent = maps::vtep(place).and_then(|vtep| {
        // The place may have been given to another VTEP meanwhile.
        if !vtep.is_routed() || vtep.addr != addr {
            return Err(DropReason::NoRoute);
        }
        if vtep.is_v6() {
            helpers::redirect_neigh_v6(pkt, vtep)
        } else {
            helpers::redirect_neigh_v4(pkt, vtep)
        }
    });
    let verdict = sent.map_err(|reason| Drop { vni, reason })?;
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
}

/// VNI and outer destination of a frame with its outer header.
#[inline(always)]
fn sent_to(pkt: Packet<'_>) -> Result<(Packet<'_>, u32, Ip16), DropReason> {
    let pkt = pkt.pull(OuterV4::LEN)?;
    if pkt.at::<Eth>(0)?.ethertype == ethertype::IPV6 {
        let pkt = pkt.pull(OuterV6::LEN)?;
        let outer = *pkt.at::<OuterV6>(0)?;
        return Ok((pkt, vxlan::vni_of(&outer.vxlan), Ip16::v6(outer.ip.dst_addr)));
    }
    let outer = *pkt.at::<OuterV4>(0)?;
    Ok((pkt, vxlan::vni_of(&outer.vxlan), Ip16::v4(outer.ip.dst_addr)))
}

/// Whether the way to the VTEP can carry a frame. Segments of a super-frame count, not the super-frame.
#[inline(always)]
fn fits(pkt: &Packet<'_>, flow: &Flow, mtu: u16) -> bool {
    let len = pkt.len();
    let ip_len = match (pkt.gso_size(), flow.protocol) {
        (0, _) => len - ETH.min(len),
        (segment, protocol::TCP) => match pkt.copy::<[u8; 2]>(flow.transport + TCP_DATA_OFFSET) {
            Some([offset, _]) => flow.transport - ETH + usize::from(offset >> 4) * 4 + segment,
            None => return false,
        },
        (segment, protocol::UDP) => flow.transport - ETH + UdpHdr::LEN + segment,
        // Nothing in the kernel cuts it up once it has an outer header (`bpf_skb_net_grow`, `inet_gso_segment`).
        _ => return false,
    };
    ip_len <= usize::from(mtu) && len <= vxlan::MAX_INNER
}
