//! An agent of a host that runs in a mount namespace of its own, where a script came first.

use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use overlay_tests::Host;

/// The agent's process; killed when it is dropped.
pub(crate) struct Agent(Child);

impl Agent {
    /// Starts it. What the script mounts ends with the process; a line of it that fails ends it at once.
    pub(crate) fn spawn(host: &Host, script: &str) -> Self {
        let log = fs::File::options().create(true).append(true).open(host.log_file()).expect("a log");
        let script = format!("set -e\n{script}\nexec \"$0\" agent");
        let mut command = host.netns.command("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(&host.overlay).envs(host.environment());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        Self(command.spawn().expect("started"))
    }

    /// Waits until it answers; what it said last where it ends instead.
    pub(crate) fn wait(&mut self, host: &Host, limit: Duration) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if host.status().is_ok() {
                return Ok(());
            }
            let last = || host.log().lines().last().unwrap_or_default().to_owned();
            if let Some(status) = self.0.try_wait().expect("looked at") {
                return Err(format!("{status}: {}", last()));
            }
            if start.elapsed() > limit {
                return Err(format!("no answer: {}", last()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
