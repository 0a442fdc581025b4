use std::{collections::BTreeMap, fs, path::Path};

use super::{FEW, Store};
use crate::membership::{
    machine::Change,
    record::{Key, Record},
};

/// An endpoint's key and record, by a number.
fn endpoint(number: u8) -> (Key, Record) {
    let key: Key = format!("endpoint/blue.02420a0100{number:02x}").parse().expect("a key");
    let text = format!(r#"{{"count":{number},"vni":42,"ips":["10.1.0.{number}"]}}"#);
    let record = Record::parse(&key, &text).expect("a record");
    (key, record)
}

fn add(number: u8) -> Change {
    let (key, record) = endpoint(number);
    Change { key, record: Some(record) }
}

fn delete(number: u8) -> Change {
    Change { key: endpoint(number).0, record: None }
}

/// A store and what a node publishes.
struct Node {
    store: Store,
    own: BTreeMap<Key, Record>,
}

impl Node {
    fn open(dir: &Path) -> Self {
        let store = Store::open(dir).expect("opened");
        let own = store.kept().into_iter().collect();
        Self { store, own }
    }

    fn publish(&mut self, changes: &[Change]) -> std::io::Result<()> {
        for change in changes {
            match &change.record {
                Some(record) => _ = self.own.insert(change.key.clone(), record.clone()),
                None => _ = self.own.remove(&change.key),
            }
        }
        self.store.keep_changes(changes, self.own.iter())
    }
}

/// The endpoints that are kept in a directory.
fn kept(dir: &Path) -> Vec<Key> {
    Store::open(dir).expect("opened").kept().into_iter().map(|(key, _)| key).collect()
}

fn keys(numbers: &[u8]) -> Vec<Key> {
    numbers.iter().map(|number| endpoint(*number).0).collect()
}

/// A directory in which a node has published 1, then 2, then 3 and not 1.
fn three() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::open(dir.path());
    node.publish(&[add(1)]).expect("kept");
    node.publish(&[add(2)]).expect("kept");
    node.publish(&[add(3), delete(1)]).expect("kept");
    dir
}

#[test]
fn what_has_changed_is_kept_line_by_line() {
    let dir = three();
    let text = fs::read_to_string(dir.path().join("gossip.json")).expect("read");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(kept(dir.path()), keys(&[2, 3]));
}

#[test]
fn a_file_cut_off_anywhere_has_what_was_told_by_then() {
    let dir = three();
    let path = dir.path().join("gossip.json");
    let text = fs::read(&path).expect("read");
    let ends: Vec<usize> =
        text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for length in 0..=text.len() {
        fs::write(&path, &text[..length]).expect("written");
        let known: &[u8] = match ends.iter().filter(|end| length >= **end).count() {
            0 => &[],
            1 => &[1],
            2 => &[1, 2],
            _ => &[2, 3],
        };
        assert_eq!(kept(dir.path()), keys(known), "{length} bytes");
        let aside = path.with_extension("json.unreadable-1");
        assert_eq!(
            aside.exists(),
            length < ends[0],
            "{length} bytes: a change cut off has been told to nobody"
        );
        let _absent = fs::remove_file(aside);
    }
}

#[test]
fn an_altered_line_is_passed_over_and_the_file_set_aside() {
    let dir = three();
    let path = dir.path().join("gossip.json");
    let mut text = fs::read(&path).expect("read");
    let second = text.iter().position(|byte| *byte == b'\n').expect("an end") + 1;
    for place in second..text.len() {
        text[place] ^= 1;
        fs::write(&path, &text).expect("written");
        let kept = kept(dir.path());
        assert!(kept.iter().all(|key| keys(&[1, 2, 3]).contains(key)), "byte {place}: {kept:?}");
        text[place] ^= 1;
    }
    text[second + 40] ^= 1;
    fs::write(&path, &text).expect("written");
    assert_eq!(kept(dir.path()), keys(&[3]), "2 is lost, and 1 was deleted after that");
    assert!(path.with_extension("json.unreadable-1").exists());
}

#[test]
fn changes_do_not_pile_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::open(dir.path());
    for round in 0..2000_u32 {
        let changes = if round % 2 == 0 { [add(1)] } else { [delete(1)] };
        node.publish(&changes).expect("kept");
    }
    let length = fs::metadata(dir.path().join("gossip.json")).expect("there").len();
    assert!(length < 2 * FEW, "{length}");
    assert_eq!(kept(dir.path()), []);
}

#[test]
fn after_a_failure_all_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let mut node = Node::open(&state);
    node.publish(&[add(1)]).expect("kept");
    fs::remove_dir_all(&state).expect("removed");
    fs::write(&state, "a file").expect("written");
    // The file that is open would take it, and nobody would find it.
    node.publish(&[add(2)]).expect_err("there is no directory");
    fs::remove_file(&state).expect("removed");
    node.publish(&[]).expect("tried again");
    assert_eq!(kept(&state), keys(&[1, 2]));
}
