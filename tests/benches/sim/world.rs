//! Hosts, their agents and what befalls them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use overlay_tests::Random;
use overlay_user::{
    cluster::EndpointId,
    membership::{
        machine::{Machine, Wanted},
        record::{Key, Mode, NodeRecord, Record},
    },
};

use super::{
    check::Wrong,
    net::{Heard, Id, Message, Replica},
    story::Rules,
};

/// A step of the simulated clock.
pub(crate) const STEP: u64 = 100;

/// A host.
pub(crate) struct Host {
    pub(crate) name: String,
    /// What outlives the agent.
    pub(crate) disk: BTreeMap<Key, Record>,
    pub(crate) agent: Option<Agent>,
    pub(crate) is_up: bool,
    /// The part of a network that was split.
    pub(crate) side: u8,
    starts: u64,
    /// Since when nothing has befallen it.
    pub(crate) calm_since: u64,
}

/// A running agent.
pub(crate) struct Agent {
    pub(crate) machine: Machine,
    pub(crate) replica: Replica,
}

struct Post {
    from: Id,
    to: Id,
    message: Message,
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
    pub(crate) now: u64,
    pub(crate) weather: Weather,
    /// What is under way, by when it comes.
    post: BTreeMap<u64, Vec<Post>>,
    /// For each network's name the latest of what was done to it: whether it was made.
    pub(crate) networks: BTreeMap<String, (u64, String, bool)>,
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
    pub(crate) fn new(count: usize, weather: Weather, random: Random, rules: Rules) -> Self {
        let host = |id| Host {
            name: name(id),
            disk: BTreeMap::new(),
            agent: None,
            is_up: true,
            side: 0,
            starts: 0,
            calm_since: 0,
        };
        let hosts = (0..count).map(host).collect();
        let mut world = Self {
            hosts,
            names: (0..count).map(name).collect(),
            now: 0,
            weather,
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

    /// Starts an agent with what its disk holds.
    pub(crate) fn start(&mut self, id: Id) {
        let count = self.hosts.len();
        let host = &mut self.hosts[id];
        host.starts += 1;
        let node = NodeRecord {
            vteps: vec![std::net::Ipv4Addr::new(10, 88, 0, id as u8 + 1).into()],
            version: "1.0.0".to_owned(),
            mode: Mode::Up,
            seq: 0,
            keys: Vec::new(),
        };
        let kept = host.disk.iter().map(|(key, record)| (key.clone(), record.clone())).collect();
        let mut machine = Machine::new(&host.name, host.starts, node, kept);
        if self.rules == Rules::Broken {
            machine.break_rule();
        }
        machine.tick(Duration::from_millis(self.now));
        host.agent = Some(Agent { machine, replica: Replica::start(id, count, host.starts) });
        self.publish(id);
    }

    /// Kills an agent; the host goes on.
    pub(crate) fn kill(&mut self, id: Id) {
        self.hosts[id].agent = None;
    }

    /// Keeps and then publishes what an agent has changed.
    pub(crate) fn publish(&mut self, id: Id) {
        let host = &mut self.hosts[id];
        let Some(agent) = &mut host.agent else { return };
        for change in agent.machine.take_changes() {
            if let (Key::Network(name), Some(Record::Network(record))) = (&change.key, &change.record) {
                let done = (record.stamp.count, std::cmp::Reverse(&record.stamp.node));
                let held = self.networks.get(name).map(|(count, node, _)| (*count, std::cmp::Reverse(node)));
                if held.is_none_or(|held| done > held) {
                    let latest = (record.stamp.count, record.stamp.node.clone(), record.network.is_some());
                    self.networks.insert(name.clone(), latest);
                }
            }
            match &change.record {
                Some(record) => drop(host.disk.insert(change.key.clone(), record.clone())),
                None => drop(host.disk.remove(&change.key)),
            }
            agent.replica.publish(id, &change.key.to_string(), change.record.as_ref().map(Record::text));
        }
    }

    pub(crate) fn can_reach(&self, a: Id, b: Id) -> bool {
        let (a, b) = (&self.hosts[a], &self.hosts[b]);
        a.is_up && b.is_up && a.side == b.side
    }

    /// What does not hold on a host, and when.
    pub(crate) fn wrong(&self, id: Id, what: &str) -> Wrong {
        Wrong(format!("{} ms: {} {what}", self.now, self.hosts[id].name))
    }

    /// Lets the clock take a step.
    pub(crate) fn step(&mut self) {
        self.now += STEP;
        self.deliver();
        let now = Duration::from_millis(self.now);
        for id in 0..self.hosts.len() {
            let Some(agent) = self.hosts[id].agent.as_mut() else { continue };
            agent.replica.beat(id);
            agent.machine.tick(now);
            let silent: Vec<Id> = agent
                .machine
                .silent()
                .filter_map(|other| self.names.iter().position(|name| name == other))
                .collect();
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
        }
    }

    fn gossip(&mut self, id: Id) {
        let count = self.hosts.len() as u64;
        let Some(agent) = &self.hosts[id].agent else { return };
        let has = agent.replica.digest();
        for _ in 0..2 {
            let to = self.random.below(count) as Id;
            if to != id {
                self.send(id, to, Message::Digest { has: Arc::clone(&has), answer: false });
            }
        }
    }

    fn send(&mut self, from: Id, to: Id, message: Message) {
        let copies = if percent(&mut self.random, self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if !percent(&mut self.random, self.weather.loss) {
                let at = self.now + 1 + self.random.below(self.weather.delay);
                self.post.entry(at).or_default().push(Post { from, to, message: message.clone() });
            }
        }
    }

    fn deliver(&mut self) {
        // What is under way when the way is cut is lost.
        let later = self.post.split_off(&(self.now + 1));
        for post in std::mem::replace(&mut self.post, later).into_values().flatten() {
            if self.can_reach(post.from, post.to) {
                self.receive(post);
            }
        }
    }

    fn receive(&mut self, post: Post) {
        let Post { from, to, message } = post;
        let Some(agent) = self.hosts[to].agent.as_mut() else { return };
        match message {
            Message::Digest { has, answer } => {
                let news = agent.replica.news_for(&has);
                let own = agent.replica.digest();
                if !news.is_empty() {
                    self.send(to, from, Message::News(news.into()));
                }
                if !answer {
                    self.send(to, from, Message::Digest { has: own, answer: true });
                }
            }
            Message::News(news) => {
                for heard in agent.replica.take(to, &news) {
                    match heard {
                        Heard::Beat(of) => agent.machine.heard(&self.names[of]),
                        Heard::Entry { of, start, key, value } => {
                            agent.machine.learn(&self.names[of], start, &key, value.as_deref());
                        }
                        Heard::Later(_) => {}
                    }
                }
            }
        }
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

    /// The hosts with a running agent.
    pub(crate) fn running(&self) -> Vec<Id> {
        self.agents().map(|(id, _)| id).collect()
    }

    /// The identities of what a host's disk has as endpoints.
    pub(crate) fn endpoints_of(&self, id: Id) -> BTreeSet<&EndpointId> {
        let keys = self.hosts[id].disk.keys();
        keys.filter_map(|key| if let Key::Endpoint(id) = key { Some(id) } else { None }).collect()
    }
}
