//! Hosts, their agents and what befalls them.

mod life;
mod mail;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use overlay_tests::Random;
use overlay_user::{
    cluster::EndpointId,
    membership::{
        follow::Followed,
        limits::Limits,
        machine::{Machine, Wanted},
        record::{Key, NetworkRecord, Record},
    },
};

use self::{life::Recalled, mail::Post};
use super::{
    check::{self, Wrong},
    net::{Id, Replica},
    story::Rules,
};

/// A step of the simulated clock.
pub(crate) const STEP: u64 = 100;
/// The number of a host's first start: there are lower ones for those that have lost what number they had.
const FIRST_START: u64 = 1_000_000;

/// A host.
pub(crate) struct Host {
    pub(crate) name: String,
    /// What outlives the agent.
    pub(crate) disk: BTreeMap<Key, Record>,
    /// Since when it is there as it is.
    pub(crate) kept: BTreeMap<Key, u64>,
    /// What the agent knew of the others when it was last killed, which outlives it, too.
    peers: Vec<Recalled>,
    pub(crate) agent: Option<Agent>,
    pub(crate) is_up: bool,
    /// The part of a network that was split.
    pub(crate) side: u8,
    starts: u64,
    /// When its agent started last.
    started: u64,
    /// Until when its clock stands still.
    asleep_until: u64,
    /// Until when an agent without a past only listens.
    listens_until: u64,
    /// Since when nothing has befallen it, but for sleep.
    pub(crate) calm_since: u64,
}

impl Host {
    /// Since when nothing has befallen it.
    pub(crate) fn calm_since(&self) -> u64 {
        self.calm_since.max(self.asleep_until)
    }
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) machine: Machine,
    pub(crate) replica: Replica,
    /// The view, kept up to date, and the version that it is of.
    pub(crate) followed: (u64, Followed),
}

/// How bad the network is.
#[derive(Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) doubled: u64,
    pub(crate) delay: u64,
}

pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    names: Vec<String>,
    /// How many disks were lost.
    wipes: u64,
    pub(crate) now: u64,
    pub(crate) weather: Weather,
    pub(crate) limits: Limits,
    /// What is under way, by when it comes.
    post: BTreeMap<u64, Vec<Post>>,
    /// For each network's name the latest of what was done to it, and when.
    pub(crate) networks: BTreeMap<String, (NetworkRecord, u64)>,
    pub(crate) random: Random,
    /// Endpoints that wait for a lease.
    pub(crate) waiting: Vec<(Id, Wanted)>,
    rules: Rules,
}

/// Whether what happens so many times of a hundred happens now.
pub(crate) fn percent(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

/// One of them, where there is one.
pub(crate) fn pick<'a, T>(random: &mut Random, all: &'a [T]) -> Option<&'a T> {
    if all.is_empty() { None } else { all.get(random.below(all.len() as u64) as usize) }
}

/// The name of a host.
pub(crate) fn name(id: Id) -> String {
    format!("n{id:02}")
}

impl World {
    pub(crate) fn new(count: usize, weather: Weather, limits: Limits, random: Random, rules: Rules) -> Self {
        let host = |id| Host {
            name: name(id),
            disk: BTreeMap::new(),
            kept: BTreeMap::new(),
            peers: Vec::new(),
            agent: None,
            is_up: true,
            side: 0,
            starts: FIRST_START,
            started: 0,
            asleep_until: 0,
            listens_until: 0,
            calm_since: 0,
        };
        let hosts = (0..count).map(host).collect();
        let mut world = Self {
            hosts,
            names: (0..count).map(name).collect(),
            wipes: 0,
            now: 0,
            weather,
            limits,
            post: BTreeMap::new(),
            networks: BTreeMap::new(),
            random,
            waiting: Vec::new(),
            rules,
        };
        for id in 0..count {
            world.start(id);
        }
        world
    }

    /// Keeps and then publishes what an agent has changed.
    pub(crate) fn publish(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        let Some(agent) = &mut host.agent else { return };
        for change in agent.machine.take_changes() {
            if let (Key::Network(name), Some(Record::Network(record))) = (&change.key, &change.record) {
                let held = self.networks.get(name);
                if held.is_none_or(|(held, _)| check::beats(&record.stamp, &held.stamp)) {
                    self.networks.insert(name.clone(), (record.clone(), self.now));
                }
            }
            match &change.record {
                Some(record) => {
                    if host.disk.insert(change.key.clone(), record.clone()).as_ref() != Some(record) {
                        host.kept.insert(change.key.clone(), self.now);
                    }
                }
                None => drop(host.disk.remove(&change.key)),
            }
            agent.replica.publish(id, &change.key.to_string(), change.record.as_ref().map(Record::text));
        }
    }

