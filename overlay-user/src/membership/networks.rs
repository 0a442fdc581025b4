//! Networks belong to the cluster, not to who made them: others carry their records, too.
//!
//! They do so while the maker is there: it may come back without its disk, and with a record that nobody else publishes
//! the network would be gone at once, and all its endpoints.

use std::cmp::Reverse;

use overlay_common::{Vni, hash::fnv1a};

use super::{
    index::OfNetwork,
    known::Known,
    liveness::Alive,
    machine::Change,
    record::{Key, NetworkRecord, Record},
    resolve::{AliveOf, latest_networks},
};

/// So many nodes carry a record besides its maker.
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
    let up: Vec<&str> = known.parts().map(|(node, _)| node).filter(|node| alive(node) == Alive::Up).collect();
    let mut changes = Vec::new();
    for (name, network) in known.index().networks() {
        let Some(record) = network.latest() else { continue };
        let key = || Key::Network(name.to_owned());
        let own = network.records.get(me);
        let has = own.is_some_and(|own| own.stamp == record.stamp);
        if record.network.is_none() && forgotten.is_some_and(|stamp| record.stamp <= *stamp) {
            changes.extend(own.map(|_| Change { key: key(), record: None }));
        } else if record.stamp.node == me || is_carrier(me, &up, name, &record.stamp.node) {
            if !has {
                changes.push(Change { key: key(), record: Some(Record::Network(record.clone())) });
            }
        } else if own.is_some() && !(has && is_needed(network, record, me, &up)) {
            changes.push(Change { key: key(), record: None });
        }
    }
    changes
}

/// Whether this node, which did not make a network, is among those that publish its record all the same.
fn is_carrier(me: &str, up: &[&str], name: &str, maker: &str) -> bool {
    let own = (rank(name, me), me);
    let before = up.iter().filter(|node| **node != maker && (rank(name, node), **node) < own);
    before.take(CARRIERS).count() < CARRIERS
}

/// Whether too few others publish a record for this node to leave it to them.
fn is_needed(network: &OfNetwork, record: &NetworkRecord, me: &str, up: &[&str]) -> bool {
    let others = network.records.iter().filter(|(node, other)| {
        &***node != me && other.stamp == record.stamp && up.binary_search(&&***node).is_ok()
    });
    others.count() < CARRIERS
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
