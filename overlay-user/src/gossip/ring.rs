//! The key ring: the keys that open, and the one of them that seals; kept in a file.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::key::{Key, KeyId};
use crate::files;

/// As many keys a ring has at most.
pub(super) const MOST_KEYS: usize = 8;
/// The version of the file's format.
const VERSION: u32 = 1;
/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// Why a ring cannot be read, or not be changed so.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The file cannot be read.
    #[error("cannot read the key ring {path}: {error}; make it readable for the agent's user")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Others may read the file.
    #[error(
        "group or others may use the key ring {path} (mode {mode:o}); run chmod 600 {path}, and change the key if somebody has read it"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is another user's.
    #[error(
        "the key ring {path} is user {owner}'s, who can read and change it; run chown {own} {path}, and change the key"
    )]
    Anothers {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who reads it.
        own: u32,
    },
    /// The file is none that was written here.
    #[error("{path} is no key ring: {reason}; put back a copy, or remove it and join again")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is a file already.
    #[error("there is a key ring already, {path}; keep it, or remove it to begin a new cluster")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the key ring {path}: {error}; make room or make it writable")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The key is not in the ring.
    #[error("there is no key {0} in the ring; install it first, or choose one that is listed")]
    NoSuchKey(KeyId),
    /// Another key has the id.
    #[error("another key in the ring has the id {0}; make a new key")]
    TwoOfOneId(KeyId),
    /// The ring is full.
    #[error("the ring has {MOST_KEYS} keys already; remove one that no node uses any more")]
    Full,
    /// The key seals.
    #[error("the key {0} is in use; use another one on every node, then remove it")]
    InUse(KeyId),
}

/// One key as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which key it is.
    pub id: KeyId,
    /// Whether it seals.
    pub in_use: bool,
}

/// The keys of a node. Without a path it is not kept.
#[derive(Clone)]
pub struct KeyRing {
    path: Option<PathBuf>,
    keys: Vec<Key>,
    in_use: KeyId,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    in_use: String,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    secret: String,
}

