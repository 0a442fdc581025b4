//! A lock on a directory: it ends with the process that holds it, however that ends.

use std::{fs, io, os::fd::OwnedFd, os::unix::fs::MetadataExt as _, path::Path};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};

/// Locks a directory as long as the descriptor lives; `None` where another has it.
pub(crate) fn lock(dir: &Path) -> io::Result<Option<OwnedFd>> {
    let fd = open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(fd)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The process that holds the lock of a directory, as `/proc/locks` tells: `1: FLOCK ADVISORY WRITE 77 00:20:13 0 EOF`.
pub(crate) fn holder(dir: &Path) -> Option<u32> {
    let found = fs::metadata(dir).ok()?;
    let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
    holder_in(&fs::read_to_string("/proc/locks").ok()?, &format!("{major:02x}:{minor:02x}:{}", found.ino()))
}

pub(crate) fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, found, ..] = words.as_slice() else { return None };
        pid.parse().ok().filter(|_| *found == file)
    })
}

/// `, pid 77`, where it is known, for a message.
pub(crate) fn pid_text(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", pid {pid}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_told_and_the_lock_is_free_again() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(holder(dir.path()), None);
        let held = lock(dir.path()).expect("a directory").expect("free");
        assert!(lock(dir.path()).expect("a directory").is_none());
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        drop(held);
        assert!(lock(dir.path()).expect("a directory").is_some());
    }

    #[test]
    fn another_file_or_kind_of_lock_has_no_holder() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 00:20:13 0 EOF\n2: FLOCK  ADVISORY  READ 8 00:20:13 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 9 00:20:14 0 EOF\n4: -> FLOCK  ADVISORY  WRITE 10 00:20:13 0 EOF\n";
        assert_eq!(holder_in(locks, "00:20:13"), None);
        assert_eq!(holder_in(locks, "00:20:14"), Some(9));
    }
}
