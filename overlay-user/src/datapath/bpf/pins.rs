//! The pin directory: `maps/` and `progs/` in force, `links/`, and `next/` while a swap is under way.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{errors::failed, hooks};
use crate::{datapath::DatapathError, dir_lock, files::absent_is_done};

/// What begins the names of directories that hold what could not be used.
const ASIDE: &str = "unreadable-";
/// As many of those are kept at most.
const MOST_ASIDE: u32 = 100;

/// Whether maps and programs are in force or being made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// `maps/` and `progs/`.
    Current,
    /// `next/maps/` and `next/progs/`.
    Next,
}

/// A pin directory, locked.
#[derive(Debug)]
pub(super) struct Pins {
    root: PathBuf,
    /// Held as long as it lives; the lock ends with the process, however that ends.
    _lock: OwnedFd,
}

impl Pins {
    /// Locks a pin directory, which is made if missing. Only one process at a time has it.
    pub(super) fn lock(root: &Path) -> Result<Self, DatapathError> {
        Self::make(root)?;
        match lock(root)? {
            Some(lock) => Ok(Self { root: root.into(), _lock: lock }),
            None => Err(DatapathError::Locked { dir: root.into(), pid: dir_lock::holder(root) }),
        }
    }

    /// As `lock`, but beside an agent that has the directory: only one process at a time swaps its programs.
    pub(super) fn lock_beside(root: &Path) -> Result<Self, DatapathError> {
        Self::make(root)?;
        let links = root.join("links");
        match lock(&links)? {
            Some(lock) => Ok(Self { root: root.into(), _lock: lock }),
            None => Err(DatapathError::Locked { dir: links.clone(), pid: dir_lock::holder(&links) }),
        }
    }

    fn make(root: &Path) -> Result<(), DatapathError> {
        fs::create_dir_all(root.join("links")).map_err(failed("use the pin directory"))
    }

    pub(super) fn maps(&self, set: Set) -> PathBuf {
        self.set(set).join("maps")
    }

    pub(super) fn progs(&self, set: Set) -> PathBuf {
        self.set(set).join("progs")
    }

    pub(super) fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    fn set(&self, set: Set) -> PathBuf {
        match set {
            Set::Current => self.root.clone(),
            Set::Next => self.root.join("next"),
        }
    }

    /// Makes the directories of a set.
    pub(super) fn create(&self, set: Set) -> Result<(), DatapathError> {
        for dir in [self.maps(set), self.progs(set)] {
            fs::create_dir_all(dir).map_err(failed("use the pin directory"))?;
        }
        Ok(())
    }

    /// Removes what a swap left over: nothing that is attached depends on a pin in there.
    pub(super) fn clear_next(&self) -> Result<(), DatapathError> {
        absent_is_done(fs::remove_dir_all(self.set(Set::Next))).map_err(failed("use the pin directory"))
    }

    /// Removes the directories, where nothing is in them.
    pub(super) fn remove_empty(&self) {
        for dir in [self.root.join("links"), self.root.clone()] {
            // It fails where something is.
            let _is_used = fs::remove_dir(dir);
        }
    }

    /// Puts the maps of the next set in the place of the current ones, which it has afterwards.
    pub(super) fn exchange_maps(&self) -> Result<(), DatapathError> {
        exchange(&self.maps(Set::Next), &self.maps(Set::Current))
    }

    /// Puts the programs of the next set in the place of the current ones, which it has afterwards.
    pub(super) fn exchange_progs(&self) -> Result<(), DatapathError> {
        exchange(&self.progs(Set::Next), &self.progs(Set::Current))
    }

    /// Gives what is in `next/` a name under which nothing looks for it, and tells the name.
    pub(super) fn set_next_aside(&self) -> Result<PathBuf, DatapathError> {
        let aside = self.free_name()?;
        fs::rename(self.set(Set::Next), &aside).map_err(failed("set unreadable pins aside"))?;
        Ok(aside)
    }

