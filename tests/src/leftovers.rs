//! Removing what a crashed lab left: agents, namespaces, pins, files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::run;

/// Where labs keep their files.
const LABS: &str = "/run/overlay-lab";
/// Where bpffs is, or will be once the first agent mounts it.
const BPFFS: &str = "/sys/fs/bpf";

/// The directory of the lab `name`.
pub(crate) fn lab_dir(name: &str) -> PathBuf {
    Path::new(LABS).join(name)
}

/// The file that is locked while the lab `name` is up.
pub(crate) fn lock_file(name: &str) -> PathBuf {
    Path::new(LABS).join(format!("{name}.lock"))
}

/// The directory below which the agents of the lab `name` pin.
pub(crate) fn pin_dir(name: &str) -> PathBuf {
    Path::new(BPFFS).join(format!("overlay-lab-{name}"))
}

/// Removes everything that carries the name of the lab; nothing there is success.
pub(crate) fn clear(name: &str) -> Result<()> {
    end_agents(&lab_dir(name))?;
    for netns in namespaces(name)? {
        run(Command::new("ip").args(["netns", "del", &netns]))?;
    }
    remove_captures(name)?;
    remove_dir(&pin_dir(name))?;
    remove_dir(&lab_dir(name))
}

/// Removes the files of captures in the lab's namespaces.
fn remove_captures(name: &str) -> Result<()> {
    let own = format!("{name}-");
    for entry in fs::read_dir(std::env::temp_dir())? {
        let path = entry?.path();
        let lab = path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(&own));
        if lab && path.extension().is_some_and(|extension| extension == "pcap") {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Removes a directory and all in it, if it is there.
pub fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Kills the agents that were started on files below `dir`, and waits until they are gone.
fn end_agents(dir: &Path) -> Result<()> {
    let mut own = dir.as_os_str().as_encoded_bytes().to_vec();
    own.push(b'/');
    let agents = || processes(|line| is_agent(line, &own));
    for agent in agents()? {
        // Gone meanwhile is as good.
        let _ = kill_process(agent, Signal::KILL);
    }
    let start = Instant::now();
    while !agents()?.is_empty() && start.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The processes whose command line, words ended by 0, is one that is looked for. One that has ended has none.
pub fn processes(wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        // Gone meanwhile, or no process.
        let Ok(line) = fs::read(process.join("cmdline")) else { continue };
        let pid = process.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        if wanted(&line) {
            found.extend(pid.and_then(Pid::from_raw));
        }
    }
    Ok(found)
}

/// Whether a command line (words ended by 0) is that of an agent whose run directory lies below `own`.
///
/// By its words, not by a recorded process id, which may long be another's.
fn is_agent(line: &[u8], own: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    words.contains(&&b"agent"[..])
        && words.windows(2).any(|pair| pair[0] == b"--run-dir" && pair[1].starts_with(own))
}

/// The namespaces that carry the name of the lab.
fn namespaces(name: &str) -> Result<Vec<String>> {
    let text = run(Command::new("ip").args(["netns", "list"]))?;
    let own = format!("{name}-");
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|netns| netns.starts_with(&own)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_agents_of_the_lab_are_ended() {
        let own = b"/run/overlay-lab/ovlab/";
        let agent = b"/bin/overlay\0agent\0--config\0x\0--run-dir\0/run/overlay-lab/ovlab/h1/run\0";
        assert!(is_agent(agent, own));
        assert!(!is_agent(agent, b"/run/overlay-lab/ov/"));
        assert!(!is_agent(b"tail\0-f\0/run/overlay-lab/ovlab/h1/agent.log\0", own));
        assert!(!is_agent(b"", own));
    }
}
