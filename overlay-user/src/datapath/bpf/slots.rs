//! `FDB_V4` in the agent's memory: aya has no call for it. A slot is written by storing its word; a system call for each
//! would take as long as the hash does.

use std::{
    io,
    os::fd::AsFd as _,
    path::Path,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::MapData;
use overlay_common::map::{Fdb, MAX_SLOTS, Slice};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    thread::{MembarrierCommand, membarrier},
};

use super::errors::{on_map, refused};
use crate::datapath::DatapathError;

/// The name of the map.
const NAME: &str = "FDB_V4";
/// The bytes of all slots.
const BYTES: usize = MAX_SLOTS as usize * size_of::<AtomicU64>();

/// The slots of a pinned `FDB_V4`.
pub(super) struct Slots {
    words: NonNull<[AtomicU64; MAX_SLOTS as usize]>,
}

// SAFETY: the mapping belongs to the process, and every access to it is atomic.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    /// Maps the array that is pinned in a directory.
    pub(super) fn open(dir: &Path) -> Result<Self, DatapathError> {
        let map = MapData::from_pin(dir.join(NAME)).map_err(on_map(NAME))?;
        let (access, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses a place that nothing else has, and refuses more than the map has
        // (`array_map_mmap`). The mapping holds the map.
        let place = unsafe { mmap(ptr::null_mut(), BYTES, access, shared, map.fd().as_fd(), 0) };
        let place = place.map_err(|errno| refused(NAME)(errno.into()))?;
        let words = NonNull::new(place.cast()).ok_or_else(|| refused(NAME)(io::ErrorKind::Other.into()))?;
        Ok(Self { words })
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is of this size, aligned to pages, and lives as long as `self`; kernel and programs
        // access it by whole words only.
        unsafe { self.words.as_ref() }
    }

    /// What a slot holds; zero is no entry.
    pub(super) fn get(&self, slot: u32) -> u64 {
        self.words().get(slot as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Writes a slot: a program sees the entry as it was or as it is.
    pub(super) fn set(&self, slot: u32, fdb: Fdb) {
        if let Some(word) = self.words().get(slot as usize) {
            word.store(fdb.word(), Ordering::Release);
        }
    }

    /// The slots of a slice that hold something, and what.
    pub(super) fn used(&self, slice: &Slice) -> impl Iterator<Item = (u32, u64)> {
        let slots = slice.offset..slice.offset.saturating_add(slice.len);
        slots.map(|slot| (slot, self.get(slot))).filter(|(_, word)| *word != 0)
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more: references to words do not outlive `self`.
        if let Err(errno) = unsafe { munmap(self.words.as_ptr().cast(), BYTES) } {
            tracing::warn!(%errno, "cannot give back the memory of {NAME}");
        }
    }
}

/// Waits until every program that runs has ended (`MEMBARRIER_CMD_GLOBAL` is `synchronize_rcu`); refused by kernels
/// with CPUs that take no ticks.
pub(super) fn wait_for_programs() -> io::Result<()> {
    Ok(membarrier(MembarrierCommand::Global)?)
}