    pub(crate) fn can_reach(&self, a: Id, b: Id) -> bool {
        let (a, b) = (&self.hosts[a], &self.hosts[b]);
        let is_there = |host: &Host| host.is_up && self.now >= host.asleep_until;
        is_there(a) && is_there(b) && a.side == b.side
    }

    /// What does not hold on a host, and when.
    pub(crate) fn wrong(&self, id: Id, what: &str) -> Wrong {
        Wrong(format!("{} ms: {} {what}", self.now, self.hosts[id].name))
    }

    /// Lets the clock take a step.
    pub(crate) fn step(&mut self) -> Result<(), Wrong> {
        self.now += STEP;
        self.deliver();
        for id in 0..self.hosts.len() {
            if self.hosts[id].agent.is_some() && !self.is_asleep(id) {
                self.turn(id)?;
            }
        }
        Ok(())
    }

    /// What an agent does of itself.
    fn turn(&mut self, id: Id) -> Result<(), Wrong> {
        let now = Duration::from_millis(self.now);
        self.catch_up(id);
        let has_slept = self.now == self.hosts[id].asleep_until;
        let Some(agent) = self.hosts[id].agent.as_mut() else { return Ok(()) };
        agent.replica.beat(id);
        let before = has_slept.then(|| agent.machine.view());
        agent.machine.tick(now);
        if before.is_some_and(|before| before != agent.machine.view()) {
            return Err(self.wrong(id, "has slept, and sees another cluster before it has heard of any"));
        }
        let silent = agent.machine.silent();
        let silent: Vec<Id> =
            silent.filter_map(|other| self.names.iter().position(|name| name == other)).collect();
        for other in silent {
            if self.can_reach(id, other)
                && !percent(&mut self.random, self.weather.loss)
                && let Some(agent) = self.hosts[id].agent.as_mut()
            {
                agent.machine.answered(&self.names[other]);
            }
        }
        self.publish(id);
        self.gossip(id);
        Ok(())
    }

    /// Splits the network in two.
    pub(crate) fn split(&mut self) {
        for id in 0..self.hosts.len() {
            self.hosts[id].side = self.random.below(2) as u8;
        }
        self.disturbed_all();
    }

    /// Ends all that has befallen: every host, agent and way is there again.
    pub(crate) fn heal(&mut self) {
        for id in 0..self.hosts.len() {
            self.hosts[id].side = 0;
            self.hosts[id].is_up = true;
            self.hosts[id].asleep_until = self.hosts[id].asleep_until.min(self.now);
            if self.hosts[id].agent.is_none() {
                self.start(id);
            }
        }
        self.disturbed_all();
    }

    pub(crate) fn disturbed_all(&mut self) {
        for host in &mut self.hosts {
            host.calm_since = self.now;
        }
    }

    /// The agents that run.
    pub(crate) fn agents(&self) -> impl Iterator<Item = (Id, &Agent)> {
        self.hosts.iter().enumerate().filter_map(|(id, host)| Some((id, host.agent.as_ref()?)))
    }

    /// Has every agent bring its view up to date.
    pub(crate) fn follow(&mut self) {
        for agent in self.hosts.iter_mut().filter_map(|host| host.agent.as_mut()) {
            let (version, followed) = &mut agent.followed;
            if *version != agent.machine.version() {
                *version = agent.machine.version();
                // What of it is another is found by who looks.
                let _news = agent.machine.follow(followed);
            }
        }
    }

    /// The hosts on which somebody can do something.
    pub(crate) fn ready(&self) -> Vec<Id> {
        (0..self.hosts.len()).filter(|id| self.is_ready(*id)).collect()
    }

    /// The identities of what a host's disk has as endpoints.
    pub(crate) fn endpoints_of(&self, id: Id) -> BTreeSet<&EndpointId> {
        let keys = self.hosts[id].disk.keys();
        keys.filter_map(|key| if let Key::Endpoint(id) = key { Some(id) } else { None }).collect()
    }
}
