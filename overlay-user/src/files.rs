//! Files that are kept: replaced in one step, set aside where they cannot be read, removed.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// As many unreadable files are kept at most; then the last one is replaced.
pub(crate) const MOST_ASIDE: u32 = 9;

/// What is not there needs no removal.
pub(crate) fn absent_is_done(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Replaces a file in one step; only its owner may read it.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = write_beside(path, "new", text)?;
    fs::rename(&new, path)?;
    keep_name(path)
}

/// Makes a file in one step, whole, where there is none; only its owner may read it.
///
/// # Errors
///
/// `AlreadyExists` where there is one, made by another meanwhile as well.
pub(crate) fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    // Of this thread alone: another may be making the same.
    let new = write_beside(path, &format!("new-{}", rustix::thread::gettid()), text)?;
    let made = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    made?;
    keep_name(path)
}

/// Writes a file beside another; its path.
fn write_beside(path: &Path, extension: &str, text: &[u8]) -> io::Result<PathBuf> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let new = beside(path, extension);
    // One that was left behind may be anybody's to read.
    absent_is_done(fs::remove_file(&new))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(new)
}

/// Has the name of a file be there after a power cut, too.
fn keep_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if dir != Path::new("") => fs::File::open(dir)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Renames a file that cannot be read; its new name.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |number| beside(path, &format!("unreadable-{number}"));
    let free = (1..MOST_ASIDE).map(name).find(|name| !name.exists());
    let aside = free.unwrap_or_else(|| name(MOST_ASIDE));
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Removes a file, with what may be left of its replacement and those that were set aside.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let aside = (1..=MOST_ASIDE).map(|number| beside(path, &format!("unreadable-{number}")));
    for path in [path.to_owned(), beside(path, "new")].into_iter().chain(aside) {
        absent_is_done(fs::remove_file(path))?;
    }
    Ok(())
}

/// The path with one more extension.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
