//! The key ring of a running transport, which somebody else may change.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    key::{Key, KeyId},
    ring::{KeyRing, Listed, RingError},
};

/// A ring that the running transport shares with who changes it.
#[derive(Clone, Debug)]
pub struct SharedRing {
    ring: Arc<RwLock<KeyRing>>,
    /// Held by who changes it.
    changing: Arc<Mutex<()>>,
}

impl From<KeyRing> for SharedRing {
    fn from(ring: KeyRing) -> Self {
        Self { ring: Arc::new(RwLock::new(ring)), changing: Arc::default() }
    }
}

impl SharedRing {
    /// As `KeyRing::open`.
    pub fn open(path: &Path) -> Result<Self, RingError> {
        KeyRing::open(path).map(Self::from)
    }

    /// As `KeyRing::create`.
    pub fn create(path: &Path, key: Key) -> Result<Self, RingError> {
        KeyRing::create(path, key).map(Self::from)
    }

    /// As `KeyRing::install`.
    pub fn install(&self, key: Key) -> Result<(), RingError> {
        self.change(|ring| ring.install(key))
    }

    /// As `KeyRing::use_key`.
    pub fn use_key(&self, id: KeyId) -> Result<(), RingError> {
        self.change(|ring| ring.use_key(id))
    }

    /// As `KeyRing::remove`.
    pub fn remove(&self, id: KeyId) -> Result<(), RingError> {
        self.change(|ring| ring.remove(id))
    }

    /// As `KeyRing::list`.
    pub fn list(&self) -> Vec<Listed> {
        self.look(KeyRing::list)
    }

    /// The key of this id.
    pub fn key(&self, id: KeyId) -> Option<Key> {
        self.look(|ring| ring.key(id).cloned())
    }

    /// The key that seals.
    pub fn in_use(&self) -> Option<Key> {
        self.look(|ring| ring.in_use().cloned())
    }

    fn look<T>(&self, look: impl FnOnce(&KeyRing) -> T) -> T {
        look(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes a copy, so that nobody who seals or opens waits for the disk.
    fn change(&self, change: impl FnOnce(&mut KeyRing) -> Result<(), RingError>) -> Result<(), RingError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ring = self.look(KeyRing::clone);
        change(&mut ring)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }
}
