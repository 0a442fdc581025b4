//! One node's part in the cluster: what it is told and hears goes in, what it publishes and what it sees come out.
//!
//! No I/O, no clock: a simulator drives it as the agent does.

mod endpoint;
mod ipam;
mod lease;
mod network;

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;

pub use self::endpoint::{MOST_ENDPOINTS, Wanted};
use super::{
    follow::{Followed, News},
    known::{Known, Learned, Part},
    limits::Limits,
    liveness::{Alive, Liveness},
    networks,
    record::{Key, MOST_COUNT, Mode, NodeRecord, Record, Stamp},
    refusal::Refusal,
    resolve::{self, View},
};
use crate::cluster::Network;

/// What is to be published: a key of this node's part and its value, none where it is to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// The record.
    pub record: Option<Record>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Machine {
    name: String,
    start: u64,
    /// The latest start of this node that peers have told of.
    start_elsewhere: Option<u64>,
    /// The highest count of a claim that it knows.
    count: u64,
    known: Known,
    limits: Limits,
    liveness: Liveness,
    /// Since when a block is claimed that addresses are not given away of yet.
    unsettled: BTreeMap<(String, IpNet), Duration>,
    changes: Vec<Change>,
    /// How every peer was when it was last looked at.
    states: BTreeMap<String, Alive>,
    /// Grows with whatever may change the view.
    version: u64,
    /// The version that was last seen to.
    seen: u64,
    /// The version of the index that networks were last carried by.
    carried: u64,
    /// The networks that hold, and by which version of the index.
    networks: (u64, BTreeMap<String, Network>),
    /// Whether a deleted network may come back.
    #[cfg(feature = "broken")]
    is_broken: bool,
}

impl Machine {
    /// A node that starts, with what it published before.
    ///
    /// `start` is a number greater than that of any start before. Everything is published anew, its own record last.
    pub fn new(name: &str, start: u64, node: NodeRecord, kept: Vec<(Key, Record)>) -> Self {
        let mut machine = Self {
            name: name.to_owned(),
            start,
            start_elsewhere: None,
            count: 0,
            known: Known::default(),
            limits: Limits::default(),
            liveness: Liveness::default(),
            unsettled: BTreeMap::new(),
            changes: Vec::new(),
            states: BTreeMap::new(),
            version: 1,
            seen: 0,
            carried: 0,
            networks: (0, BTreeMap::new()),
            #[cfg(feature = "broken")]
            is_broken: false,
        };
        for (key, record) in kept.into_iter().filter(|(key, _)| *key != Key::Node) {
            machine.publish(key, Some(record));
        }
        machine.publish(Key::Node, Some(Record::Node(node)));
        machine
    }

    /// Breaks a rule, for a test that must find it.
    #[cfg(feature = "broken")]
    pub fn break_rule(&mut self) {
        self.is_broken = true;
    }

    /// How large the cluster may be: on every node the same, so that all find the same.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.networks.0 = u64::MAX;
        self.known.touch_all();
        self.version += 1;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is to be published since it was last asked: first to be kept, then to be told, all at once.
    ///
    /// Its own record is the last, so that who has that has all.
    pub fn take_changes(&mut self) -> Vec<Change> {
        if self.changes.is_empty() {
            return Vec::new();
        }
        self.changes.retain(|change| change.key != Key::Node);
        if let Some(node) = self.known.node(&self.name) {
            let node = NodeRecord { seq: node.seq + 1, ..node.clone() };
            self.publish(Key::Node, Some(Record::Node(node)));
        }
        std::mem::take(&mut self.changes)
    }

    /// Takes up what a peer published as it was known when this node stopped. It counts as heard of.
    pub fn recall(&mut self, node: &str, start: u64, records: BTreeMap<Key, Record>) {
        if node != self.name {
            self.count = records.values().map(Record::count).fold(self.count, u64::max);
            self.known.recall(node, start, records);
            self.liveness.heard(node);
            self.version += 1;
        }
    }

    /// What it publishes.
    pub fn own(&self) -> impl Iterator<Item = (&Key, &Record)> {
        self.known.part(&self.name).into_iter().flat_map(Part::records)
    }

    /// Whether it publishes something.
    pub fn publishes(&self, key: &Key) -> bool {
        self.known.part(&self.name).is_some_and(|part| part.records().contains_key(key))
    }

    /// What all nodes publish.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Takes in what a peer publishes.
    pub fn learn(&mut self, node: &str, start: u64, key: &str, value: Option<&str>) -> Learned {
        // What it publishes itself it knows; a peer that says so has it from an earlier start, or has its name.
        if node == self.name {
            self.start_elsewhere = self.start_elsewhere.max(Some(start));
            return Learned::Late;
        }
        let learned = self.known.learn(node, start, key, value);
        if let Learned::Something { count } = learned {
            self.count = self.count.max(count);
            self.version += 1;
        }
        learned
    }

