//! What is known of every node: the records it publishes, by its latest start.

use std::collections::{BTreeMap, btree_map::Entry};

use super::record::{Key, Record, Unbelieved};

/// The most records of a node: one peer cannot fill the others' memory.
pub const MOST_RECORDS: usize = 8192;
/// The most nodes that are known.
pub const MOST_NODES: usize = 512;

/// A node's records.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The number of its start; later ones are greater.
    pub start: u64,
    /// What it publishes.
    pub records: BTreeMap<Key, Record>,
    /// What it published before this start, until it has said all again.
    before: Option<BTreeMap<Key, Record>>,
}

impl Part {
    /// The records that hold.
    ///
    /// A node publishes its own record last, and the engine hands on what a node published in that order: until that is
    /// there, what it said before it started again, or before we did, holds.
    pub fn records(&self) -> &BTreeMap<Key, Record> {
        match &self.before {
            Some(before) if !self.records.contains_key(&Key::Node) => before,
            _ => &self.records,
        }
    }
}

/// The parts of all nodes, this one's among them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    parts: BTreeMap<String, Part>,
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
        self.parts.iter().map(|(node, part)| (node.as_str(), part))
    }

    /// A node's part.
    pub fn part(&self, node: &str) -> Option<&Part> {
        self.parts.get(node)
    }

    /// A node's own record.
    pub fn node(&self, node: &str) -> Option<&super::record::NodeRecord> {
        match self.parts.get(node)?.records().get(&Key::Node)? {
            Record::Node(record) => Some(record),
            Record::Network(_) | Record::Endpoint(_) | Record::Block(_) => None,
        }
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
        if !self.parts.contains_key(node) && self.parts.len() >= MOST_NODES {
            return Learned::TooMuch;
        }
        let part = self.parts.entry(node.to_owned()).or_insert_with(|| Part { start, ..Part::default() });
        if start < part.start {
            return Learned::Late;
        }
        if start > part.start {
            let before = part.records().clone();
            *part = Part { start, records: BTreeMap::new(), before: Some(before) };
        }
        let count = record.as_ref().map_or(0, Record::count);
        let full = part.records.len() >= MOST_RECORDS;
        let changed = match (part.records.entry(key.clone()), record) {
            (Entry::Occupied(entry), None) => {
                entry.remove();
                true
            }
            (Entry::Occupied(mut entry), Some(record)) => {
                let changed = *entry.get() != record;
                entry.insert(record);
                changed
            }
            (Entry::Vacant(_), None) => false,
            (Entry::Vacant(_), Some(_)) if full => return Learned::TooMuch,
            (Entry::Vacant(entry), Some(record)) => {
                entry.insert(record);
                true
            }
        };
        if key == Key::Node && part.records.contains_key(&Key::Node) {
            part.before = None;
        }
        if changed { Learned::Something { count } } else { Learned::Nothing }
    }

    /// Takes up what a peer published as it was known when this node stopped; it holds until the peer is heard of again.
    pub fn recall(&mut self, node: &str, start: u64, records: BTreeMap<Key, Record>) {
        let part = Part { start, records: BTreeMap::new(), before: Some(records) };
        self.parts.insert(node.to_owned(), part);
    }

    /// Forgets a node.
    pub fn forget(&mut self, node: &str) -> bool {
        self.parts.remove(node).is_some()
    }
}
