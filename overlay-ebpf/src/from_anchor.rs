//! A frame that `from_underlay` left to our vxlan device, unpacked.
//!
//! `bpf_skb_adjust_room` takes a header off but not what the socket buffer knows of it (`skb->encapsulation`, the tunnel in
//! `gso_type`). A UDP socket drops a super-frame with such rests, and a container that sends one on sends a wrong one. The
//! kernel's own VXLAN clears them (`iptunnel_pull_offloads`), and marks inwards as RFC 6040 says.

use aya_ebpf::programs::TcContext;
use overlay_common::{
    Counter, DropReason,
    header::{Eth, ethertype},
    map::Fdb,
    mark,
};

use crate::{
    Drop, Verdict,
    from_container::deliver,
    maps,
    packet::{ETH, Family, Packet},
};

/// The frame is checked already; only where it goes is asked again.
#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let mut pkt = Packet::new(ctx);
    if pkt.mark() != mark::ANCHOR {
        return Err(Drop::outside(DropReason::ForgedAnchor));
    }
    let vni = pkt.priority();
    pkt.set_mark(0);
    pkt.set_priority(0);
    let network = maps::network(vni).map_err(Drop::outside)?;
    frame(pkt, network).map_err(|reason| Drop { vni, reason })
}

#[inline(always)]
fn frame(pkt: Packet<'_>, network: maps::Network<'_>) -> Result<Verdict, DropReason> {
    let pkt = pkt.pull(ETH)?;
    let eth = *pkt.at::<Eth>(0)?;
    let family = match eth.ethertype {
        ethertype::IPV4 => Family::V4,
        ethertype::IPV6 => Family::V6,
        _ => Family::Other,
    };
    let fdb = maps::fdb(network, eth.dst)?;
    match fdb.delivery() {
        Fdb::PEER | Fdb::EGRESS => {
            let verdict = deliver(pkt, fdb, family != Family::Other)?;
            maps::count(Counter::FromUnderlay);
            Ok(verdict)
        }
        _ => Err(DropReason::SplitHorizon),
    }
}