    /// The latest start of a node that is known: of this one, the latest that peers know.
    ///
    /// Where that is later than its own, peers take nothing of what it says: its disk was lost, and it is to start again
    /// by a higher number (`restart`).
    pub fn known_start(&self, node: &str) -> Option<u64> {
        if node == self.name {
            return self.start_elsewhere;
        }
        self.known.part(node).map(|part| part.start)
    }

    /// A peer lives by a lower start than was recalled of it: it lost its disk while this node was away.
    ///
    /// Where that is so, all that it publishes is to be told from the first on. Only a heartbeat that grows is a sign of
    /// it: what others hand on of an earlier start is dead.
    pub fn heard_lower(&mut self, node: &str, start: u64) -> bool {
        node != self.name && self.known.lower(node, start)
    }

    /// So long a peer may be silent: as long as its heartbeats take to come.
    pub fn set_silence(&mut self, silence: Duration) {
        self.liveness.set_silence(silence);
    }

    /// A heartbeat of a peer has come.
    pub fn heard(&mut self, node: &str) {
        self.liveness.heard(node);
    }

    /// A silent peer's host has answered.
    pub fn answered(&mut self, node: &str) {
        self.liveness.answered(node);
    }

    /// The peers whose hosts are to be asked.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        self.liveness.silent()
    }

    /// The engine has dropped a peer that was gone.
    pub fn forget(&mut self, node: &str) {
        self.known.forget(node);
        self.liveness.forget(node);
        self.version += 1;
    }

    /// The state of a node.
    pub fn alive(&self, node: &str) -> Alive {
        if node == self.name {
            return Alive::Up;
        }
        self.known.part(node).map_or(Alive::Gone, |part| self.alive_by(node, part))
    }

    fn alive_by(&self, node: &str, part: &Part) -> Alive {
        if node == self.name {
            return Alive::Up;
        }
        match part.node() {
            Some(record) => self.liveness.of(node, record.mode),
            // It has not said all yet.
            None => Alive::Gone,
        }
    }

    /// The networks that hold.
    fn networks(&mut self) -> &BTreeMap<String, Network> {
        let version = self.known.index().version();
        if self.networks.0 != version {
            self.networks = (version, resolve::networks(&self.known, self.limits).0);
        }
        &self.networks.1
    }

    /// The cluster as this node sees it.
    pub fn view(&self) -> View {
        resolve::view(&self.known, &|node| self.alive(node), self.limits)
    }

    /// Brings a view up to date, which must have followed this node alone and from the first.
    pub fn follow(&mut self, followed: &mut Followed) -> News {
        let touched = self.known.take_touched();
        followed.follow(&self.known, &|node| self.alive(node), self.limits, touched)
    }

    /// Time has come on: carries networks, and gives up blocks that others have claimed later.
    pub fn tick(&mut self, now: Duration) {
        self.liveness.tick(now);
        let states = || self.known.parts().map(|(node, part)| (node, self.alive_by(node, part)));
        let is_same = states().eq(self.states.iter().map(|(node, alive)| (node.as_str(), *alive)));
        if !is_same {
            self.states = states().map(|(node, alive)| (node.to_owned(), alive)).collect();
            self.version += 1;
        }
        if self.seen == self.version {
            return;
        }
        if !is_same || self.carried != self.known.index().version() {
            for change in networks::to_carry(&self.known, &self.name, &|node| self.alive(node)) {
                self.publish(change.key, change.record);
            }
            self.carried = self.known.index().version();
        }
        self.give_up_blocks();
        self.seen = self.version;
    }

    /// A number that is the same for as long as the view is.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Publishes everything anew, by a start of a higher number.
    pub fn restart(&mut self, start: u64) {
        let own: Vec<(Key, Record)> = self.own().map(|(key, record)| (key.clone(), record.clone())).collect();
        self.start = start;
        self.changes.clear();
        let (node, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|(key, _)| *key == Key::Node);
        for (key, record) in others.into_iter().chain(node) {
            self.publish(key, Some(record));
        }
    }

    /// Says what this node is about to do.
    pub fn set_mode(&mut self, mode: Mode) {
        self.set_node(|node| NodeRecord { mode, ..node });
    }

    /// Changes what this node says of itself.
    pub fn set_node(&mut self, change: impl FnOnce(NodeRecord) -> NodeRecord) {
        if let Some(node) = self.known.node(&self.name).cloned() {
            let changed = change(node.clone());
            if changed != node {
                self.publish(Key::Node, Some(Record::Node(changed)));
            }
        }
    }

    /// The stamp of a new claim: later than any that is known.
    fn stamp(&mut self) -> Result<Stamp, Refusal> {
        if self.count >= MOST_COUNT {
            return Err(Refusal::Spent);
        }
        self.count += 1;
        Ok(Stamp { count: self.count, node: self.name.clone() })
    }

    fn publish(&mut self, key: Key, record: Option<Record>) {
        self.count = self.count.max(record.as_ref().map_or(0, Record::count));
        self.known.put(&self.name, self.start, key.clone(), record.clone());
        self.version += 1;
        self.changes.push(Change { key, record });
    }
}
