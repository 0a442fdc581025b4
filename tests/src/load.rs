//! A load that knows what became of every packet: numbered UDP datagrams both ways, and a TCP stream whose bytes
//! are known in advance.

mod datagram;
mod flow;
mod loss;
mod stream;
mod tally;

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{Container, Lab};

use self::stream::Stream;
pub use self::{
    flow::{Flow, FlowReport},
    loss::Losses,
};

/// Datagrams in a second, both ways together.
const RATE: u32 = 20_000;
/// Bits in a second of the TCP stream: enough to meet every fault, too few to starve the rest.
const STREAM_RATE: u64 = 100_000_000;
/// The part of its rate that a sender must have reached, in percent; below it the run says nothing.
const REACHED: u64 = 90;
/// How long it runs at least: of a moment's run the rate says nothing.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long what is under way may take to arrive.
const QUIET: Duration = Duration::from_millis(500);

/// A running load between two containers; dropped, it ends.
#[derive(Debug)]
pub struct Load {
    there: Flow,
    back: Flow,
    stream: Stream,
    /// What the machine itself lost, in the namespaces of both ends.
    losses: [Losses; 2],
    started: Instant,
}

/// What became of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// Datagrams sent, both ways.
    pub sent: u64,
    /// Datagrams that arrived, each counted once.
    pub received: u64,
    /// Datagrams that never arrived, those that could not even be sent included.
    pub lost: u64,
    /// Datagrams that arrived again.
    pub duplicated: u64,
    /// Datagrams that a later one overtook.
    pub reordered: u64,
    /// Datagrams with other bytes than were sent.
    pub corrupted: u64,
    /// Bytes that arrived over TCP as they were sent.
    pub tcp_bytes: u64,
    /// What was wrong with the stream: an error, or the place of the first wrong byte.
    pub tcp_error: Option<String>,
    /// How long it ran.
    pub seconds: f64,
    /// Datagrams sent in a second, both ways.
    pub rate: u64,
    /// Why the run says nothing: the machine lost packets outside the data path, or could not send as asked.
    pub invalid: Option<String>,
    /// The first error that a sender met.
    pub refusal: Option<String>,
}

impl Load {
    /// Starts the load between two containers of a lab; both ways, IPv4 there and IPv6 back where both have it.
    pub fn start(lab: &Lab, from: &str, to: &str) -> Result<Self> {
        Self::with_rate(lab, from, to, RATE)
    }

    /// As `start`, with that many datagrams in a second, both ways together.
    pub fn with_rate(lab: &Lab, from: &str, to: &str, rate: u32) -> Result<Self> {
        let (from, to) = (lab.container(from)?, lab.container(to)?);
        let (v4, v6) = (pair(from, to, false), pair(to, from, true));
        let (source, target) = v4.or_else(|| pair(from, to, true)).context("no address in common")?;
        let losses = [Losses::open(&from.netns)?, Losses::open(&to.netns)?];
        let there = Flow::start((&from.netns, source), (&to.netns, target), rate / 2)?;
        let stream = Stream::start((&from.netns, source), (&to.netns, target), STREAM_RATE)?;
        let (source, target) = v6.unwrap_or((target, source));
        let back = Flow::start((&to.netns, source), (&from.netns, target), rate / 2)?;
        Ok(Self { there, back, stream, losses, started: Instant::now() })
    }

    /// Ends the load, waits for what is under way, and counts.
    pub fn stop(self) -> Result<Report> {
        let Self { there, back, stream, losses, started } = self;
        thread::sleep(SHORTEST.saturating_sub(started.elapsed()));
        let seconds = started.elapsed();
        // All at once: each then waits for what is under way.
        there.halt();
        back.halt();
        stream.halt();
        let (there, back, tcp) = (there.stop()?, back.stop()?, stream.stop());
        let lost = losses.iter().map(Losses::since).collect::<Result<Vec<_>>>()?;
        let mut invalid: Vec<String> = lost.into_iter().flatten().collect();
        invalid.extend([&there, &back].iter().filter_map(|flow| flow.too_slow(REACHED)));
        let sum = |count: fn(&FlowReport) -> u64| count(&there) + count(&back);
        Ok(Report {
            sent: sum(|flow| flow.sent),
            received: sum(|flow| flow.received),
            lost: sum(FlowReport::lost),
            duplicated: sum(|flow| flow.duplicated),
            reordered: sum(|flow| flow.reordered),
            corrupted: sum(|flow| flow.corrupted),
            tcp_bytes: tcp.bytes,
            tcp_error: tcp.error,
            seconds: seconds.as_secs_f64(),
            rate: there.rate() + back.rate(),
            invalid: (!invalid.is_empty()).then(|| invalid.join("; ")),
            refusal: there.refusal.or(back.refusal),
        })
    }
}

impl Report {
    /// Whether the stream arrived whole.
    pub fn tcp_ok(&self) -> bool {
        self.tcp_error.is_none() && self.tcp_bytes > 0
    }

    /// Panics unless every datagram arrived once and as it was sent, and the stream arrived whole.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_valid();
        assert!(
            (self.lost, self.duplicated, self.corrupted) == (0, 0, 0) && self.tcp_ok(),
            "not clean: {self:?}"
        );
    }

    /// Panics if the run says nothing about the data path.
    #[track_caller]
    pub fn assert_valid(&self) {
        assert!(self.invalid.is_none(), "the run is invalid: {self:?}");
        assert!(self.sent > 0, "nothing was sent: {self:?}");
    }
}

/// The first addresses of a family that both have.
fn pair(from: &Container, to: &Container, v6: bool) -> Option<(IpAddr, IpAddr)> {
    from.ip(v6).zip(to.ip(v6))
}
