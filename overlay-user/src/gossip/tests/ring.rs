//! The ring and its file.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::*;
use crate::gossip::ring::{Listed, MOST_KEYS, RingError};

fn listed(numbers: &[u8]) -> Vec<Listed> {
    let one = |(place, number): (usize, &u8)| Listed { id: key(*number).id(), in_use: place == 0 };
    numbers.iter().enumerate().map(one).collect()
}

fn refused(path: &Path) -> String {
    KeyRing::open(path).expect_err("refused").to_string()
}

#[test]
fn what_is_changed_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    let ring = SharedRing::create(&path, key(1)).expect("made");
    let kept = || SharedRing::open(&path).expect("opens").list();
    assert_eq!(kept(), listed(&[1]));
    ring.install(key(2)).expect("room");
    ring.install(key(2)).expect("the same is no error");
    assert_eq!(kept(), listed(&[1, 2]));
    ring.use_key(key(2).id()).expect("there");
    assert_eq!(kept(), listed(&[2, 1]));
    ring.remove(key(1).id()).expect("not in use");
    assert_eq!(kept(), listed(&[2]));
    assert_eq!(ring.list(), kept());
    assert_eq!(SharedRing::open(&path).expect("opens").in_use(), Some(key(2)), "the secret, too");
}

#[test]
fn of_those_who_make_a_ring_at_once_one_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    let made: Vec<_> = std::thread::scope(|scope| {
        let make = |byte| {
            scope.spawn({
                let path = &path;
                move || KeyRing::create(path, key(byte)).map(|_| byte)
            })
        };
        let makers: Vec<_> = (1..=8).map(make).collect();
        makers.into_iter().map(|maker| maker.join().expect("it ends")).collect()
    });
    let first: Vec<u8> = made.iter().filter_map(|made| made.as_ref().ok().copied()).collect();
    assert_eq!(first.len(), 1, "{made:?}");
    assert_eq!(KeyRing::open(&path).expect("whole").in_use(), Some(&key(first[0])));
    let others = made.iter().filter(|made| matches!(made, Err(RingError::Exists { .. }))).count();
    assert_eq!(others, 7, "{made:?}");
}

#[test]
fn a_ring_of_another_user_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    KeyRing::create(&path, Key::generate().expect("a key")).expect("made");
    KeyRing::open(&path).expect("the control");
    // Only root may give a file away.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        let refused = KeyRing::open(&path).expect_err("another's").to_string();
        assert!(refused.contains("is user 12345's"), "{refused}");
    }
}

#[test]
fn only_its_owner_may_read_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    let ring = SharedRing::create(&path, key(1)).expect("made");
    let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // What an earlier run may have left behind, and anybody may read.
    fs::write(dir.path().join("keyring.json.new"), "").expect("written");
    ring.install(key(2)).expect("room");
    assert_eq!(mode(), 0o600);
    for mode in [0o640, 0o604, 0o620, 0o610, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        let message = refused(&path);
        assert!(message.contains(&format!("(mode {mode:o}); run chmod 600")), "{message}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("set");
    assert!(KeyRing::open(&path).is_ok(), "the control");
}

#[test]
fn a_ring_that_is_there_is_not_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    KeyRing::create(&path, key(1)).expect("made");
    assert!(matches!(KeyRing::create(&path, key(2)), Err(RingError::Exists { .. })));
    assert_eq!(KeyRing::open(&path).expect("opens").list(), listed(&[1]));
}

#[test]
fn changes_that_cannot_be_are_refused() {
    let mut ring = KeyRing::unkept(key(1));
    assert!(matches!(ring.use_key(key(9).id()), Err(RingError::NoSuchKey(_))));
    assert!(matches!(ring.remove(key(9).id()), Err(RingError::NoSuchKey(_))));
    assert!(matches!(ring.remove(key(1).id()), Err(RingError::InUse(_))));
    let alias = Key::from_parts(key(1).id(), [9; Key::LEN]);
    assert!(matches!(ring.install(alias), Err(RingError::TwoOfOneId(_))));
    for number in 2..=MOST_KEYS as u8 {
        ring.install(key(number)).expect("room");
    }
    assert!(matches!(ring.install(key(99)), Err(RingError::Full)));
    assert_eq!(ring.list().len(), MOST_KEYS);
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state/keyring.json");
    let ring = SharedRing::create(&path, key(1)).expect("made");
    fs::remove_dir_all(dir.path().join("state")).expect("removed");
    fs::write(dir.path().join("state"), "a file").expect("written");
    assert!(matches!(ring.install(key(2)), Err(RingError::Unwritable { .. })));
    assert_eq!(ring.list(), listed(&[1]));
    fs::remove_file(dir.path().join("state")).expect("removed");
    ring.install(key(2)).expect("the control");
    assert_eq!(ring.list(), listed(&[1, 2]));
}

#[test]
fn a_file_that_is_no_ring_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keyring.json");
    assert!(refused(&path).contains("cannot read the key ring"), "there is none");
    KeyRing::create(&path, key(1)).expect("made");
    let text = fs::read_to_string(&path).expect("read");
    let id = key(1).id().to_string();
    let entry = &text[text.find("    {").expect("a key")..=text.rfind("    }").expect("its end") + 4];
    let cases = [
        (text.replace("\"version\": 1", "\"version\": 2"), "its version is 2, not 1"),
        (text.replace("\"version\"", "\"Version\""), "it is not what is written there from line 2"),
        (text.replace(entry, &[entry; 2].join(",")), "it has two keys of the id 01010101"),
        (text.replace(entry, &[entry; 9].join(",")), "it has 9 keys, more than 8"),
        (text.replace(entry, ""), "the key in use, 01010101, is not in it"),
        (text.replacen(&id, "02020202", 1), "the key in use, 02020202, is not in it"),
        (text.replacen(&id, "0202020", 1), "in_use is no key's id"),
        (text.replace("AQEB", "AQE"), "key 1 of it is none"),
        (text[..text.len() / 2].to_owned(), "it is not what is written there from line"),
        (String::new(), "it is not what is written there from line"),
    ];
    for (text, reason) in cases {
        fs::write(&path, &text).expect("written");
        let message = refused(&path);
        assert!(message.contains(reason), "{message}\n{text}");
        assert!(!message.contains("AQEB"), "the secret is not shown: {message}");
    }
    fs::write(&path, &text).expect("written");
    assert_eq!(KeyRing::open(&path).expect("the control").list(), listed(&[1]));
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", shared(0xab));
    assert!(shown.contains("abababab") && !shown.contains("171"), "{shown}");
}
