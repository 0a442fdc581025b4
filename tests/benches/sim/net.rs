//! The engine as the simulator has it: every node's replica of what every node publishes, and the messages between them.
//!
//! What holds of scuttlebutt holds here: a part has one writer, its entries versions, and a replica has a part up to some
//! version, whole. Messages are lost, doubled, delayed and so overtaken.

use std::collections::BTreeMap;

/// The most entries of a message.
const MOST_ENTRIES: usize = 64;

/// A node's number.
pub(crate) type Id = usize;

/// A part of a replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    start: u64,
    beat: u64,
    top: u64,
    entries: BTreeMap<String, (u64, Option<String>)>,
}

/// What a replica has of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Has {
    start: u64,
    beat: u64,
    top: u64,
}

/// What one replica has and another has not.
#[derive(Clone, Debug)]
pub(crate) struct News {
    of: Id,
    start: u64,
    beat: u64,
    top: u64,
    entries: Vec<(u64, String, Option<String>)>,
    /// The version that the receiver must have for these to follow.
    after: u64,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// What the sender has; whether it answers such a one.
    Digest { has: Vec<(Id, Has)>, answer: bool },
    /// What the receiver had not.
    News(Vec<News>),
}

/// What a machine is to hear of.
pub(crate) enum Heard {
    Beat(Id),
    Entry { of: Id, start: u64, key: String, value: Option<String> },
}

/// A node's replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    parts: BTreeMap<Id, Part>,
}

impl Replica {
    /// Starts its own part.
    pub(crate) fn start(me: Id, start: u64) -> Self {
        let own = Part { start, ..Part::default() };
        Self { parts: BTreeMap::from([(me, own)]) }
    }

    /// Publishes in its own part.
    pub(crate) fn publish(&mut self, me: Id, key: String, value: Option<String>) {
        if let Some(part) = self.parts.get_mut(&me) {
            part.top += 1;
            part.entries.insert(key, (part.top, value));
        }
    }

    /// The start of a part; 0 where it is not there.
    pub(crate) fn start_of(&self, id: Id) -> u64 {
        self.parts.get(&id).map_or(0, |part| part.start)
    }

    /// A heartbeat of its own.
    pub(crate) fn beat(&mut self, me: Id) {
        if let Some(part) = self.parts.get_mut(&me) {
            part.beat += 1;
        }
    }

    pub(crate) fn digest(&self) -> Vec<(Id, Has)> {
        let has = |part: &Part| Has { start: part.start, beat: part.beat, top: part.top };
        self.parts.iter().map(|(id, part)| (*id, has(part))).collect()
    }

    /// What it has and the sender of a digest has not.
    pub(crate) fn news_for(&self, digest: &[(Id, Has)]) -> Vec<News> {
        let mut room = MOST_ENTRIES;
        let mut news = Vec::new();
        for (id, part) in &self.parts {
            let there = digest.iter().find(|(other, _)| other == id).map(|(_, has)| *has);
            let after = match there {
                Some(has) if has.start > part.start => continue,
                Some(has) if has.start == part.start => {
                    if has.top >= part.top && has.beat >= part.beat {
                        continue;
                    }
                    has.top
                }
                Some(_) | None => 0,
            };
            let mut entries: Vec<_> = part
                .entries
                .iter()
                .filter(|(_, (version, _))| *version > after)
                .map(|(key, (version, value))| (*version, key.clone(), value.clone()))
                .collect();
            entries.sort_unstable();
            let all = entries.len() <= room;
            entries.truncate(room);
            room -= entries.len();
            let top = if all { part.top } else { entries.last().map_or(after, |entry| entry.0) };
            news.push(News { of: *id, start: part.start, beat: part.beat, top, entries, after });
        }
        news
    }

    /// Takes news in; what is to be heard of them, in order.
    pub(crate) fn take(&mut self, me: Id, news: Vec<News>) -> Vec<Heard> {
        let mut heard = Vec::new();
        for News { of, start, beat, top, entries, after } in news {
            if of == me {
                continue;
            }
            let part = self.parts.entry(of).or_insert_with(|| Part { start, ..Part::default() });
            if start < part.start {
                continue;
            }
            if start > part.start {
                *part = Part { start, ..Part::default() };
            }
            if beat > part.beat {
                part.beat = beat;
                heard.push(Heard::Beat(of));
            }
            if after > part.top {
                continue;
            }
            for (version, key, value) in entries {
                if version > part.top || part.entries.get(&key).is_none_or(|(known, _)| *known < version) {
                    part.entries.insert(key.clone(), (version, value.clone()));
                    heard.push(Heard::Entry { of, start, key, value });
                }
            }
            part.top = part.top.max(top);
        }
        heard
    }
}
