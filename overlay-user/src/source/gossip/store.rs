//! What a node keeps of the gossip over restarts: what it publishes itself, and what it knew of its peers.
//!
//! `gossip.json` is written before anything of it is told to others, so that no claim is ever forgotten by who made
//! it: a line of all records, and one for every change since, until those are as long. `peers.json` may lag behind: it
//! spares a node that starts again from taking its peers for gone until it has heard of them.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use overlay_common::hash::fnv1a;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    files,
    membership::{
        known::{Known, Part},
        machine::Change,
        record::{Key, NodeRecord, Record},
    },
};

/// The version of the files' formats.
const VERSION: u32 = 1;
/// So many bytes of changes may follow a line of all records that is shorter.
const FEW: u64 = 64 << 10;

/// Keys and values as they are published.
type Texts = BTreeMap<String, String>;

/// What `gossip.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Own {
    /// The number of the last start.
    start: u64,
    records: Texts,
}

/// What has changed since: values by key, none where there is none any more.
type Changed = BTreeMap<String, Option<String>>;

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
    /// `gossip.json`, and how many bytes of changes it takes; none where it is to be written whole.
    log: Option<(fs::File, u64)>,
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
        let kept = read_own(&own)?;
        let records = parse(&kept.records).into_iter().collect();
        Ok(Self { own, peers: state_dir.join("peers.json"), start: kept.start, kept: records, log: None })
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

    /// Keeps some changes of what the node publishes by that start, which has been kept.
    pub(super) fn keep_changes<'r>(
        &mut self,
        changes: &[Change],
        all: impl Iterator<Item = (&'r Key, &'r Record)>,
    ) -> io::Result<()> {
        let text = |record: &Option<Record>| record.as_ref().map(Record::text);
        let changed = changes.iter().map(|change| (change.key.to_string(), text(&change.record)));
        let line = line(&changed.collect::<Changed>())?;
        let log = self.log.take().filter(|(file, _)| is_at(file, &self.own));
        match log {
            Some((mut file, room)) if room >= line.len() as u64 && !changes.is_empty() => {
                file.write_all(&line)?;
                file.sync_data()?;
                self.log = Some((file, room - line.len() as u64));
                Ok(())
            }
            // It has no room, or is not known to be whole.
            Some(_) | None => self.keep(self.start, all),
        }
    }

    /// Keeps what the node publishes by its start of that number.
    pub(super) fn keep<'r>(
        &mut self,
        start: u64,
        records: impl Iterator<Item = (&'r Key, &'r Record)>,
    ) -> io::Result<()> {
        self.start = start;
        self.log = None;
        let line = line(&Own { start, records: texts(records) })?;
        files::replace(&self.own, &line)?;
        let file = fs::OpenOptions::new().append(true).open(&self.own)?;
        self.log = Some((file, FEW.max(line.len() as u64)));
        Ok(())
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
        files::replace(&self.peers, &line(&peers)?)
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

/// What a node published; nothing where there is no file. A line that cannot be read is passed over: the last, which may
/// have been cut off, has been told to nobody.
fn read_own(path: &Path) -> io::Result<Own> {
    let Some(text) = read_file(path)? else { return Ok(Own::default()) };
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let own: Option<Own> = lines.next().and_then(content);
    let (mut is_whole, mut own) = (own.is_some(), own.unwrap_or_default());
    for line in lines {
        match content::<Changed>(line) {
            Some(changed) => change(&mut own.records, changed),
            None => is_whole &= !line.ends_with(b"\n"),
        }
    }
    if !is_whole {
        set_aside(path)?;
    }
    Ok(own)
}

/// Whether a file is still where it was opened.
fn is_at(file: &fs::File, path: &Path) -> bool {
    let there = fs::metadata(path).and_then(|there| Ok((there, file.metadata()?)));
    there.is_ok_and(|(there, own)| (there.dev(), there.ino()) == (own.dev(), own.ino()))
}

fn change(records: &mut Texts, changed: Changed) {
    for (key, value) in changed {
        match value {
            Some(value) => _ = records.insert(key, value),
            None => _ = records.remove(&key),
        }
    }
}

/// The content of a file; none where there is no file, or it is not one that was written here.
fn read<T: Serialize + DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let Some(text) = read_file(path)? else { return Ok(None) };
    let content = content(&text);
    if content.is_none() {
        set_aside(path)?;
    }
    Ok(content)
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    let aside = files::set_aside(path)?;
    tracing::warn!(file = %aside.display(), "what was kept of the gossip cannot be read and was set aside");
    Ok(())
}

/// The content of a line; none where it is not one that was written here.
fn content<T: Serialize + DeserializeOwned>(text: &[u8]) -> Option<T> {
    let document: Document<T> = serde_json::from_slice(text).ok()?;
    let whole = document.version == VERSION && checksum(&document.content).ok()? == document.checksum;
    whole.then_some(document.content)
}

fn line<T: Serialize>(content: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Document { version: VERSION, checksum: checksum(content)?, content })?;
    line.push(b'\n');
    Ok(line)
}

fn checksum<T: Serialize>(content: &T) -> io::Result<String> {
    Ok(format!("{:016x}", fnv1a(serde_json::to_vec(content)?)))
}
