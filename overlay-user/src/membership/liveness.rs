//! Who is there: heartbeats by gossip, and whether a silent node's host still answers.
//!
//! An agent that died has not taken its node along: what the kernel forwards there, it goes on forwarding. Only a node
//! that is silent and whose host answers nobody either is dead.

use std::{collections::BTreeMap, time::Duration};

use super::record::Mode;

/// So long a node may be silent, where its heartbeats come soon: the least that an engine may say.
pub const SILENCE: Duration = Duration::from_secs(4);
/// So long a node that said it would come back may be silent.
pub const UPGRADE: Duration = Duration::from_mins(2);
/// After so long a silence a dead node's addresses are free for others.
pub const RECLAIM: Duration = Duration::from_mins(15);
/// A clock that is asked so late has not run meanwhile: this host was busy, not its peers silent.
const STALL: Duration = Duration::from_secs(1);
/// So much of a stall counts that follows another: a host that is always late finds out who is dead, too, only later.
const OF_A_STALL: Duration = Duration::from_millis(250);

/// What is known of a node's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alive {
    /// It gossips.
    Up,
    /// It is silent, as it said it would be.
    Upgrading,
    /// It is silent, and its host answers.
    AgentDown,
    /// It is silent, and so is its host.
    Dead,
    /// Dead for so long that its addresses are free.
    Gone,
}

impl Alive {
    /// Whether its endpoints are forwarded to.
    pub fn is_visible(self) -> bool {
        self <= Self::AgentDown
    }
}

#[derive(Clone, Copy, Debug)]
struct Signs {
    heard: Duration,
    answered: Duration,
}

/// The last signs of life of every peer.
#[derive(Clone, Debug)]
pub struct Liveness {
    peers: BTreeMap<String, Signs>,
    /// So long a node may be silent.
    silence: Duration,
    /// What the clock was last.
    clock: Duration,
    /// How long this node has been awake: all times are of that.
    now: Duration,
    /// Whether the clock was late when it was last asked.
    was_late: bool,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            peers: BTreeMap::new(),
            silence: SILENCE,
            clock: Duration::ZERO,
            now: Duration::ZERO,
            was_late: false,
        }
    }
}

impl Liveness {
    /// From now on, a node may be silent for so long: the longer, the longer its heartbeats take to come.
    pub fn set_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// The time it is by a monotonic clock.
    ///
    /// While that jumps, by a second or by an hour, nothing ages: neither anybody's silence nor this node's claims.
    pub fn tick(&mut self, clock: Duration) {
        let passed = clock.saturating_sub(self.clock);
        let is_late = passed > STALL;
        self.now += match (is_late, self.was_late) {
            (false, _) => passed,
            (true, false) => Duration::ZERO,
            (true, true) => OF_A_STALL,
        };
        self.was_late = is_late;
        self.clock = self.clock.max(clock);
    }

    /// A heartbeat of a node has come.
    pub fn heard(&mut self, node: &str) {
        let now = self.now;
        let signs = Signs { heard: now, answered: now };
        match self.peers.get_mut(node) {
            Some(known) => *known = signs,
            None => drop(self.peers.insert(node.to_owned(), signs)),
        }
    }

    /// The host of a node has answered.
    pub fn answered(&mut self, node: &str) {
        let now = self.now;
        if let Some(signs) = self.peers.get_mut(node) {
            signs.answered = now;
        }
    }

    /// The state of a peer that says of itself what it is about to do.
    pub fn of(&self, node: &str, mode: Mode) -> Alive {
        let Some(signs) = self.peers.get(node) else { return Alive::Gone };
        let silent = self.now.saturating_sub(signs.heard);
        let away = self.now.saturating_sub(signs.answered.max(signs.heard));
        if mode == Mode::Leaving {
            Alive::Gone
        } else if silent <= self.silence {
            Alive::Up
        } else if mode == Mode::Upgrading && silent <= UPGRADE {
            Alive::Upgrading
        } else if away <= self.silence {
            Alive::AgentDown
        } else if away <= RECLAIM {
            Alive::Dead
        } else {
            Alive::Gone
        }
    }

    /// The peers whose hosts are to be asked, being silent for more than half of what they may.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let (now, half) = (self.now, self.silence / 2);
        self.peers
            .iter()
            .filter(move |(_, signs)| now.saturating_sub(signs.heard) > half)
            .map(|(node, _)| node.as_str())
    }

    /// Forgets a node.
    pub fn forget(&mut self, node: &str) {
        self.peers.remove(node);
    }

    /// How long this node has been awake; a clock that stands still while it is not.
    pub fn now(&self) -> Duration {
        self.now
    }
}
