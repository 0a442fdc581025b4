//! A network namespace that is removed when it is dropped.

use std::{
    ffi::OsStr,
    fs::File,
    net::IpAddr,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command::run;

/// Where `ip netns` keeps its names.
const NETNS_DIR: &str = "/run/netns";

/// A named network namespace, as `ip netns` knows them.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes the namespace, with its loopback up.
    pub fn new(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let netns = Self { name: name.to_owned() };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// As `new`, in the place of a namespace of that name that a crash left.
    pub fn new_over(name: &str) -> Result<Self> {
        if Path::new(NETNS_DIR).join(name).exists() {
            run(Command::new("ip").args(["netns", "del", name]))?;
        }
        Self::new(name)
    }

    /// The name in `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds the namespace.
    pub fn path(&self) -> PathBuf {
        Path::new(NETNS_DIR).join(&self.name)
    }

    /// A command that will run `program` in the namespace.
    ///
    /// By `nsenter`, because `ip netns exec` mounts /sys anew and so hides bpffs.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    /// Runs a program in the namespace to its end; its standard output.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let (program, args) = words.split_first().context("no program named")?;
        run(self.command(program).args(args))
    }

    /// Runs `ip` in the namespace, with arguments separated by spaces.
    pub fn ip(&self, args: &str) -> Result<String> {
        run(Command::new("ip").args(["-n", &self.name]).args(args.split_whitespace()))
    }

    /// Sets a sysctl of the namespace by its path below /proc/sys, as in `net/ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| {
            std::fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
        })?
    }

    /// Runs `f` on a thread inside the namespace: sockets it opens belong to the namespace and stay usable.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        inside(&self.path(), f)
    }

    /// Sends one echo request; whether the answer came within a second.
    pub fn ping(&self, to: IpAddr) -> bool {
        self.command("ping")
            .args(["-n", "-q", "-c", "1", "-W", "1", &to.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Sends raw Ethernet frames from `ifname`, in order.
    pub fn inject(&self, ifname: &str, frames: &[Vec<u8>]) -> Result<()> {
        frames.iter().try_for_each(|frame| crate::capture::send_frame(self, ifname, frame))
    }
}

/// Runs `f` on a thread inside the namespace that a file holds.
pub fn inside<T: Send>(netns: &Path, f: impl FnOnce() -> T + Send) -> Result<T> {
    let file = File::open(netns).with_context(|| format!("cannot open {}", netns.display()))?;
    thread::scope(|scope| {
        let inside = scope.spawn(move || -> Result<T> {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .context("cannot enter the namespace: root is needed")?;
            Ok(f())
        });
        inside.join().map_err(|_| anyhow!("the thread in {} panicked", netns.display()))?
    })
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("ip").args(["netns", "del", &self.name])) {
            eprintln!("lab: {error:#}");
        }
    }
}
