//! The run: a pair of hosts for each CPU, one in TC and the next in XDP, until the time is over or enough was tried.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use overlay_tests::{Family, interrupt};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{
    grammar::Grammar,
    judge::{Found, Judge, Tally},
    lane::{Fault, Lane, Side},
    mutate,
    options::End,
};

/// What the pairs of hosts are, in turns.
const SIDES: [Side; 2] = [Side::Tc, Side::Xdp];
/// Frames of a batch from the underlay, and from the container.
const BATCH: u64 = 2048;
const OUTBOUND: u64 = 128;
/// Pairs of hosts at most: each is five namespaces.
const MOST: usize = 8;
/// A run ends early with so many differences.
const ENOUGH: usize = 10;
/// How often a terminal hears how far it is, and a log.
const TICK: Duration = Duration::from_secs(1);
const TELL: Duration = Duration::from_secs(15);

/// What a run came to.
pub(crate) struct Outcome {
    /// Of each family.
    pub(crate) tallies: [Tally; 2],
    /// Frames that XDP took out of their tunnels.
    pub(crate) by_xdp: u64,
    pub(crate) found: Vec<Numbered>,
    pub(crate) took: Duration,
    /// The first pair of hosts, for what is to be found out of the differences.
    pub(crate) judge: Judge,
}

/// A difference, and which frame of the seed it is.
pub(crate) struct Numbered {
    pub(crate) found: Found,
    pub(crate) index: u64,
    /// Whether it is a frame of the container.
    pub(crate) outbound: bool,
    pub(crate) family: Family,
}

/// What the threads share.
struct Shared<'a> {
    grammar: &'a Grammar,
    seed: u64,
    batches: AtomicU64,
    frames: AtomicU64,
    stop: AtomicBool,
    found: Mutex<Vec<Numbered>>,
}

/// Tries frames of a seed.
pub(crate) fn run(grammar: &Grammar, seed: u64, end: End) -> Result<Outcome> {
    let cpus = cpus()?;
    let lanes = cpus.len().max(SIDES.len());
    let judges: Vec<Judge> = (0..lanes)
        .map(|number| Ok(Judge::new(Lane::new(number, SIDES[number % SIDES.len()], Fault::None)?)))
        .collect::<Result<_>>()?;
    let shared = Shared {
        grammar,
        seed,
        batches: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        found: Mutex::new(Vec::new()),
    };
    let start = Instant::now();
    let judges = thread::scope(|scope| -> Result<Vec<(Judge, [Tally; 2])>> {
        let lanes: Vec<_> = judges
            .into_iter()
            .zip(cpus.iter().cycle())
            .map(|(judge, cpu)| {
                let shared = &shared;
                scope.spawn(move || {
                    let result = lane(judge, *cpu, shared);
                    // One that failed ends all.
                    shared.stop.fetch_or(result.is_err(), Ordering::Relaxed);
                    result
                })
            })
            .collect();
        watch(&shared, start, end);
        lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
    })?;
    let took = start.elapsed();
    interrupt::check()?;
    let mut tallies = Family::ALL.map(|_| Tally::new());
    for (_, lane) in &judges {
        tallies.iter_mut().zip(lane).for_each(|(sum, more)| sum.add(more));
    }
    let judges: Vec<Judge> = judges.into_iter().map(|(judge, _)| judge).collect();
    let by_xdp = judges.iter().map(Judge::by_xdp).sum::<Result<u64>>()?;
    let judge = judges.into_iter().next().context("no CPU")?;
    let found = shared.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome { tallies, by_xdp, found, took, judge })
}

