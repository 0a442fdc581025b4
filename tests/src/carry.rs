//! Bulk data from one namespace to another, by programs that are not ours: what arrives is told by its SHA-256.

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{Netns, full, run};

/// The TCP port of the receiver.
const PORT: u16 = 7300;

/// A file of random bytes, removed when dropped.
#[derive(Debug)]
pub struct Data {
    file: PathBuf,
    /// Its size.
    pub mebibytes: u32,
    /// Its SHA-256.
    pub sum: String,
}

impl Data {
    /// Makes a file: of a GiB in a full run, else of 64 MiB.
    pub fn new(name: &str) -> Result<Self> {
        let mebibytes = if full() { 1024 } else { 64 };
        let file = std::env::temp_dir().join(format!("ovt-{name}-{}.data", std::process::id()));
        let of = format!("of={}", file.display());
        let count = format!("count={mebibytes}");
        run(Command::new("dd").args(["if=/dev/urandom", &of, "bs=1M", &count, "status=none"]))?;
        let mut this = Self { file, mebibytes, sum: String::new() };
        this.sum = word(&run(Command::new("sha256sum").arg(&this.file))?);
        Ok(this)
    }

    /// Sends the data over TCP into a shell command at the other end; the first word that it prints.
    pub fn carry(&self, from: &Netns, to: &Netns, ip: IpAddr, sink: &str) -> Result<String> {
        let limit = if full() { "100" } else { "20" };
        let (version, host) = if ip.is_ipv4() { ("4", ip.to_string()) } else { ("6", format!("[{ip}]")) };
        let listen = format!("TCP{version}-LISTEN:{PORT},bind={host},reuseaddr");
        let mut receive = to
            .command("sh")
            .args(["-c", &format!("timeout {limit} socat -u -b 262144 '{listen}' STDOUT | {sink}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a receiver")?;
        let connect = format!("TCP{version}:{host}:{PORT},retry=50,interval=0.1,connect-timeout=5");
        let file = format!("OPEN:{},rdonly", self.file.display());
        let send = [limit, "socat", "-u", "-b", "262144", &file, &connect];
        if let Err(error) = run(from.command("timeout").args(send)) {
            // It waits for a connection that does not come.
            let _ = receive.kill();
            let _ = receive.wait();
            return Err(error);
        }
        let output = receive.wait_with_output()?;
        Ok(word(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Absent when the disk was full.
        let _ = fs::remove_file(&self.file);
    }
}

/// The first word: the sum that `sha256sum` prints.
fn word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
