//! `--load xdp`: datagrams that the kernel itself puts on a path, without the cost of a sender's socket.
//!
//! The kernel runs a program that lets every frame pass on live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`): they come in at
//! the device by which the client's frames come to its host. They are copies of one that the client's socket sent. All
//! they meet up to the receiver's socket is work of the generator's CPU.

use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::{Ebpf, TestRun as _, TestRunAttrs, TestRunOptions, programs::Xdp};
use nix::sys::{
    socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt},
    time::TimeVal,
};
use overlay_tests::{
    inside, run,
    traffic::{self, Figures, Kind, Pair, Window},
};
use overlay_user::datapath::bpf::REFERENCE;
use rustix::process::setpriority_process;
use serde_json::Value;

use crate::modes::Mode;

/// Frames of a batch, the kernel's default (`XDP_TEST_RUN_BATCH` is 64), and of a call. Around a call the kernel makes
/// and unmakes its pool of pages, which takes 25 ms.
const BATCH: u32 = 64;
const FRAMES: u32 = 1 << 16;
/// The lowest priority: `ksoftirqd`, which has what a softirq left over, goes first, or the queues between devices run
/// over (`netdev_max_backlog`).
const NICE: i32 = 19;
/// Seconds that a datagram of the client may take to its host.
const PATIENCE: i64 = 2;
/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
/// Those and the client's 64 bytes of zeros.
const LENGTH: usize = HEADERS + 64;

/// Puts datagrams on one mode's path.
pub(crate) struct Generator {
    ebpf: Ebpf,
    /// The file of the namespace that the client's frames come to.
    host: PathBuf,
    /// Index of the device there that they come in by.
    ifindex: u32,
    frame: Vec<u8>,
}

impl Generator {
    /// A generator for the client's datagrams; none where they come to no device, since the client is the host.
    pub(crate) fn new(mode: &dyn Mode, pair: &mut Pair) -> Result<Option<Self>> {
        let Some(host) = mode.host() else { return Ok(None) };
        let ifindex = peer(&mode.across().client)?;
        let frame = inside(&host, || frame_of(pair))??;
        let mut ebpf = Ebpf::load(REFERENCE).context("cannot load the reference programs")?;
        pass(&mut ebpf)?.load().context("cannot load the reference program pass")?;
        Ok(Some(Self { ebpf, host, ifindex, frame }))
    }

    /// Generates for the time of a window, and has the client count what arrives at the server.
    pub(crate) fn window(&mut self, pair: &mut Pair, window: Window) -> Result<Figures> {
        let (mut sent, mut seconds) = (0, 0.0);
        let time = Duration::from_millis(window.millis);
        let watched = Window { kind: Kind::Foreign, ..window };
        let figures = pair.window_beside(watched, || {
            (sent, seconds) = self.generate(time)?;
            Ok(())
        })?;
        // Not until the receiver has read them, which is slower: what the path takes is over when they are queued.
        Ok(Figures { sent, seconds, ..figures })
    }

    /// How many frames were generated, and in which time.
    fn generate(&mut self, time: Duration) -> Result<(u64, f64)> {
        let context = [0, self.frame.len() as u32, 0, self.ifindex, 0, 0].map(u32::to_ne_bytes).concat();
        let program: &Xdp = pass(&mut self.ebpf)?;
        let frame = &self.frame;
        inside(&self.host, || {
            traffic::pin_to_client()?;
            setpriority_process(None, NICE).context("cannot lower the priority")?;
            let (start, mut sent, mut took) = (Instant::now(), 0, Duration::ZERO);
            while start.elapsed() < time {
                let options = TestRunOptions {
                    data_in: Some(frame),
                    ctx_in: Some(&context),
                    repeat: FRAMES,
                    attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                    ..TestRunOptions::new()
                };
                let run = program
                    .test_run(options)
                    .context("the kernel generates no frames (Linux >= 5.18 does)")?;
                sent += u64::from(FRAMES);
                // The kernel tells the mean of a frame, without what is around the call.
                took += run.duration * FRAMES;
            }
            Ok((sent, took.as_secs_f64()))
        })?
    }
}

fn pass(ebpf: &mut Ebpf) -> Result<&mut Xdp> {
    Ok(ebpf.program_mut("pass").context("no reference program pass")?.try_into()?)
}

/// Index of the other end of a container's `eth0`.
fn peer(container: &Path) -> Result<u32> {
    let netns = format!("--net={}", container.display());
    let text = run(Command::new("nsenter").args([&netns, "ip", "-json", "link", "show", "dev", "eth0"]))?;
    let value: Value = serde_json::from_str(&text).context("`ip` printed no JSON")?;
    let index = value[0]["link_index"].as_u64().and_then(|index| index.try_into().ok());
    index.context("the client's eth0 is no end of a veth pair")
}

/// A frame that the client sends, as its host sees it first; without a checksum, which the host's kernel would have
/// made up on the way out of a network card.
fn frame_of(pair: &mut Pair) -> Result<Vec<u8>> {
    let (raw, all) = (SockType::Raw, SockProtocol::EthAll);
    let socket = socket(AddressFamily::Packet, raw, SockFlag::SOCK_CLOEXEC, all).context("cannot capture")?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
    pair.window(Window::new(Kind::Udp, 1))?;
    let mut buffer = [0; 2048];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())
            .context("no datagram of the client came to its host")?;
        let frame = &mut buffer[..length];
        let is_one = length == LENGTH && frame[12..14] == [8, 0] && frame[23] == 17;
        if is_one && frame[HEADERS..].iter().all(|byte| *byte == 0) {
            frame[HEADERS - 2..HEADERS].fill(0);
            return Ok(frame.to_vec());
        }
    }
}