impl KeyRing {
    /// Reads the ring of a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// Where the file is not there, may be read by others, or is no ring.
    pub fn open(path: &Path) -> Result<Self, RingError> {
        let unreadable = |error| RingError::Unreadable { path: path.to_owned(), error };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let invalid = |reason: String| RingError::Invalid { path: path.to_owned(), reason };
        if !metadata.is_file() {
            return Err(invalid("it is not a regular file".to_owned()));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RingError::Open { path: path.to_owned(), mode });
        }
        let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != own && owner != 0 {
            return Err(RingError::Anothers { path: path.to_owned(), owner, own });
        }
        let mut text = Vec::new();
        file.take(LONGEST_FILE).read_to_end(&mut text).map_err(unreadable)?;
        let ring = Self::parse(&text).map_err(invalid)?;
        Ok(Self { path: Some(path.to_owned()), ..ring })
    }

    /// Makes the ring of a new file, with one key, which is in use.
    ///
    /// # Errors
    ///
    /// Where there is a file, or it cannot be written.
    pub fn create(path: &Path, key: Key) -> Result<Self, RingError> {
        let ring = Self { path: Some(path.to_owned()), ..Self::unkept(key) };
        let made = ring.text().and_then(|text| files::create(path, &text));
        match made {
            Ok(()) => Ok(ring),
            // A link that leads nowhere is a file, too.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(RingError::Exists { path: path.to_owned() })
            }
            Err(error) => Err(RingError::Unwritable { path: path.to_owned(), error }),
        }
    }

    /// A ring with one key, which is in use, and no file.
    pub fn unkept(key: Key) -> Self {
        Self { path: None, in_use: key.id(), keys: vec![key] }
    }

    /// Adds a key, which opens from now on. One that is there is no error.
    ///
    /// # Errors
    ///
    /// Where the ring is full, another key has the id, or the file cannot be written.
    pub fn install(&mut self, key: Key) -> Result<(), RingError> {
        match self.key(key.id()) {
            Some(same) if *same == key => return Ok(()),
            Some(other) => return Err(RingError::TwoOfOneId(other.id())),
            None if self.keys.len() >= MOST_KEYS => return Err(RingError::Full),
            None => {}
        }
        self.change(|ring| ring.keys.push(key))
    }

    /// Seals with a key of the ring from now on.
    ///
    /// # Errors
    ///
    /// Where the key is not there, or the file cannot be written.
    pub fn use_key(&mut self, id: KeyId) -> Result<(), RingError> {
        self.key(id).ok_or(RingError::NoSuchKey(id))?;
        self.change(|ring| ring.in_use = id)
    }

    /// Removes a key, which opens nothing from now on.
    ///
    /// # Errors
    ///
    /// Where the key is not there or in use, or the file cannot be written.
    pub fn remove(&mut self, id: KeyId) -> Result<(), RingError> {
        self.key(id).ok_or(RingError::NoSuchKey(id))?;
        if id == self.in_use {
            return Err(RingError::InUse(id));
        }
        self.change(|ring| ring.keys.retain(|key| key.id() != id))
    }

    /// The keys, the one in use first.
    pub fn list(&self) -> Vec<Listed> {
        let listed = self.keys.iter().map(|key| Listed { id: key.id(), in_use: key.id() == self.in_use });
        let mut listed: Vec<Listed> = listed.collect();
        listed.sort_by_key(|listed| (!listed.in_use, listed.id));
        listed
    }

    /// The key of this id.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key that seals.
    pub fn in_use(&self) -> Option<&Key> {
        self.key(self.in_use)
    }

    /// Changes the ring and its file, or neither.
    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), RingError> {
        let mut changed = self.clone();
        change(&mut changed);
        changed.write()?;
        *self = changed;
        Ok(())
    }

    fn write(&self) -> Result<(), RingError> {
        let Some(path) = &self.path else { return Ok(()) };
        self.text()
            .and_then(|text| files::replace(path, &text))
            .map_err(|error| RingError::Unwritable { path: path.clone(), error })
    }

    /// What the file of the ring holds.
    pub(crate) fn text(&self) -> io::Result<Vec<u8>> {
        let entry =
            |key: &Key| Entry { id: key.id().to_string(), secret: BASE64URL_NOPAD.encode(key.secret()) };
        let (in_use, keys) = (self.in_use.to_string(), self.keys.iter().map(entry).collect());
        Ok(serde_json::to_vec_pretty(&Document { version: VERSION, in_use, keys })?)
    }

    /// The ring of a file's text; the error is what is wrong, without any part of the text, which is secret.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|error| {
            format!(
                "it is not what is written there from line {}, column {}, on",
                error.line(),
                error.column()
            )
        })?;
        if document.version != VERSION {
            return Err(format!("its version is {}, not {VERSION}", document.version));
        }
        if document.keys.len() > MOST_KEYS {
            return Err(format!("it has {} keys, more than {MOST_KEYS}", document.keys.len()));
        }
        let mut keys: Vec<Key> = Vec::new();
        for (number, entry) in (1..).zip(&document.keys) {
            let key = key(entry).ok_or_else(|| format!("key {number} of it is none"))?;
            if keys.iter().any(|other| other.id() == key.id()) {
                return Err(format!("it has two keys of the id {}", key.id()));
            }
            keys.push(key);
        }
        let in_use = document.in_use.parse().map_err(|_| "in_use is no key's id".to_owned())?;
        let ring = Self { path: None, keys, in_use };
        ring.in_use().ok_or_else(|| format!("the key in use, {in_use}, is not in it"))?;
        Ok(ring)
    }
}

fn key(entry: &Entry) -> Option<Key> {
    let secret = BASE64URL_NOPAD.decode(entry.secret.as_bytes()).ok()?;
    Some(Key::from_parts(entry.id.parse().ok()?, secret.try_into().ok()?))
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("path", &self.path)
            .field("keys", &self.list())
            .finish_non_exhaustive()
    }
}
