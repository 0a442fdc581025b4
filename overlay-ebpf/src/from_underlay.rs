//! A frame from the underlay: is it from a member, and for whom.

use aya_ebpf::programs::TcContext;
use overlay_common::{
    Counter, DropReason, MacAddr,
    header::{Eth, ethertype},
    map::{Fdb, Member},
};

use crate::{
    Drop, Verdict, decap,
    from_container::deliver,
    helpers, maps,
    maps::Network,
    neigh_remote::{self, Sender},
    outer::{self, Outer},
    packet::{Family, Packet},
};

#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let pkt = Packet::new(ctx);
    let Some((pkt, outer)) = outer::read(pkt).map_err(Drop::outside)? else { return Ok(Verdict::Pass) };
    let vni = outer.vni;
    let member = maps::member(vni, outer.src).map_err(|reason| {
        // A VNI of nobody is no network to count under.
        Drop { vni: if matches!(reason, DropReason::VtepNotInVni) { vni } else { 0 }, reason }
    })?;
    frame(pkt, &outer, member).map_err(|reason| Drop { vni, reason })
}

/// Decapsulates a frame of a member and gives it to the endpoint it is for.
#[inline(always)]
fn frame(pkt: Packet<'_>, outer: &Outer, member: &Member) -> Result<Verdict, DropReason> {
    if member.flags & Member::ENCRYPTED != 0 {
        return Err(DropReason::NotEncrypted);
    }
    let eth = *pkt.at::<Eth>(outer.inner)?;
    if !MacAddr::is_unicast(eth.src) {
        return Err(DropReason::Malformed);
    }
    let about_neighbours = neigh_remote::concerns(&pkt, outer.inner, &eth);
    if eth.dst.is_multicast() && !about_neighbours {
        return Err(DropReason::Bum);
    }
    let family = match eth.ethertype {
        ethertype::VLAN | ethertype::QINQ => return Err(DropReason::VlanTagged),
        ethertype::IPV4 => Family::V4,
        ethertype::IPV6 => Family::V6,
        _ => Family::Other,
    };
    let network = Network { vni: outer.vni, slice: &member.slice };
    let sender = Sender { network, vtep: outer.src, mac: eth.src };
    if eth.dst.is_multicast() {
        let (pkt, _) = decap::strip(trim(pkt, outer.end)?, outer, eth, family)?;
        let (pkt, asked) = neigh_remote::check(pkt, sender, &eth)?;
        // What asks nothing is for nobody: an announcement tells what the tables have.
        let fdb = sender.port_of(asked.ok_or(DropReason::Bum)?)?;
        // Through the device, so that the container's stack knows it as sent to a group (`eth_type_trans`).
        let verdict = helpers::redirect(pkt, fdb.to())?;
        maps::count(Counter::FromUnderlay);
        return Ok(verdict);
    }
    let fdb = maps::fdb(network, eth.dst)?;
    match fdb.delivery() {
        Fdb::PEER | Fdb::EGRESS => {
            let (mut pkt, typed) = decap::strip(trim(pkt, outer.end)?, outer, eth, family)?;
            if about_neighbours {
                pkt = neigh_remote::check(pkt, sender, &eth)?.0;
            }
            let verdict = deliver(pkt, fdb, typed)?;
            maps::count(Counter::FromUnderlay);
            Ok(verdict)
        }
        _ => Err(DropReason::SplitHorizon),
    }
}

/// Cuts off what lies behind the UDP datagram (padding of short frames).
#[inline(always)]
fn trim(pkt: Packet<'_>, end: usize) -> Result<Packet<'_>, DropReason> {
    if pkt.len() == end { Ok(pkt) } else { pkt.resize(end) }
}
