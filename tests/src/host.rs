//! A host of the lab: a namespace on the underlay with a real agent process.

use std::{
    fs,
    net::IpAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Netns,
    command::{output_within, run},
    patience::patient,
};

/// How long an agent may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long an agent may take to end when asked.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often either is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long one question to the agent may take.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// A host of the lab.
#[derive(Debug)]
pub struct Host {
    /// `h1`, `h2` and so on: also the node's name in the cluster.
    pub name: String,
    /// Its preferred address on the underlay.
    pub vtep: IpAddr,
    /// Its namespace, with `eth0` on the underlay.
    pub netns: Netns,
    /// Holds `overlay.toml`, `agent.log`, `run/` and `state/`.
    pub dir: PathBuf,
    /// Where its agent pins, on bpffs.
    pub pin_dir: PathBuf,
    /// The token of the cluster that its agent joins.
    pub join: Option<String>,
    /// The `overlay` binary that the next command or agent uses.
    pub overlay: PathBuf,
    agent: Option<Child>,
}

impl Host {
    pub(crate) fn new(
        name: &str,
        vtep: IpAddr,
        netns: Netns,
        dir: PathBuf,
        pin_dir: PathBuf,
        overlay: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let overlay = overlay.to_owned();
        Ok(Self { name: name.to_owned(), vtep, netns, dir, pin_dir, join: None, overlay, agent: None })
    }

    /// The path of its overlay.toml.
    pub fn config(&self) -> PathBuf {
        self.dir.join("overlay.toml")
    }

    /// The path of its agent's log.
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// What its agents have said so far.
    pub fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes overlay.toml for engine `file` with the cluster at `cluster`.
    pub fn write_config(&self, cluster: &Path) -> Result<()> {
        let text = format!(
            "[node]\nname = {:?}\nunderlay = \"eth0\"\n[cluster]\nengine = \"file\"\n[cluster.file]\npath = \"{}\"\n",
            self.name,
            cluster.display()
        );
        fs::write(self.config(), text).with_context(|| format!("cannot write {}", self.config().display()))
    }

    /// Writes overlay.toml for engine `gossip`.
    pub fn write_gossip_config(&self) -> Result<()> {
        let text =
            format!("[node]\nname = {:?}\nunderlay = \"eth0\"\n[cluster]\nengine = \"gossip\"\n", self.name);
        fs::write(self.config(), text).with_context(|| format!("cannot write {}", self.config().display()))
    }

    /// Sets a key of `[node]` in overlay.toml, for the agent's next start.
    pub fn set_node(&self, key: &str, value: &str) -> Result<()> {
        let text = fs::read_to_string(self.config())?;
        let others = text.lines().filter(|line| line.split_once(" =").is_none_or(|(name, _)| name != key));
        let set = |line: &str| {
            if line == "[node]" { format!("[node]\n{key} = {value:?}\n") } else { format!("{line}\n") }
        };
        fs::write(self.config(), others.map(set).collect::<String>())
            .with_context(|| format!("cannot write {}", self.config().display()))
    }

    /// A command line of `overlay` in the host's namespace, for this host's agent.
    pub fn overlay(&self) -> Command {
        let mut command = self.netns.command(&self.overlay);
        command.envs(self.environment());
        command
    }

    /// The variables that make `overlay` talk to this host's agent.
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("OVERLAY_CONFIG", self.config()),
            ("OVERLAY_RUN_DIR", self.dir.join("run")),
            ("OVERLAY_STATE_DIR", self.dir.join("state")),
            ("OVERLAY_PIN_DIR", self.pin_dir.clone()),
        ]
    }

    /// Runs `overlay ARGS -o json` and reads its answer; refusals are errors with the command's own words.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let text = run(self.overlay().args(args).args(["-o", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("`overlay {}` printed no JSON", args.join(" ")))
    }

    /// What `overlay status` says, healthy or degraded; an error when no agent answers.
    pub fn status(&self) -> Result<Value> {
        let output = output_within(self.overlay().args(["status", "-o", "json"]), ASK_LIMIT)?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("no agent answers on {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("`overlay status` printed no JSON")
    }

    /// Starts the agent and waits until it answers.
    pub fn start_agent(&mut self) -> Result<()> {
        self.spawn_agent()?;
        self.wait_agent()
    }

    /// Starts the agent without waiting.
    pub fn spawn_agent(&mut self) -> Result<()> {
        if self.agent_runs() {
            bail!("the agent of {} runs already", self.name);
        }
        let log = fs::File::options().create(true).append(true).open(self.log_file())?;
        let child = self
            .netns
            .command(&self.overlay)
            .arg("agent")
            .arg("--config")
            .arg(self.config())
            .arg("--run-dir")
            .arg(self.dir.join("run"))
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            .arg("--pin-dir")
            .arg(&self.pin_dir)
            .envs(self.join.iter().map(|token| ("OVERLAY_JOIN", token)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of the terminal's foreground group: the lab ends its agents in order, Ctrl-C does not.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.overlay.display()))?;
        self.agent = Some(child);
        Ok(())
    }

    /// Waits until the agent answers.
    pub fn wait_agent(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let Err(error) = self.status() else { return Ok(()) };
            if !self.agent_runs() {
                bail!("the agent of {} ended:\n{}", self.name, self.log_tail());
            }
            if start.elapsed() > patient(START_LIMIT) {
                let log = self.log_tail();
                return Err(error.context(format!("the agent of {} does not answer:\n{log}", self.name)));
            }
            thread::sleep(POLL);
        }
    }

    /// The process id of the agent.
    pub fn agent_pid(&self) -> Option<u32> {
        self.agent.as_ref().map(Child::id)
    }

    /// Whether the agent's process is alive.
    pub fn agent_runs(&mut self) -> bool {
        self.agent.as_mut().is_some_and(|agent| matches!(agent.try_wait(), Ok(None)))
    }

    /// Kills the agent without warning, as a crash would.
    pub fn kill_agent(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            agent.kill()?;
            agent.wait()?;
        }
        Ok(())
    }

    /// Asks the agent to end, and kills it when it does not.
    pub fn stop_agent(&mut self) -> Result<()> {
        self.signal_agent();
        let start = Instant::now();
        while self.agent_runs() && start.elapsed() < patient(STOP_LIMIT) {
            thread::sleep(POLL);
        }
        self.kill_agent()
    }

    /// Asks the agent to end, without waiting.
    pub(crate) fn signal_agent(&mut self) {
        if self.agent_runs()
            && let Some(agent) = &self.agent
        {
            // It may have ended since; then it has done what was asked.
            let _ = kill_process(Pid::from_child(agent), Signal::TERM);
        }
    }

    /// Removes what the agent left in the kernel on purpose.
    pub(crate) fn uninstall(&self) {
        // Best effort: the namespaces and the pin directory go next, and with them everything attached.
        let _ = output_within(self.overlay().arg("uninstall"), ASK_LIMIT);
    }

    /// The last lines of the agent's log.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