/// One pair of hosts, on one CPU; what came of each family.
fn lane(mut judge: Judge, cpu: usize, shared: &Shared<'_>) -> Result<(Judge, [Tally; 2])> {
    let mut tallies = Family::ALL.map(|_| Tally::new());
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one)?;
    while !shared.stop.load(Ordering::Relaxed) {
        let batch = shared.batches.fetch_add(1, Ordering::Relaxed);
        // In turns.
        let family = Family::ALL[(batch % 2) as usize];
        let inbound = |index| mutate::packet(shared.grammar, family, shared.seed, index);
        let outbound = |index| mutate::outbound(shared.grammar, family, shared.seed, index);
        let range = batch * BATCH..(batch + 1) * BATCH;
        let found = judge.batch(range.clone().map(inbound).collect())?;
        report(shared, found, (range, family), false, inbound);
        let range = batch * OUTBOUND..(batch + 1) * OUTBOUND;
        let found = judge.outbound(range.clone().map(outbound).collect())?;
        report(shared, found, (range, family), true, |index| outbound(index).frame);
        shared.frames.fetch_add(BATCH + OUTBOUND, Ordering::Relaxed);
        tallies[family as usize].add(&std::mem::replace(&mut judge.tally, Tally::new()));
    }
    Ok((judge, tallies))
}

/// Keeps the differences of a batch, with their numbers.
fn report(
    shared: &Shared<'_>,
    found: Vec<Found>,
    (range, family): (std::ops::Range<u64>, Family),
    outbound: bool,
    frame: impl Fn(u64) -> Vec<u8>,
) {
    if found.is_empty() {
        return;
    }
    let mut all = shared.found.lock().unwrap_or_else(PoisonError::into_inner);
    for found in found {
        let index = range.clone().find(|index| frame(*index) == found.frame).unwrap_or(range.start);
        all.push(Numbered { found, index, outbound, family });
    }
    shared.stop.fetch_or(all.len() >= ENOUGH, Ordering::Relaxed);
}

/// Tells how far the run is, until it ends.
fn watch(shared: &Shared<'_>, start: Instant, end: End) {
    let terminal = stdout().is_terminal();
    let mut told = start;
    while !shared.stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(100));
        let frames = shared.frames.load(Ordering::Relaxed);
        let over = match end {
            End::After(time) => start.elapsed() >= time,
            End::Frames(count) => frames >= count,
        };
        shared.stop.fetch_or(over || interrupt::came(), Ordering::Relaxed);
        if told.elapsed() >= if terminal { TICK } else { TELL } {
            told = Instant::now();
            let time = start.elapsed().as_secs_f64();
            let rate = frames as f64 / time;
            let line = format!("frames  {time:>4.0} s  {frames:>9}  {rate:>7.0}/s");
            if terminal {
                print!("\r{line}");
                // Without a standard output nobody is watching.
                let _ = stdout().flush();
            } else {
                println!("{line}");
            }
        }
    }
    if terminal {
        // To the beginning of the line, and nothing on it.
        print!("\r\x1b[K");
    }
}

/// The CPUs that this process may use and does.
fn cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(MOST).collect())
}

/// What it took to find a fault that is there on purpose.
pub(crate) struct Caught {
    pub(crate) found: Found,
    pub(crate) frames: u64,
    pub(crate) took: Duration,
}

/// Tries frames on hosts with a fault, for so long; none where it was not found.
pub(crate) fn caught(grammar: &Grammar, seed: u64, fault: Fault, within: Duration) -> Result<Option<Caught>> {
    /// Small, so that the count is that of the frame.
    const FEW: u64 = 16;
    let mut judge = Judge::new(Lane::new(0, Side::Tc, fault)?);
    let start = Instant::now();
    let mut frames = 0;
    while start.elapsed() < within {
        interrupt::check()?;
        let family = Family::ALL[(frames / FEW % 2) as usize];
        let batch =
            (frames..frames + FEW).map(|index| mutate::packet(grammar, family, seed, index)).collect();
        let mut found = judge.batch(batch)?;
        frames += FEW;
        if let Some(found) = found.pop() {
            return Ok(Some(Caught { found, frames, took: start.elapsed() }));
        }
    }
    Ok(None)
}
