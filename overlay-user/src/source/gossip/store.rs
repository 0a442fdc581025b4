//! What a node keeps of the gossip over restarts: what it publishes itself, and what it knew of its peers.
//!
//! `gossip.json` is written before anything of it is told to others, so that no claim is ever forgotten by who made
//! it. `peers.json` may lag behind: it spares a node that starts again from taking its peers for gone until it has
//! heard of them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use overlay_common::hash::fnv1a;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    files,
    membership::{
        known::{Known, Part},
        record::{Key, NodeRecord, Record},
    },
};

/// The version of the files' formats.
const VERSION: u32 = 1;

/// Keys and values as they are published.
type Texts = BTreeMap<String, String>;

/// What `gossip.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Own {
    /// The number of the last start.
    start: u64,
    records: Texts,
}

/// A peer in `peers.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Peer {
    start: u64,
    records: Texts,
}

#[derive(Serialize, Deserialize)]
struct Document<T> {
    version: u32,
    /// FNV-1a of the content as compact JSON, in hexadecimal: a flipped bit may still be JSON.
    checksum: String,
    content: T,
}

/// What a peer published, as it was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recalled {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) records: BTreeMap<Key, Record>,
}

/// The files.
#[derive(Debug)]
pub(super) struct Store {
    own: PathBuf,
    peers: PathBuf,
    start: u64,
    kept: Vec<(Key, Record)>,
}

impl Store {
    /// Reads what was kept; a file that cannot be read is set aside under another name.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made, or its files cannot be read at all.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(state_dir)?;
        let own = state_dir.join("gossip.json");
        let kept: Own = read(&own)?.unwrap_or_default();
        let records = parse(&kept.records).into_iter().collect();
        Ok(Self { own, peers: state_dir.join("peers.json"), start: kept.start, kept: records })
    }

    /// The number of the last start; 0 where there was none.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// What the node published when it was last here.
    pub(super) fn kept(&self) -> Vec<(Key, Record)> {
        self.kept.clone()
    }

    /// What the node said of itself when it was last here.
    pub(super) fn own_node(&self) -> Option<NodeRecord> {
        self.kept.iter().find_map(|(_, record)| match record {
            Record::Node(node) => Some(node.clone()),
            Record::Network(_) | Record::Endpoint(_) | Record::Block(_) => None,
        })
    }

    /// Keeps what the node publishes by its start of that number.
    pub(super) fn keep<'r>(
        &mut self,
        start: u64,
        records: impl Iterator<Item = (&'r Key, &'r Record)>,
    ) -> io::Result<()> {
        self.start = start;
        write(&self.own, &Own { start, records: texts(records) })
    }

    /// What peers published when the node was last here.
    pub(super) fn peers(&self) -> io::Result<Vec<Recalled>> {
        let peers: BTreeMap<String, Peer> = read(&self.peers)?.unwrap_or_default();
        let recalled = |(name, peer): (String, Peer)| {
            let records = parse(&peer.records);
            // One that had not said all says nothing.
            let whole = records.contains_key(&Key::Node);
            whole.then_some(Recalled { name, start: peer.start, records })
        };
        Ok(peers.into_iter().filter_map(recalled).collect())
    }

    /// Keeps what is known of all nodes but this one.
    pub(super) fn keep_peers(&self, known: &Known, own: &str) -> io::Result<()> {
        let peers: BTreeMap<&str, Peer> = known
            .parts()
            .filter(|(name, _)| *name != own)
            .map(|(name, part)| {
                (name, Peer { start: part.start, records: texts(Part::records(part).iter()) })
            })
            .collect();
        write(&self.peers, &peers)
    }
}

fn texts<'r>(records: impl Iterator<Item = (&'r Key, &'r Record)>) -> Texts {
    records.map(|(key, record)| (key.to_string(), record.text())).collect()
}

/// What of a file can be believed; a record that cannot be is passed over.
fn parse(texts: &Texts) -> BTreeMap<Key, Record> {
    let record = |(key, text): (&String, &String)| {
        let key: Key = key.parse().ok()?;
        let record = Record::parse(&key, text).ok()?;
        Some((key, record))
    };
    texts.iter().filter_map(record).collect()
}

/// The content of a file; none where there is no file, or it is not one that was written here.
fn read<T: Serialize + DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let content = serde_json::from_slice::<Document<T>>(&text).ok().and_then(|document| {
        let whole = document.version == VERSION && checksum(&document.content).ok()? == document.checksum;
        whole.then_some(document.content)
    });
    if content.is_none() {
        let aside = files::set_aside(path)?;
        tracing::warn!(file = %aside.display(), "what was kept of the gossip cannot be read and was set aside");
    }
    Ok(content)
}

fn write<T: Serialize>(path: &Path, content: &T) -> io::Result<()> {
    let document = Document { version: VERSION, checksum: checksum(content)?, content };
    files::replace(path, &serde_json::to_vec(&document)?)
}

fn checksum<T: Serialize>(content: &T) -> io::Result<String> {
    Ok(format!("{:016x}", fnv1a(serde_json::to_vec(content)?)))
}
