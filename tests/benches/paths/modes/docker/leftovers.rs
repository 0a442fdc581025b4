//! Removing what engines leave, or left in a run that crashed: processes, cgroups, files.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use overlay_tests::{processes, remove_dir};
use rustix::process::{Signal, kill_process};

use super::engine::CGROUP;

/// Where cgroups are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// How long processes that were killed may take to go.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Removes all that engines with their files below `dir` made; nothing there is success.
pub(super) fn clear(dir: &Path) -> Result<()> {
    end_engines(dir)?;
    remove_cgroups()?;
    remove_dir(dir)
}

/// Kills the engines that keep their files below `dir`, and waits until they are gone.
///
/// Each is the first of its process ids, so that the kernel ends its containers, too, and lets go of its mounts.
pub(super) fn end_engines(dir: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        let engines = processes(|line| is_engine(line, dir))?;
        if engines.is_empty() {
            return Ok(());
        }
        if start.elapsed() > END_LIMIT {
            bail!("{} processes of dockerd in {} do not end", engines.len(), dir.display());
        }
        for pid in engines {
            // Gone meanwhile is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a command line (words ended by 0) is that of a dockerd whose data lies below `dir`.
fn is_engine(line: &[u8], dir: &Path) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let own = |word: &[u8]| word.starts_with(&[dir.as_os_str().as_bytes(), b"/"].concat());
    words.first().is_some_and(|program| program.ends_with(b"dockerd"))
        && words.windows(2).any(|pair| pair[0] == b"--data-root" && own(pair[1]))
}

/// Removes the containers' cgroups: one tree, or in the first version of cgroups one a controller.
fn remove_cgroups() -> Result<()> {
    let mut trees = vec![PathBuf::from(CGROUPS)];
    trees.extend(directories(Path::new(CGROUPS))?);
    trees
        .into_iter()
        .map(|tree| tree.join(CGROUP))
        .filter(|tree| tree.is_dir())
        .try_for_each(|tree| remove(&tree))
}

/// Removes a cgroup and those below it. Their files go with them; what runs in one has just been killed.
fn remove(cgroup: &Path) -> Result<()> {
    directories(cgroup)?.iter().try_for_each(|below| remove(below))?;
    let start = Instant::now();
    loop {
        match fs::remove_dir(cgroup) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && start.elapsed() < END_LIMIT => {
                thread::sleep(Duration::from_millis(20));
            }
            result => return result.with_context(|| format!("cannot remove {}", cgroup.display())),
        }
    }
}

fn directories(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // Absent on a machine without cgroups.
    let Ok(entries) = fs::read_dir(dir) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn only_engines_of_the_bench_are_ended() {
        let dir = Path::new("/run/overlay-lab/ovb-docker");
        let engine = b"/usr/sbin/dockerd\0--data-root\0/run/overlay-lab/ovb-docker/h1/root\0";
        assert!(is_engine(engine, dir));
        assert!(!is_engine(engine, Path::new("/run/overlay-lab/ovb")));
        assert!(!is_engine(b"dockerd\0--data-root\0/var/lib/docker\0", dir));
        assert!(!is_engine(b"less\0--data-root\0/run/overlay-lab/ovb-docker/h1/root\0", dir));
        assert!(!is_engine(b"", dir));
    }
}
