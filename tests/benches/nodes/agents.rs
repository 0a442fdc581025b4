//! Two real agents that are members of a large cluster under change: what they forward meanwhile.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use overlay_tests::{
    Engine, Lab, Options as LabOptions,
    traffic::{Awake, Kind, Pair, Window},
};
use overlay_user::gossip::JoinToken;
use serde::Serialize;

use crate::{
    crowd::{Crowd, NODES},
    node::{BLUE, SUBNET},
    options::Options,
    stats::Summary,
};

const NAME: &str = "ovb-nodes";
/// How long the agents may take to have all endpoints in their tables.
const FOLLOWED: Duration = Duration::from_mins(2);
/// How long the cluster is left alone, or to its changes, before it is measured.
const SETTLE: Duration = Duration::from_secs(2);
/// Windows of each kind in a round, of half a second each.
const WINDOWS: usize = 4;
const WINDOW: u64 = 500;
/// By how much less may be forwarded under change.
const TARGET: f64 = 0.95;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) endpoints: usize,
    /// From the last endpoint that was added until the agents had all.
    pub(crate) followed_ms: f64,
    /// Changes in a second that were reached.
    pub(crate) changes: f64,
    /// The same while nothing is forwarded, which takes CPU time from the simulated nodes.
    pub(crate) changes_alone: f64,
    /// Under change and idle, as the ratio of each round: what was forwarded in a second. All of the simulated nodes'
    /// work takes CPU time from it, too.
    pub(crate) stream: Vec<f64>,
    pub(crate) udp: Vec<f64>,
    /// The same of what was forwarded in a second of a CPU that it had.
    pub(crate) stream_of_cpu: Vec<f64>,
    pub(crate) udp_of_cpu: Vec<f64>,
    /// CPUs that each agent keeps busy, idle and under change.
    pub(crate) cpus: [[f64; 2]; 2],
    /// Resident memory of the agents, in MiB.
    pub(crate) rss_mib: [f64; 2],
}

/// What one part of a round came to.
struct Part {
    stream: f64,
    udp: f64,
    stream_of_cpu: f64,
    udp_of_cpu: f64,
    cpus: [f64; 2],
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let lab_options = LabOptions::of_environment(NAME.to_owned(), 2)?;
    let mut lab = Lab::new(&LabOptions { engine: Engine::Gossip, ..lab_options })?;
    lab.declare_network(BLUE, 42, &[SUBNET]);
    for (host, name) in ["a", "b"].into_iter().enumerate() {
        let ip = [10, 79, 0, host as u8 + 1].into();
        lab.declare_container(host, BLUE, name, &[ip])?;
    }
    lab.start_agents()?;
    lab.bind_all()?;
    let token = lab.hosts[1].join.as_ref().context("the lab has no token")?;
    let token: JoinToken = token.parse()?;
    println!("{NODES} nodes get {} endpoints", options.endpoints);
    let crowd = Crowd::start(&lab, &format!("{NAME}-crowd"), &token, options.endpoints)?;
    let followed = wait_followed(&lab, options.endpoints + 2)?;
    println!("the agents have them {followed:.0} ms later");
    let program = std::env::current_exe().context("this binary cannot find itself")?;
    let [a, b] = [lab.container("a")?, lab.container("b")?];
    let to = b.ip(false).context("an address")?;
    let mut pair = Pair::start_ordinary(&program, &a.netns.path(), &b.netns.path(), to)?;
    let _awake = Awake::hold();
    let mut report = Report {
        endpoints: options.endpoints,
        followed_ms: followed,
        changes: 0.0,
        changes_alone: 0.0,
        stream: Vec::new(),
        udp: Vec::new(),
        stream_of_cpu: Vec::new(),
        udp_of_cpu: Vec::new(),
        cpus: [[0.0; 2]; 2],
        rss_mib: [0.0; 2],
    };
    report.changes_alone = changes_alone(&crowd, options.changes);
    println!("{:.0} changes/s while nothing is forwarded", report.changes_alone);
    let (mut changes, mut seconds) = (0, 0.0);
    for round in 0..options.rounds {
        let idle = part(&lab, &mut pair)?;
        crowd.set_rate(options.changes);
        thread::sleep(SETTLE);
        let (before, start) = (crowd.changed(), Instant::now());
        let busy = part(&lab, &mut pair)?;
        changes += crowd.changed() - before;
        seconds += start.elapsed().as_secs_f64();
        crowd.set_rate(0);
        thread::sleep(SETTLE);
        println!(
            "round {}: stream {:.3}, UDP {:.3}",
            round + 1,
            busy.stream / idle.stream,
            busy.udp / idle.udp
        );
        report.stream.push(busy.stream / idle.stream);
        report.udp.push(busy.udp / idle.udp);
        report.stream_of_cpu.push(busy.stream_of_cpu / idle.stream_of_cpu);
        report.udp_of_cpu.push(busy.udp_of_cpu / idle.udp_of_cpu);
        for (sum, part) in report.cpus.iter_mut().zip([&idle, &busy]) {
            for (sum, cpus) in sum.iter_mut().zip(part.cpus) {
                *sum += cpus / f64::from(options.rounds);
            }
        }
    }
    report.changes = changes as f64 / seconds;
    report.rss_mib = resident(&lab)?;
    Ok(report)
}

