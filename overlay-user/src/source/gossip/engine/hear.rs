//! What chitchat has of the peers' parts, told to the machine.

use std::collections::{BTreeMap, BTreeSet};

use chitchat::{Chitchat, ChitchatId, NodeState};
use tokio::time::Instant;

use super::{BEATS_OF_A_DOUBLE, Engine, Seen};
use crate::membership::{known::Learned, record::Key};

impl Engine {
    /// Takes in what all peers have published since.
    pub(super) fn take_in(&mut self, chitchat: &Chitchat) {
        let own = chitchat.self_chitchat_id();
        let states = chitchat.node_states();
        for (id, state) in states.iter().filter(|(id, _)| *id != own) {
            let seen = self.seen.get(id).copied().unwrap_or_default();
            let seen = if id.node_id == own.node_id {
                let (before, seen) = (seen.beats, beaten(seen, state));
                let is_there = seen.beats > before && seen.beats >= BEATS_OF_A_DOUBLE;
                if is_there && id.gossip_advertise_addr != own.gossip_advertise_addr {
                    self.double = Some((id.gossip_advertise_addr, Instant::now()));
                }
                seen
            } else {
                self.take_in_peer(id, state, seen)
            };
            self.seen.insert(id.clone(), seen);
        }
        self.forget(states);
    }

    /// Takes in what a peer has published since; what has been seen of it by then.
    fn take_in_peer(&mut self, id: &ChitchatId, state: &NodeState, seen: Seen) -> Seen {
        let (name, start) = (&*id.node_id, id.generation_id);
        let mut now = beaten(seen, state);
        let mut seen = seen;
        if now.beats > seen.beats && self.machine.heard_lower(name, start) {
            // All of it is told from the first on.
            (seen.version, now.version) = (0, 0);
        }
        let is_latest = self.machine.known().part(name).is_none_or(|part| part.start <= start);
        if now.beats > seen.beats && is_latest {
            self.machine.heard(name);
            self.addresses.insert(name.to_owned(), id.gossip_advertise_addr);
        }
        // Without its own record a peer has not said all; and what chitchat is told anew is less until it is all there.
        if state.max_version() <= seen.version || state.get(&Key::Node.to_string()).is_none() {
            return now;
        }
        let mut news: Vec<_> =
            state.key_values_including_deleted().filter(|(_, value)| value.version > seen.version).collect();
        news.sort_unstable_by_key(|(_, value)| value.version);
        for (key, value) in news {
            let text = (!value.is_deleted()).then_some(value.value.as_str());
            let learned = self.machine.learn(name, start, key, text);
            self.note(name, learned);
        }
        if state.last_gc_version() > seen.version {
            self.take_away(name, start, state);
        }
        now.version = state.max_version();
        now
    }

    /// Takes away what a peer has no more, where chitchat may have forgotten that it was deleted.
    fn take_away(&mut self, name: &str, start: u64, state: &NodeState) {
        let known = self.machine.known().part(name).into_iter().flat_map(|part| part.records.keys());
        let gone: Vec<String> =
            known.map(ToString::to_string).filter(|key| !state.contains_key(key)).collect();
        for key in gone {
            self.machine.learn(name, start, &key, None);
        }
    }

    fn note(&mut self, name: &str, learned: Learned) {
        let passed = self.passed.entry(name.to_owned()).or_default();
        match learned {
            Learned::Unbelieved(_) => passed.unbelieved += 1,
            Learned::TooMuch => passed.too_much += 1,
            Learned::Nothing | Learned::Something { .. } | Learned::Late => {}
        }
    }

    /// Forgets what chitchat has forgotten.
    fn forget(&mut self, states: &BTreeMap<ChitchatId, NodeState>) {
        let there: BTreeSet<&str> = states.keys().map(|id| &*id.node_id).collect();
        let gone: BTreeSet<String> = self
            .seen
            .keys()
            .map(|id| &*id.node_id)
            .filter(|name| !there.contains(name))
            .map(str::to_owned)
            .collect();
        for name in gone {
            self.machine.forget(&name);
            self.addresses.remove(&name);
            self.passed.remove(&name);
        }
        self.seen.retain(|id, _| states.contains_key(id));
    }
}

/// What has been seen of a node with its latest heartbeat. The first that is heard of may be a dead one's.
fn beaten(seen: Seen, state: &NodeState) -> Seen {
    let beat = u64::from(state.heartbeat());
    let grown = seen.beat > 0 && beat > seen.beat;
    Seen { beat: seen.beat.max(beat), beats: seen.beats.saturating_add(u32::from(grown)), ..seen }
}
