//! Agents start and end, and what they leave behind.

use std::{collections::BTreeMap, time::Duration};

use overlay_user::membership::{
    follow::Followed,
    machine::Machine,
    record::{Key, Mode, NodeRecord, Record},
};

use super::{Agent, Host, World};
use crate::{
    net::{Id, Replica},
    story::Rules,
};

/// So long what a node publishes may take to be kept by another.
const SPREAD: u64 = 5_000;
/// More than a host starts between two losses of its disk: no number of a start is ever given twice.
const STARTS: u64 = 100;
/// So long an agent without a past listens before it does anything, as the agent does.
const LISTEN: u64 = 3_000;

/// What an agent knew of another node: its name, its start and its records.
pub(super) type Recalled = (String, u64, BTreeMap<Key, Record>);

impl World {
    /// Starts an agent with what its disk holds.
    pub(crate) fn start(&mut self, id: Id) {
        let count = self.hosts.len();
        let host = &mut self.hosts[id];
        host.starts += 1;
        host.started = self.now;
        let node = NodeRecord {
            vteps: vec![std::net::Ipv4Addr::new(10, 88, 0, id as u8 + 1).into()],
            version: "1.0.0".to_owned(),
            mode: Mode::Up,
            seq: 0,
            keys: Vec::new(),
        };
        let kept = host.disk.iter().map(|(key, record)| (key.clone(), record.clone())).collect();
        let mut machine = Machine::new(&host.name, host.starts, node, kept);
        machine.set_limits(self.limits);
        if self.rules == Rules::Broken {
            machine.break_rule();
        }
        for (name, start, records) in std::mem::take(&mut host.peers) {
            machine.recall(&name, start, records);
        }
        machine.tick(Duration::from_millis(self.now));
        host.agent = Some(Agent {
            machine,
            replica: Replica::start(id, count, host.starts),
            followed: (0, Followed::default()),
        });
        self.publish(id);
    }

    /// Kills an agent; the host goes on.
    pub(crate) fn kill(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        if let Some(agent) = host.agent.take() {
            let others = agent.machine.known().parts().filter(|(name, _)| *name != host.name);
            host.peers =
                others.map(|(name, part)| (name.to_owned(), part.start, part.records().clone())).collect();
        }
    }

    /// Takes from a host all that its agent kept; its next start has a lower number than any before.
    pub(crate) fn wipe(&mut self, id: Id) {
        let disk = std::mem::take(&mut self.hosts[id].disk);
        for (key, record) in &disk {
            let (Key::Network(name), Record::Network(record)) = (key, record) else { continue };
            let is_kept = self.hosts.iter().any(|host| {
                matches!(host.disk.get(key), Some(Record::Network(kept)) if kept.stamp >= record.stamp)
            });
            let made = self.networks.get(name).map_or(self.now, |(_, made)| *made);
            // Where nobody else can have kept it yet it may be lost or not.
            if !is_kept && !self.has_spread(id, made) {
                self.networks.remove(name);
            }
        }
        self.kill(id);
        self.wipes += 1;
        let host = &mut self.hosts[id];
        (host.starts, host.listens_until) = (self.wipes * STARTS, self.now + LISTEN);
        host.peers.clear();
    }

    /// Whether somebody else must have what a host has published since some time.
    fn has_spread(&self, id: Id, since: u64) -> bool {
        let is_calm = |host: &Host| {
            host.agent.is_some()
                && [since, host.started, host.calm_since()]
                    .iter()
                    .all(|since| self.now >= since.saturating_add(SPREAD))
        };
        let mut others = self.hosts.iter().enumerate().filter(|(other, _)| *other != id);
        is_calm(&self.hosts[id]) && others.any(|(other, host)| is_calm(host) && self.can_reach(id, other))
    }

    /// Starts an agent again whose peers know a later start of it.
    pub(super) fn catch_up(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        let Some(agent) = &mut host.agent else { return };
        let Some(known) = agent.machine.known_start(&host.name).filter(|known| *known > host.starts) else {
            return;
        };
        host.starts = known + 1;
        agent.replica.restart(id, host.starts);
        agent.machine.restart(host.starts);
    }

    /// Whether a host's clock stands still.
    pub(crate) fn is_asleep(&self, id: Id) -> bool {
        self.now < self.hosts[id].asleep_until
    }

    /// Whether somebody can do something on a host.
    pub(crate) fn is_ready(&self, id: Id) -> bool {
        let host = &self.hosts[id];
        host.agent.is_some() && self.now >= host.asleep_until && self.now >= host.listens_until
    }

    /// Has a host's clock stand still for so long.
    pub(crate) fn sleep(&mut self, id: Id, time: u64) {
        self.hosts[id].asleep_until = self.now + time;
    }
}
