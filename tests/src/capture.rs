//! Frames on a wire: taken by tcpdump, read by tshark, sent by socat.
//!
//! None of it is ours, so that a mistake in our own headers cannot hide itself.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Netns, command::run};

/// A running capture; its file is removed when it is dropped.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Starts to take the frames on `ifname` that match the pcap `filter` (empty: all); returns once it listens.
    pub fn start(netns: &Netns, ifname: &str, filter: &str) -> Result<Self> {
        Self::with(netns, ifname, &[], filter)
    }

    /// As `start`, but only of frames that come in from the wire.
    pub fn inbound(netns: &Netns, ifname: &str, filter: &str) -> Result<Self> {
        // Not by the filter's own word `inbound`, which matches nothing on a veth.
        Self::with(netns, ifname, &["-Q", "in"], filter)
    }

    fn with(netns: &Netns, ifname: &str, options: &[&str], filter: &str) -> Result<Self> {
        let file = std::env::temp_dir().join(format!("{}-{ifname}.pcap", netns.name()));
        let mut tcpdump = netns
            .command("tcpdump")
            .args(["-i", ifname, "-n", "-U", "--immediate-mode", "-s", "0", "-Z", "root"])
            // 16 MiB, so that a burst waits for a busy machine.
            .args(["-B", "16384", "-w"])
            .arg(&file)
            .args(options)
            .args(filter.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start tcpdump")?;
        let mut said = String::new();
        let mut stderr = BufReader::new(tcpdump.stderr.take().context("tcpdump has no stderr")?);
        while !said.contains("listening on") {
            if stderr.read_line(&mut said)? == 0 {
                let _ = tcpdump.wait();
                bail!("tcpdump ended: {}", said.trim());
            }
        }
        // It writes little more; a closed pipe would end it.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Ok(Self { tcpdump, file })
    }

    /// Ends the capture and keeps its file until the drop.
    pub fn stop(&mut self) -> Result<()> {
        if self.tcpdump.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.tcpdump), Signal::INT).context("cannot stop tcpdump")?;
            self.tcpdump.wait()?;
        }
        Ok(())
    }

    /// The pcap file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture and reads tshark's `fields` of each frame that matches the display `filter` (empty: all).
    pub fn fields(&mut self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        self.stop()?;
        let mut command = Command::new("tshark");
        // Offline checksum checks are off by default in tshark; a wrong one must show.
        for protocol in ["ip", "tcp", "udp"] {
            command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        // Nothing above the transport but VXLAN: a random port that some protocol owns would have its payload called
        // malformed, or read as a packet of its own. None owns one from 49152, where VXLAN is sent from.
        for ports in ["udp.port==1-4788", "udp.port==4790-49151", "tcp.port==1-65535"] {
            command.args(["-d", &format!("{ports},data")]);
        }
        command.arg("-n").arg("-r").arg(&self.file).args(["-T", "fields"]);
        if !filter.is_empty() {
            command.args(["-Y", filter]);
        }
        for field in fields {
            command.args(["-e", field]);
        }
        let text = run(&mut command)?;
        Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("capture: {error:#}");
        }
        // Absent when tcpdump failed to start.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Sends one Ethernet frame from `ifname` of `netns`, as it is.
pub(crate) fn send_frame(netns: &Netns, ifname: &str, frame: &[u8]) -> Result<()> {
    let mut socat = netns
        .command("socat")
        .args(["-u", "-b", "65536", "STDIN", &format!("INTERFACE:{ifname}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start socat")?;
    // One write to the pipe is one read in socat and so one frame; the pipe closes at the end of this line.
    socat.stdin.take().context("socat has no stdin")?.write_all(frame)?;
    let output = socat.wait_with_output()?;
    if !output.status.success() {
        bail!("socat sent nothing from {ifname}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