/// Changes in a second that are reached where nothing else is done.
fn changes_alone(crowd: &Crowd, rate: u32) -> f64 {
    crowd.set_rate(rate);
    let (before, start) = (crowd.changed(), Instant::now());
    thread::sleep(5 * SETTLE);
    let reached = (crowd.changed() - before) as f64 / start.elapsed().as_secs_f64();
    crowd.set_rate(0);
    thread::sleep(SETTLE);
    reached
}

/// Waits until both agents list so many endpoints; the milliseconds.
fn wait_followed(lab: &Lab, count: usize) -> Result<f64> {
    let start = Instant::now();
    for host in &lab.hosts {
        while host.status()?["counts"]["endpoints"] != count {
            ensure!(
                start.elapsed() < FOLLOWED,
                "{} does not follow: {}, not {count}",
                host.name,
                host.status()?["counts"]
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// Bytes and datagrams in a second, the kinds by turns, and the CPUs of the agents meanwhile.
fn part(lab: &Lab, pair: &mut Pair) -> Result<Part> {
    let (cpu, start) = (agents_cpu(lab)?, Instant::now());
    let (mut stream, mut udp, mut stream_cpu, mut udp_cpu) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..WINDOWS {
        let figures = pair.window(Window::new(Kind::Stream, WINDOW))?;
        stream += figures.bytes as f64 / figures.seconds / WINDOWS as f64;
        stream_cpu += figures.cpu_seconds / figures.seconds / WINDOWS as f64;
        let figures = pair.window(Window::new(Kind::Udp, WINDOW))?;
        udp += figures.count as f64 / figures.seconds / WINDOWS as f64;
        udp_cpu += figures.cpu_seconds / figures.seconds / WINDOWS as f64;
    }
    let seconds = start.elapsed().as_secs_f64();
    let now = agents_cpu(lab)?;
    let cpus = [(now[0] - cpu[0]) / seconds, (now[1] - cpu[1]) / seconds];
    Ok(Part { stream, udp, stream_of_cpu: stream / stream_cpu, udp_of_cpu: udp / udp_cpu, cpus })
}

/// CPU seconds of both agents so far.
fn agents_cpu(lab: &Lab) -> Result<[f64; 2]> {
    let of = |host: usize| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid(lab, host)?))?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        // User and system time, in ticks of 10 ms (`proc_pid_stat(5)`).
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        anyhow::Ok(ticks as f64 / 100.0)
    };
    Ok([of(0)?, of(1)?])
}

fn resident(lab: &Lab) -> Result<[f64; 2]> {
    let of = |host: usize| {
        let text = fs::read_to_string(format!("/proc/{}/status", pid(lab, host)?))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        anyhow::Ok(line.context("no VmRSS")?.parse::<f64>()? / 1024.0)
    };
    Ok([of(0)?, of(1)?])
}

fn pid(lab: &Lab, host: usize) -> Result<u32> {
    lab.hosts[host].agent_pid().context("an agent has ended")
}

impl Report {
    pub(crate) fn lines(&self) -> Vec<String> {
        let ratio = |what: &str, rounds: &[f64]| {
            let Some(summary) = Summary::of(rounds) else { return format!("{what}: nothing was measured") };
            let verdict = if summary.median >= TARGET { "reached" } else { "missed" };
            format!(
                "{what}: {:.3} of idle, 95 % between {:.3} and {:.3}, {} rounds; target {TARGET} {verdict}",
                summary.median, summary.confidence[0], summary.confidence[1], summary.count
            )
        };
        let [idle, busy] = self.cpus;
        vec![
            format!(
                "{} endpoints on {NODES} nodes, {:.0} changes/s ({:.0} while nothing is forwarded)",
                self.endpoints, self.changes, self.changes_alone
            ),
            ratio("TCP stream in a second", &self.stream),
            ratio("UDP 64 B in a second", &self.udp),
            ratio("TCP stream in a second of a CPU", &self.stream_of_cpu),
            ratio("UDP 64 B in a second of a CPU", &self.udp_of_cpu),
            format!(
                "agents, CPUs idle: {:.2} and {:.2}; under change: {:.2} and {:.2}",
                idle[0], idle[1], busy[0], busy[1]
            ),
            format!("agents, resident: {:.0} and {:.0} MiB", self.rss_mib[0], self.rss_mib[1]),
        ]
    }
}
