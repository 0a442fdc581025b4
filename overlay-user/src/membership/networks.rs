//! Networks belong to the cluster, not to who made them: when that node is not there, others carry their records.

use std::cmp::Reverse;

use overlay_common::{Vni, hash::fnv1a};

use super::{
    known::Known,
    liveness::Alive,
    machine::Change,
    record::{Key, NetworkRecord, Record},
    resolve::{AliveOf, latest_networks},
};

/// So many nodes carry a record whose maker is away.
const CARRIERS: usize = 3;
/// So many deleted networks are remembered, the latest ones.
const MOST_DELETED: usize = 512;
/// The VNIs that are given out where none is asked for: above those that people count up from 1.
const FIRST_VNI: u32 = 0x10_0000;

/// What this node is to carry from now on, and what no more.
pub(super) fn to_carry(known: &Known, me: &str, alive: AliveOf<'_>) -> Vec<Change> {
    let latest = latest_networks(known);
    let mut deleted: Vec<_> = latest.values().filter(|record| record.network.is_none()).collect();
    deleted.sort_unstable_by_key(|record| Reverse(&record.stamp));
    let forgotten = deleted.get(MOST_DELETED).map(|record| &record.stamp);
    let mut changes = Vec::new();
    for (name, record) in &latest {
        let key = Key::Network((*name).to_owned());
        let own = known.index().network(name).and_then(|network| network.records.get(me));
        let forget = record.network.is_none() && forgotten.is_some_and(|stamp| record.stamp <= *stamp);
        let wanted = !forget && is_carrier(known, me, alive, name, record);
        let has = own.is_some_and(|own| own.stamp == record.stamp);
        if wanted && !has {
            changes.push(Change { key, record: Some(Record::Network((*record).clone())) });
        } else if !wanted && own.is_some() {
            changes.push(Change { key, record: None });
        }
    }
    changes
}

/// Whether this node is to publish a network's record: it made it, or is among those that carry it for its maker.
fn is_carrier(known: &Known, me: &str, alive: AliveOf<'_>, name: &str, record: &NetworkRecord) -> bool {
    let maker = record.stamp.node.as_str();
    if maker == me {
        return true;
    }
    let publishes = |node: &str| {
        let own = known.index().network(name).and_then(|network| network.records.get(node));
        own.is_some_and(|own| own.stamp == record.stamp)
    };
    if alive(maker) == Alive::Up && publishes(maker) {
        return false;
    }
    let mut nodes: Vec<_> = known
        .parts()
        .filter(|(node, _)| *node != maker && alive(node) == Alive::Up)
        .map(|(node, _)| (rank(name, node), node))
        .collect();
    nodes.sort_unstable();
    nodes.iter().take(CARRIERS).any(|(_, node)| *node == me)
}

/// A VNI for a network that nobody named one for: the same on every node, unless it is taken.
pub(super) fn free_vni(name: &str, taken: impl Fn(Vni) -> bool) -> Option<Vni> {
    let span = Vni::MAX - FIRST_VNI;
    let from = (rank(name, "") % u64::from(span)) as u32;
    (0..span)
        .map(|step| FIRST_VNI + (from + step) % span)
        .filter(|vni| *vni != Vni::ANCHOR)
        .filter_map(|vni| Vni::new(vni).ok())
        .find(|vni| !taken(*vni))
}

/// A number that depends on both and on nothing else.
fn rank(name: &str, node: &str) -> u64 {
    fnv1a(name.bytes().chain([0]).chain(node.bytes()))
}
