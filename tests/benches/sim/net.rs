//! The engine as the simulator has it: every node's replica of what every node publishes, and the messages between them.
//!
//! What holds of scuttlebutt holds here: a part has one writer, its entries versions, and a replica has a part up to some
//! version, whole. Messages are lost, doubled, delayed and so overtaken.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A node's number.
pub(crate) type Id = usize;

/// An entry: its key, and its value unless it was taken back.
pub(crate) type Entry = (Arc<str>, Option<Arc<str>>);

/// A part of a replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    has: Has,
    /// The entries by version.
    entries: BTreeMap<u64, Entry>,
    /// The version of each key.
    versions: HashMap<Arc<str>, u64>,
}

/// What a replica has of a part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Has {
    /// 0 where it has nothing.
    start: u64,
    beat: u64,
    top: u64,
}

/// What one replica has and another has not.
#[derive(Clone, Debug)]
pub(crate) struct News {
    of: Id,
    has: Has,
    entries: Vec<(u64, Entry)>,
    /// The version that the receiver must have for these to follow.
    after: u64,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// What the sender has of each part; whether it answers such a one.
    Digest { has: Arc<[Has]>, answer: bool },
    /// What the receiver had not.
    News(Arc<[News]>),
}

/// What a machine is to hear of.
pub(crate) enum Heard {
    /// A heartbeat; whether it has grown since the first that was heard.
    Beat {
        of: Id,
        has_grown: bool,
    },
    Entry {
        of: Id,
        start: u64,
        key: Arc<str>,
        value: Option<Arc<str>>,
    },
    /// Another knows a later start of the node itself.
    Later(u64),
}

/// A node's replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    parts: Vec<Part>,
}

impl Part {
    fn new(start: u64) -> Self {
        Self { has: Has { start, ..Has::default() }, ..Self::default() }
    }

    /// Whether an entry is later than what is there.
    fn put(&mut self, version: u64, entry: Entry) -> bool {
        let known = self.versions.get(&entry.0).copied().unwrap_or_default();
        if version <= known {
            return false;
        }
        self.entries.remove(&known);
        self.versions.insert(Arc::clone(&entry.0), version);
        self.entries.insert(version, entry);
        true
    }
}

impl Replica {
    /// Starts its own part, one of so many.
    pub(crate) fn start(me: Id, count: usize, start: u64) -> Self {
        let mut parts = vec![Part::default(); count];
        parts[me] = Part::new(start);
        Self { parts }
    }

    /// Starts its own part again.
    pub(crate) fn restart(&mut self, me: Id, start: u64) {
        self.parts[me] = Part::new(start);
    }

    /// Publishes in its own part.
    pub(crate) fn publish(&mut self, me: Id, key: &str, value: Option<String>) {
        let part = &mut self.parts[me];
        part.has.top += 1;
        part.put(part.has.top, (key.into(), value.map(Into::into)));
    }

    /// The start of a part; 0 where it is not there.
    pub(crate) fn start_of(&self, id: Id) -> u64 {
        self.parts[id].has.start
    }

    /// What is there of a part, in order.
    pub(crate) fn entries(&self, id: Id) -> impl Iterator<Item = &Entry> {
        self.parts[id].entries.values()
    }

    /// A heartbeat of its own.
    pub(crate) fn beat(&mut self, me: Id) {
        self.parts[me].has.beat += 1;
    }

    pub(crate) fn digest(&self) -> Arc<[Has]> {
        self.parts.iter().map(|part| part.has).collect()
    }

    /// What it has and the sender of a digest has not, of so many entries at most.
    pub(crate) fn news_for(&self, digest: &[Has], mut room: usize) -> Vec<News> {
        let mut news = Vec::new();
        for (id, (part, there)) in self.parts.iter().zip(digest).enumerate() {
            let here = part.has;
            if here.start == 0 || there.start > here.start {
                continue;
            }
            let is_same = there.start == here.start;
            if is_same && there.top >= here.top && there.beat >= here.beat {
                continue;
            }
            let after = if is_same { there.top } else { 0 };
            if after >= here.top {
                news.push(News { of: id, has: here, entries: Vec::new(), after });
                continue;
            }
            let mut later = part.entries.range(after + 1..).map(|(version, entry)| (*version, entry.clone()));
            let entries: Vec<(u64, Entry)> = later.by_ref().take(room).collect();
            room -= entries.len();
            let top = match entries.last() {
                _ if later.next().is_none() => here.top,
                Some((version, _)) => *version,
                None => after,
            };
            news.push(News { of: id, has: Has { top, ..here }, entries, after });
        }
        news
    }

    /// Takes news in; what is to be heard of them, in order.
    pub(crate) fn take(&mut self, me: Id, news: &[News]) -> Vec<Heard> {
        let mut heard = Vec::new();
        for News { of, has, entries, after } in news {
            let (of, part) = (*of, &mut self.parts[*of]);
            if of == me {
                if has.start > part.has.start {
                    heard.push(Heard::Later(has.start));
                }
                continue;
            }
            if has.start < part.has.start {
                continue;
            }
            if has.start > part.has.start {
                *part = Part::new(has.start);
            }
            if has.beat > part.has.beat {
                heard.push(Heard::Beat { of, has_grown: part.has.beat > 0 });
                part.has.beat = has.beat;
            }
            if *after > part.has.top {
                continue;
            }
            for (version, entry) in entries {
                if part.put(*version, entry.clone()) {
                    let (key, value) = entry.clone();
                    heard.push(Heard::Entry { of, start: has.start, key, value });
                }
            }
            part.has.top = part.has.top.max(has.top);
        }
        heard
    }
}
