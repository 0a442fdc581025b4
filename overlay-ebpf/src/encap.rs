//! Encapsulation: pushes the outer header and sends the frame to its VTEP.
//!
//! The kernel's neighbour table supplies the next hop's MAC address, so that none can outlive an agent. It does so
//! for buffers that the kernel takes for IP. A frame that is not IP goes back to the device it came from: there the
//! kernel reads its type anew (`eth_type_trans`), now that of the outer header, and `from_container`, which knows it
//! by its mark, sends it on.

use network_types::udp::UdpHdr;
use overlay_common::{
    Counter, DropReason, Ip16, MacAddr, entropy,
    header::{Eth, Header, protocol},
    mark,
    vxlan::{self, OVERHEAD_V4, OuterV4},
};

use crate::{
    Drop, Verdict, helpers,
    inner::Flow,
    maps,
    packet::{ETH, Family, Packet},
    too_big,
};

/// Longest inner frame whose outer lengths still fit 16 bits: 65535 less outer IPv4, UDP and VXLAN headers.
const MAX_INNER: usize = 65_535 - (OVERHEAD_V4 - ETH);
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
    let mtu = maps::config()?.inner_mtu;
    if !fits(&pkt, flow, mtu) {
        return too_big::answer(pkt, vni, &eth, flow, mtu);
    }
    let outer = vtep.outer_v4(vni, pkt.len() as u16, flow.tos, entropy::source_port(flow.hash));
    let verdict = match flow.family {
        Family::V4 | Family::V6 => {
            let mut pkt = pkt.grow_ip()?;
            *pkt.at_mut::<OuterV4>(0)? = outer;
            *pkt.at_mut::<Eth>(OuterV4::LEN)? = eth;
            pkt.set_mark(mark::to_vtep(place));
            helpers::redirect_neigh(pkt, vtep.ifindex, vtep.next_hop_v4())?
        }
        Family::Other => {
            let mut pkt = pkt.grow_other()?;
            // No station's address: nobody's stack takes the frame in, should no program be there to meet it again.
            let eth = Eth { dst: MacAddr::ZERO, ..outer.eth };
            *pkt.at_mut::<OuterV4>(0)? = OuterV4 { eth, ..outer };
            pkt.set_mark(mark::to_vtep(place));
            let port = pkt.ifindex();
            return helpers::redirect_ingress(pkt, port);
        }
    };
    maps::count(Counter::ToUnderlay);
    Ok(verdict)
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

/// Whether the underlay can carry a frame. Segments of a super-frame count, not the super-frame.
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
    ip_len <= usize::from(mtu) && len <= MAX_INNER
}
