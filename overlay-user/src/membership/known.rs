//! What is known of every node: the records it publishes, by its latest start.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    index::{Index, Touched},
    record::{Key, NodeRecord, Record, Unbelieved},
};

/// The most records of a node: one peer cannot fill the others' memory.
pub const MOST_RECORDS: usize = 8192;
/// The most nodes that are known, those that are gone among them: as many as were seen to work (`bench nodes`).
pub const MOST_NODES: usize = 300;

/// A node's records.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The number of its start; later ones are greater.
    pub start: u64,
    /// What it publishes.
    pub records: BTreeMap<Key, Record>,
    /// What it published before this start, until it has said all again.
    before: Option<BTreeMap<Key, Record>>,
    /// Whether that is what this node knew of this same start before it started itself.
    is_recalled: bool,
}

impl Part {
    /// The records that hold.
    ///
    /// A node publishes its own record last, and the engine hands on what a node published in that order: until that is
    /// there, what it said before it started again, or before we did, holds.
    pub fn records(&self) -> &BTreeMap<Key, Record> {
        self.before.as_ref().unwrap_or(&self.records)
    }

    /// Whether a node that publishes this as its own record has said all that holds of what it said before.
    ///
    /// Of the start that was recalled, it has only by a later one: others may hand on an earlier one, and by an equal one
    /// it has said nothing else, but for what was heard of the next.
    fn says_all(&self, record: &Record) -> bool {
        let recalled =
            self.before.as_ref().filter(|_| self.is_recalled).and_then(|before| before.get(&Key::Node));
        match (record, recalled) {
            (Record::Node(record), Some(Record::Node(recalled))) => {
                record.seq > recalled.seq || recalled.seq == 0
            }
            _ => true,
        }
    }

    /// The node's own record, which sorts first.
    pub fn node(&self) -> Option<&NodeRecord> {
        match self.records().first_key_value()? {
            (Key::Node, Record::Node(record)) => Some(record),
            _ => None,
        }
    }
}

/// The parts of all nodes, this one's among them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    parts: BTreeMap<Arc<str>, Part>,
    index: Index,
}

/// What became of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It was known.
    Nothing,
    /// It changes something.
    Something {
        /// The count of the claim that was learned; 0 where there is none.
        count: u64,
    },
    /// It is of an earlier start of the node.
    Late,
    /// The node publishes more than a node may.
    TooMuch,
    /// It is not believed.
    Unbelieved(Unbelieved),
}

impl Known {
    /// Every node and its part.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.parts.iter().map(|(node, part)| (&**node, part))
    }

    /// A node's part.
    pub fn part(&self, node: &str) -> Option<&Part> {
        self.parts.get(node)
    }

    /// A node's own record.
    pub fn node(&self, node: &str) -> Option<&NodeRecord> {
        self.parts.get(node)?.node()
    }

    /// The records that hold, by network.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// What of the cluster may be another since this was last asked.
    pub(super) fn take_touched(&mut self) -> Touched {
        self.index.take_touched()
    }

    /// Has everything looked at anew.
    pub(super) fn touch_all(&mut self) {
        self.index.touch_all();
    }

    /// Takes in what a peer publishes, `None` being that it publishes nothing under that key any more.
    pub fn learn(&mut self, node: &str, start: u64, key: &str, value: Option<&str>) -> Learned {
        let key: Key = match key.parse() {
            Ok(key) => key,
            Err(error) => return Learned::Unbelieved(error),
        };
        let record = match value.map(|text| Record::parse(&key, text)).transpose() {
            Ok(record) => record,
            Err(error) => return Learned::Unbelieved(error),
        };
        self.put(node, start, key, record)
    }

    /// Takes in a record.
    pub fn put(&mut self, node: &str, start: u64, key: Key, record: Option<Record>) -> Learned {
        let name: Arc<str> = match self.parts.get_key_value(node) {
            Some((name, _)) => Arc::clone(name),
            None if self.parts.len() >= MOST_NODES => return Learned::TooMuch,
            None => node.into(),
        };
        let part = self.parts.entry(Arc::clone(&name)).or_insert_with(|| Part { start, ..Part::default() });
        put(&mut self.index, &name, part, start, key, record)
    }

    /// Takes up what a peer published as it was known when this node stopped; it holds until the peer is heard of again.
    pub fn recall(&mut self, node: &str, start: u64, records: BTreeMap<Key, Record>) {
        self.forget(node);
        let name: Arc<str> = node.into();
        add_all(&mut self.index, &name, &records);
        self.parts.insert(name, Part { start, before: Some(records), is_recalled: true, ..Part::default() });
    }

    /// Takes a node at a lower start than was recalled, until which it holds; whether it was not heard of otherwise.
    pub fn lower(&mut self, node: &str, start: u64) -> bool {
        let Some(part) = self.parts.get_mut(node) else { return false };
        let is_lower = part.is_recalled && part.records.is_empty() && start < part.start;
        if is_lower {
            *part = Part { start, before: part.before.take().map(uncounted), ..Part::default() };
        }
        is_lower
    }

    /// Forgets a node.
    pub fn forget(&mut self, node: &str) -> bool {
        let Some((name, part)) = self.parts.remove_entry(node) else { return false };
        remove_all(&mut self.index, &name, part.records());
        true
    }
}

/// Puts a record into a part, and what holds of it into the index.
fn put(
    index: &mut Index,
    node: &Arc<str>,
    part: &mut Part,
    start: u64,
    key: Key,
    record: Option<Record>,
) -> Learned {
    if start < part.start {
        return Learned::Late;
    }
    if start > part.start {
        let before = part.before.take().unwrap_or_else(|| std::mem::take(&mut part.records));
        *part = Part { start, before: Some(uncounted(before)), ..Part::default() };
    }
    let known = part.records.get(&key);
    if known == record.as_ref() {
        return Learned::Nothing;
    }
    if known.is_none() && part.records.len() >= MOST_RECORDS {
        return Learned::TooMuch;
    }
    let count = record.as_ref().map_or(0, Record::count);
    if part.before.is_none() {
        if let Some(known) = known {
            index.remove(node, &key, known);
        }
        if let Some(record) = &record {
            index.add(node, &key, record);
        }
    }
    let is_last = key == Key::Node && record.as_ref().is_some_and(|record| part.says_all(record));
    match record {
        Some(record) => drop(part.records.insert(key, record)),
        None => drop(part.records.remove(&key)),
    }
    if is_last && let Some(before) = part.before.take() {
        part.is_recalled = false;
        remove_all(index, node, &before);
        add_all(index, node, &part.records);
    }
    Learned::Something { count }
}

/// Records of an earlier start: by what they count the later one's are not to be compared, should they be recalled.
fn uncounted(mut records: BTreeMap<Key, Record>) -> BTreeMap<Key, Record> {
    if let Some(Record::Node(node)) = records.get_mut(&Key::Node) {
        node.seq = 0;
    }
    records
}

fn add_all(index: &mut Index, node: &Arc<str>, records: &BTreeMap<Key, Record>) {
    for (key, record) in records {
        index.add(node, key, record);
    }
}

fn remove_all(index: &mut Index, node: &Arc<str>, records: &BTreeMap<Key, Record>) {
    for (key, record) in records {
        index.remove(node, key, record);
    }
}
