//! The load of `cargo xtask run` and of the benchmarks: a standing process at each end of a path, which a driver asks
//! for one window of load after another.
//!
//! The processes stand so that windows can be short and the paths can take turns: what others on the machine do then
//! meets all paths alike. Connections stand too, but those of connect/request/close.

mod awake;
mod client;
mod datagrams;
mod driver;
mod server;
mod socket;

use std::{net::IpAddr, process, str::FromStr, thread};

use anyhow::{Context as _, Result, bail};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

pub use self::{
    awake::Awake,
    driver::{Pair, realtime_allowed},
};

/// The word on the command line that makes a program an end.
pub const WORD: &str = "traffic";

/// What goes over a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// As many bytes over TCP as go through, or as the rate says.
    Stream,
    /// One byte over TCP to and fro.
    Rr,
    /// The same, beside a stream of the given rate.
    LoadedRr,
    /// A TCP connection, one byte to and fro, and the end of it. The client ends it by RST (`SO_LINGER` 0), since
    /// thousands of connections in `TIME_WAIT` would use up its ports.
    Crr,
    /// One byte over UDP to and fro.
    UdpRr,
    /// Datagrams of 64 bytes, one way, counted at the receiver.
    Udp,
    /// Datagrams that leave the sender as super-frames (`UDP_SEGMENT`), counted at the receiver.
    UdpSegment,
    /// Datagrams that another than the client puts on the path, counted at the receiver.
    Foreign,
}

/// One window of load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Window {
    /// What goes.
    pub kind: Kind,
    /// For how long. At most a second: a real-time process may have 0.95 s of each.
    pub millis: u64,
    /// Bytes of a stream, or datagrams, in a second; 0 for as many as go through.
    pub rate: u64,
    /// Connections of a stream.
    pub flows: usize,
}

impl Window {
    /// A window of one flow, as fast as it goes.
    pub fn new(kind: Kind, millis: u64) -> Self {
        Self { kind, millis, rate: 0, flows: 1 }
    }
}

/// What came of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Transactions; of one-way datagrams, those that arrived.
    pub count: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes that arrived over TCP.
    pub bytes: u64,
    /// Until the last of it had arrived.
    pub seconds: f64,
    /// Half of the transactions took no longer, in microseconds.
    pub p50_us: f64,
    /// Nor did 99 of 100.
    pub p99_us: f64,
    /// CPU time of both ends, and of the kernel's `ksoftirqd`.
    ///
    /// A process is charged with all the time in which it was current, by the scheduler's clock (`sum_exec_runtime`):
    /// also that of the softirqs which ran on top of it, unless the kernel accounts interrupts apart
    /// (`CONFIG_IRQ_TIME_ACCOUNTING`). Over veths nearly every softirq is raised by an end's own system call.
    pub cpu_seconds: f64,
}

/// Which end a process is.
enum End {
    /// Serves an address.
    Serve(IpAddr),
    /// Loads a server: its address, and its ports for TCP, connect/request/close, echo and sink.
    Load(IpAddr, [u16; 4]),
}

/// Runs an end to its end, which is that of its standard input. `words` come after `WORD` on the command line.
pub fn main(words: &[String]) -> Result<()> {
    let [end, cpu, address, ports @ ..] = words else { bail!("no end of a path is named") };
    pin(read(cpu)?)?;
    let address = read(address)?;
    match (end.as_str(), ports) {
        ("serve", []) => run(&End::Serve(address)),
        ("load", [tcp, crr, echo, sink]) => {
            run(&End::Load(address, [read(tcp)?, read(crr)?, read(echo)?, read(sink)?]))
        }
        _ => bail!("{end} is no end of a path"),
    }
}

fn run(end: &End) -> Result<()> {
    match end {
        End::Serve(address) => server::run(*address),
        End::Load(address, ports) => client::run(*address, *ports),
    }
}

fn read<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(word: &str) -> Result<T> {
    word.parse().with_context(|| format!("{word:?} was not expected"))
}

/// Keeps this thread, and those it makes, on a CPU; on the last where there are fewer.
fn pin(cpu: usize) -> Result<()> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(cpu.min(cpus - 1));
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPU {cpu}"))
}

/// Keeps this thread on the client's CPU.
pub fn pin_to_client() -> Result<()> {
    pin(driver::CLIENT_CPU)
}

/// CPU time of this process so far, in nanoseconds.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Ends the process when its driver is gone.
fn end_with_stdin() {
    thread::spawn(|| {
        let mut line = String::new();
        // An error is an end too.
        while std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0) {}
        process::exit(0);
    });
}
