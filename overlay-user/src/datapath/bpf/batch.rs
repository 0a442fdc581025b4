//! Many entries of a map in one system call: aya has no call for it. A million FDB entries take 1.1 s to add in batches
//! and 1.6 s one by one, 0.6 s and 1.1 s to overwrite (one run on two shared CPUs).

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Pod,
    maps::{HashMap, IterableMap as _, MapData},
};

/// `BPF_MAP_LOOKUP_BATCH` of `enum bpf_cmd`.
const LOOKUP: libc::c_long = 24;
/// `BPF_MAP_UPDATE_BATCH`.
const UPDATE: libc::c_long = 26;
/// Entries of one call: the kernel holds no lock between two, and copies no more at once.
pub(super) const ENTRIES: usize = 4096;

/// `union bpf_attr`, its struct `batch`. Pointers and numbers of this machine.
#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    /// Entries there are, or there is room for; the kernel writes how many it came to.
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Sets entries in order: how many were set, and why the next was not. No more than `ENTRIES`.
pub(super) fn update<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    keys: &[K],
    values: &[V],
) -> (usize, io::Result<()>) {
    let count = keys.len().min(values.len()).min(ENTRIES);
    let mut batch = Batch {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: count as u32,
        map_fd: fd(map),
        ..Batch::default()
    };
    // SAFETY: `keys` and `values` are live and hold `count` elements of the sizes that aya found the map to have.
    let result = unsafe { call(UPDATE, &mut batch) };
    // Where the call fails before its first entry, it leaves the count as it was.
    let done = if result.is_ok() { count } else { (batch.count as usize).min(count) };
    match result {
        Err(error) if done == count => (0, Err(error)),
        result => (done, result),
    }
}

/// All entries. One that is changed meanwhile may be missing or twice, as in any reading of a hash map.
pub(super) fn entries<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> io::Result<Vec<(K, V)>> {
    let (mut all, mut cursor, mut begun, mut room) = (Vec::new(), 0_u32, false, ENTRIES);
    loop {
        let (mut keys, mut values) = (Vec::<K>::with_capacity(room), Vec::<V>::with_capacity(room));
        let mut next = 0_u32;
        let mut batch = Batch {
            in_batch: if begun { &raw const cursor as u64 } else { 0 },
            out_batch: &raw mut next as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: room as u32,
            map_fd: fd(map),
            ..Batch::default()
        };
        // SAFETY: both have room for `room` elements of the map's sizes, and the cursors of a hash map are four bytes.
        let result = unsafe { call(LOOKUP, &mut batch) };
        let last = match result {
            Ok(()) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            // A bucket that holds more: only whole buckets are given.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < ENTRIES << 8 => {
                room *= 2;
                continue;
            }
            Err(error) => return Err(error),
        };
        let count = (batch.count as usize).min(room);
        // SAFETY: the kernel has written the first `count` keys.
        unsafe { keys.set_len(count) };
        // SAFETY: and as many values.
        unsafe { values.set_len(count) };
        all.extend(keys.into_iter().zip(values));
        if last {
            return Ok(all);
        }
        (cursor, begun) = (next, true);
    }
}

fn fd<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> u32 {
    map.map().fd().as_fd().as_raw_fd().cast_unsigned()
}

/// Calls the kernel.
///
/// # Safety
///
/// The pointers in `batch` hold for its command: as much is readable or writable there as its count and the map's
/// sizes say.
unsafe fn call(command: libc::c_long, batch: &mut Batch) -> io::Result<()> {
    // SAFETY: `batch` is live and its size is given; what it points to is the caller's promise.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(batch), size_of::<Batch>()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
