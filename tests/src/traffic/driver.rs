//! The two ends of a path, as their driver sees them.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    net::IpAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{Figures, WORD, Window};
use crate::run;

/// The CPU of the client.
pub(super) const CLIENT_CPU: usize = 0;
/// That of the server.
const SERVER_CPU: usize = 1;

/// A client and a server, standing; dropped, they end.
#[derive(Debug)]
pub struct Pair {
    // In this order: a client whose server went first would complain.
    client: Process,
    server: Process,
}

impl Pair {
    /// Starts `program traffic ...` in two network namespaces, named by their files; `to` is the server's address.
    ///
    /// Both run above all ordinary processes, where that is allowed.
    pub fn start(program: &Path, client: &Path, server: &Path, to: IpAddr) -> Result<Self> {
        Self::start_as(realtime_allowed(), program, [client, server], to)
    }

    /// The same as ordinary processes, beside whose load others get their work done.
    pub fn start_ordinary(program: &Path, client: &Path, server: &Path, to: IpAddr) -> Result<Self> {
        Self::start_as(false, program, [client, server], to)
    }

    fn start_as(realtime: bool, program: &Path, [client, server]: [&Path; 2], to: IpAddr) -> Result<Self> {
        let (address, client_cpu, server_cpu) =
            (to.to_string(), CLIENT_CPU.to_string(), SERVER_CPU.to_string());
        let mut server = Process::start(realtime, program, server, &["serve", &server_cpu, &address])?;
        let ports = server.line().context("the server names no ports")?;
        let mut words = vec!["load", &client_cpu, &address];
        words.extend(ports.split_whitespace());
        let mut client = Process::start(realtime, program, client, &words)?;
        let ready = client.line().with_context(|| format!("no connection to {to}"))?;
        if ready.trim() != "ready" {
            bail!("the client says {:?}", ready.trim());
        }
        Ok(Self { client, server })
    }

    /// The process ids of both ends: what they were started by has become them.
    pub fn processes(&self) -> [u32; 2] {
        [&self.client, &self.server].map(|end| end.child.id())
    }

    /// One window of load.
    pub fn window(&mut self, window: Window) -> Result<Figures> {
        self.window_beside(window, || Ok(()))
    }

    /// One window of load, and what `beside` does meanwhile.
    pub fn window_beside(&mut self, window: Window, beside: impl FnOnce() -> Result<()>) -> Result<Figures> {
        let mut line = serde_json::to_string(&window)?;
        line.push('\n');
        self.client.stdin.write_all(line.as_bytes()).context("the client has ended")?;
        beside()?;
        let text = self.client.line().context("the client has ended")?;
        serde_json::from_str(&text).with_context(|| format!("the client says {:?}", text.trim()))
    }
}

/// Whether processes may run above all ordinary ones here.
pub fn realtime_allowed() -> bool {
    run(Command::new("chrt").args(["-f", "20", "true"])).is_ok()
}

#[derive(Debug)]
struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(realtime: bool, program: &Path, netns: &Path, words: &[&str]) -> Result<Self> {
        let mut command = Command::new("nsenter");
        let mut file = OsString::from("--net=");
        file.push(netns);
        command.arg(file);
        if realtime {
            command.args(["chrt", "-f", "20"]);
        }
        command.arg(program).arg(WORD).args(words);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start an end of a path")?;
        let stdin = child.stdin.take().context("an end has no stdin")?;
        let stdout = child.stdout.take().context("an end has no stdout")?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("nothing was printed");
        }
        Ok(line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
