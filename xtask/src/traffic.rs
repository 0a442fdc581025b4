//! The load of the lab: one TCP connection, as a stream or as 1-byte requests and responses.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::json;

/// Bytes of one write and read. What a write leaves over after whole super-frames travels as small packets of its
/// own, and how much that is depends on the MSS: with the 128 KiB of iperf3, 752 bytes at an MTU of 1500 and two
/// packets at one of 1450, which alone halved the stream. In a mebibyte it does not show.
const CHUNK: usize = 1024 * 1024;
/// Bytes of a page.
const PAGE: usize = 4096;
/// The congestion control of both ends, where the kernel has it. The default may be BBR, which paces a connection
/// by its own estimates: on one machine they are no measure of the path.
const CONGESTION_CONTROL: &str = "cubic";
/// A connection on which nothing moves for so long is broken.
const PATIENCE: Duration = Duration::from_secs(3);
/// A server that nobody stopped stops itself.
const SERVER_LIFE: Duration = Duration::from_secs(30);

/// One end of a connection.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    end: End,
    /// The CPU to stay on.
    #[arg(long, global = true)]
    cpu: Option<usize>,
}

/// Which end.
#[derive(Debug, clap::Subcommand)]
enum End {
    /// Serve one connection; prints its port.
    Serve {
        /// Stream or rr.
        kind: Kind,
        /// The address to listen on.
        address: IpAddr,
    },
    /// Load a server; prints a line of JSON.
    Load {
        /// Stream or rr.
        kind: Kind,
        /// The server.
        server: SocketAddr,
        /// How long, in milliseconds; at most a second, so that a real-time priority is not throttled.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1000))]
        milliseconds: u64,
    },
}

/// What goes over the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// As many bytes as go through.
    Stream,
    /// One byte to and fro.
    Rr,
}

impl Kind {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Rr => "rr",
        }
    }
}

/// Runs one end.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(cpu) = options.cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPU {cpu}"))?;
    }
    match options.end {
        End::Serve { kind, address } => serve(kind, address),
        End::Load { kind, server, milliseconds } => {
            let connection = TcpStream::connect_timeout(&server, PATIENCE);
            let connection = connection.with_context(|| format!("cannot reach {server}"))?;
            connection.set_read_timeout(Some(PATIENCE))?;
            connection.set_write_timeout(Some(PATIENCE))?;
            choose_congestion_control(&connection);
            let window = Duration::from_millis(milliseconds);
            let figures = match kind {
                Kind::Stream => stream(connection, window),
                Kind::Rr => request_response(connection, window),
            };
            println!("{}", figures.context("the connection broke")?);
            Ok(())
        }
    }
}

fn serve(kind: Kind, address: IpAddr) -> Result<()> {
    thread::spawn(|| {
        thread::sleep(SERVER_LIFE);
        process::exit(1);
    });
    let listener = TcpListener::bind((address, 0)).with_context(|| format!("cannot listen on {address}"))?;
    println!("{}", listener.local_addr()?.port());
    let (mut connection, _) = listener.accept()?;
    choose_congestion_control(&connection);
    match kind {
        Kind::Stream => {
            let mut memory = vec![0; CHUNK + PAGE];
            let buffer = aligned(&mut memory);
            let (mut filled, mut total) = (0, 0_u64);
            loop {
                match connection.read(&mut buffer[filled..])? {
                    0 => break,
                    length => {
                        filled = (filled + length) % CHUNK;
                        total += length as u64;
                    }
                }
            }
            connection.write_all(&total.to_be_bytes())?;
        }
        Kind::Rr => {
            connection.set_nodelay(true)?;
            let mut byte = [0];
            while connection.read(&mut byte)? == 1 {
                connection.write_all(&byte)?;
            }
        }
    }
    Ok(())
}

/// A chunk that starts on a page. Where payload and buffer are out of step by a few bytes, some CPUs copy at half
/// the speed, and the MSS decides whether they are: that is no property of the path.
fn aligned(memory: &mut [u8]) -> &mut [u8] {
    let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
    &mut memory[start..start + CHUNK]
}

fn choose_congestion_control(connection: &TcpStream) {
    // Both modes go without it where the kernel lacks it.
    let _kept = rustix::net::sockopt::set_tcp_congestion(connection, CONGESTION_CONTROL);
}

/// What arrived, by the server's count, in the time until it said so.
fn stream(mut connection: TcpStream, window: Duration) -> std::io::Result<serde_json::Value> {
    let mut memory = vec![1; CHUNK + PAGE];
    let chunk = aligned(&mut memory);
    let start = Instant::now();
    while start.elapsed() < window {
        connection.write_all(chunk)?;
    }
    connection.shutdown(std::net::Shutdown::Write)?;
    let mut total = [0; 8];
    connection.read_exact(&mut total)?;
    Ok(json!({"bytes": u64::from_be_bytes(total), "seconds": start.elapsed().as_secs_f64()}))
}

fn request_response(mut connection: TcpStream, window: Duration) -> std::io::Result<serde_json::Value> {
    connection.set_nodelay(true)?;
    let (mut byte, mut times, start) = ([0], Vec::new(), Instant::now());
    let mut last = start;
    while last - start < window {
        connection.write_all(&byte)?;
        connection.read_exact(&mut byte)?;
        let now = Instant::now();
        times.push(now - last);
        last = now;
    }
    times.sort_unstable();
    let micros = |part: usize| times.get(times.len() * part / 100).map(|time| time.as_secs_f64() * 1e6);
    Ok(json!({
        "transactions": times.len(),
        "seconds": (last - start).as_secs_f64(),
        "p50_us": micros(50),
        "p99_us": micros(99),
    }))
}
