//! One Docker engine: a dockerd in the network namespace of a host, with mounts and processes of its own.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use overlay_tests::{Netns, run};

use super::leftovers;

/// The name of the image that containers are made of.
pub(super) const IMAGE: &str = "busybox:bench";
/// How long an engine may take to start; it takes a second.
const START_LIMIT: Duration = Duration::from_mins(1);
/// The parent of the containers' cgroups.
pub(super) const CGROUP: &str = "ovb-docker";

/// A running engine, ended when it is dropped.
pub(super) struct Engine {
    /// Holds its socket, log, state and images.
    dir: PathBuf,
    /// `unshare`, which waits for dockerd and is in its mount namespace.
    outer: Child,
    /// Its version.
    pub(super) version: String,
}

impl Engine {
    /// Starts an engine on a host.
    pub(super) fn spawn(host: &Netns, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let config = dir.join("daemon.json");
        fs::write(&config, "{}").with_context(|| format!("cannot write {}", config.display()))?;
        let log = File::create(dir.join("log")).context("cannot make the engine's log")?;
        // Its files under /run and /etc are its own, and its network namespaces are mounted for nobody else. With
        // process ids of its own, containerd, the shims and the containers end when dockerd does.
        let script = "mount --make-rprivate / && mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker && \
                      exec dockerd \"$@\"";
        let outer = host
            .command("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", script, "dockerd"])
            .arg("--data-root")
            .arg(dir.join("root"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .arg(format!("--host=unix://{}", socket(dir).display()))
            // Images of one file need no layers; cgroups are made where they can be found again.
            .args(["--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--cgroup-parent", &format!("/{CGROUP}")])
            // Not the machine's.
            .arg("--config-file")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of the terminal's foreground group: it ends when it is dropped.
            .process_group(0)
            .spawn()
            .context("cannot start dockerd")?;
        Ok(Self { dir: dir.to_owned(), outer, version: String::new() })
    }

    /// Waits until it answers.
    pub(super) fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.docker(&["version", "--format", "{{.Server.Version}}"], &[]) {
                Ok(version) => {
                    self.version = version;
                    return Ok(());
                }
                Err(error) => {
                    let ended = self.outer.try_wait()?;
                    if ended.is_some() || start.elapsed() > START_LIMIT {
                        let what =
                            ended.map_or("does not answer".to_owned(), |status| format!("ended: {status}"));
                        return Err(error.context(format!("dockerd {what}; it said:\n{}", self.log_tail())));
                    }
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs `docker` on the engine; its standard output.
    pub(super) fn docker(&self, args: &[&str], more: &[&str]) -> Result<String> {
        let mut command = Command::new("docker");
        command.arg(format!("--host=unix://{}", socket(&self.dir).display())).args(args).args(more);
        // Another engine that the caller's settings name is none of ours.
        for variable in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"] {
            command.env_remove(variable);
        }
        Ok(run(&mut command)?.trim().to_owned())
    }

    /// Makes an image of a directory.
    pub(super) fn import(&self, rootfs: &Path) -> Result<()> {
        let archive = self.dir.join("rootfs.tar");
        run(Command::new("tar").arg("-C").arg(rootfs).arg("-cf").arg(&archive).arg("."))?;
        self.docker(&["import"], &[&archive.to_string_lossy(), IMAGE])?;
        Ok(())
    }

    /// A path as the engine has it, for others.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        // /var/run, which leads to /run, would lead there from the caller's root.
        let path = path.strip_prefix("/var").unwrap_or(path);
        let below = path.strip_prefix("/").unwrap_or(path);
        Path::new("/proc").join(self.outer.id().to_string()).join("root").join(below)
    }

    /// The file of a network namespace of the engine.
    pub(super) fn netns(&self, name: &str) -> PathBuf {
        self.path(&self.dir.join("exec/netns").join(name))
    }

    /// The last lines of its log.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(self.dir.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("docker.sock")
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = leftovers::end_engines(&self.dir) {
            eprintln!("docker: {error:#}");
        }
        // `unshare` ends with dockerd; without one it is of no use either.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}