    /// Gives one pin a name under which nothing looks for it, and tells the name.
    pub(super) fn set_aside(&self, pin: &Path) -> Result<PathBuf, DatapathError> {
        let aside = self.free_name()?;
        fs::create_dir(&aside).map_err(failed("set unreadable pins aside"))?;
        let aside = aside.join(pin.file_name().unwrap_or_default());
        fs::rename(pin, &aside).map_err(failed("set unreadable pins aside"))?;
        Ok(aside)
    }

    fn free_name(&self) -> Result<PathBuf, DatapathError> {
        let mut names = (1..=MOST_ASIDE).map(|number| self.root.join(format!("{ASIDE}{number}")));
        names.find(|name| !name.exists()).ok_or_else(|| {
            failed("set unreadable pins aside")(io::Error::other("remove the directories unreadable-*"))
        })
    }
}

/// Removes all pins below a directory, and with the last pin of a link the program from its device.
pub fn uninstall(root: &Path) -> Result<(), DatapathError> {
    if !root.exists() {
        return Ok(());
    }
    let removed = failed("remove the pins");
    let pins = Pins::lock(root)?;
    // Links first: no program may run on without the others' maps. Filters are no pins.
    hooks::detach_all(&pins)?;
    for part in ["links", "progs", "maps", "next"] {
        absent_is_done(fs::remove_dir_all(root.join(part))).map_err(&removed)?;
    }
    for entry in fs::read_dir(root).map_err(&removed)? {
        let path = entry.map_err(&removed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ASIDE)) {
            fs::remove_dir_all(path).map_err(&removed)?;
        }
    }
    // Unlocked only now, so that no agent starts in between.
    let result = match fs::remove_dir(root) {
        // What is not ours stays, and then the directory.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        result => absent_is_done(result),
    };
    drop(pins);
    result.map_err(removed)
}

fn lock(dir: &Path) -> Result<Option<OwnedFd>, DatapathError> {
    dir_lock::lock(dir).map_err(failed("lock the pin directory"))
}

/// Swaps two directories in one step (`simple_rename_exchange`, Linux 5.16); where the second is not there yet, the
/// first just takes its name.
fn exchange(next: &Path, current: &Path) -> Result<(), DatapathError> {
    let action = "put the new pins in place";
    if current.exists() {
        renameat_with(CWD, next, CWD, current, RenameFlags::EXCHANGE)
            .map_err(|errno| failed(action)(errno.into()))
    } else {
        fs::rename(next, current).map_err(failed(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_told_and_the_lock_is_free_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("pins");
        let held = Pins::lock(&root).expect("free");
        let error = Pins::lock(&root).expect_err("held").to_string();
        assert!(error.contains(&format!("pid {};", std::process::id())), "{error}");
        let beside = Pins::lock_beside(&root).expect("its programs may be swapped");
        Pins::lock_beside(&root).expect_err("by one at a time");
        drop((held, beside));
        Pins::lock(&root).expect("free again");
    }

    #[test]
    fn sets_are_exchanged_and_the_old_one_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let pins = Pins::lock(dir.path()).expect("free");
        pins.create(Set::Next).expect("made");
        fs::write(pins.maps(Set::Next).join("FDB"), "first").expect("written");
        pins.exchange_maps().expect("there was none");
        pins.create(Set::Next).expect("made");
        fs::write(pins.maps(Set::Next).join("FDB"), "second").expect("written");
        pins.exchange_maps().expect("exchanged");
        let read = |set| fs::read_to_string(pins.maps(set).join("FDB")).expect("there");
        assert_eq!((read(Set::Current), read(Set::Next)), ("second".into(), "first".into()));
        let aside = pins.set_next_aside().expect("set aside");
        assert_eq!(fs::read_to_string(aside.join("maps/FDB")).expect("kept"), "first");
        drop(pins);
        fs::create_dir(dir.path().join("foreign")).expect("made");
        uninstall(dir.path()).expect("removed");
        let left: Vec<_> =
            fs::read_dir(dir.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["foreign"]);
        fs::remove_dir(dir.path().join("foreign")).expect("removed");
        uninstall(dir.path()).expect("removed");
        assert!(!dir.path().exists());
    }
}
