//! `cargo xtask test sim`: clusters of 2 to 50 nodes over a bad network, with everything that may befall them.
//!
//! `net` is the engine, as bad as networks are; `world` the hosts; `story` what happens, all of it by a seed; `check` what
//! must hold. Only the nodes themselves are the product's (`overlay_user::membership`).

mod check;
mod collide;
mod mass;
mod net;
mod options;
mod story;
mod world;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser as _;

use self::{
    check::Wrong,
    options::Options,
    story::{Rules, Told},
};

/// How many failed seeds are told.
const TOLD: usize = 5;
/// One seed of so many has a node that loses all, too.
const MASS: u64 = 50;
/// Seeds within which a broken rule must be found.
const SOON: u64 = 1000;

/// A seed that failed.
struct Failed {
    seed: u64,
    wrong: Wrong,
}

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    told: Told,
    failed: Vec<Failed>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut failed = 0;
    let mut take = |what: &str, held: bool| {
        println!("sim {what} ... {}", if held { "ok" } else { "FAILED" });
        failed += usize::from(!held);
    };
    let broken = (0..SOON).find_map(|seed| story::run(seed, Rules::Broken).err().map(|wrong| (seed, wrong)));
    if let Some((seed, wrong)) = &broken {
        println!("a broken rule was found by seed {seed}: {wrong}");
    }
    take("finds a broken rule", broken.is_some());
    let start = Instant::now();
    let sum = run(options.first(), options.count());
    report(&sum, options.count(), start.elapsed());
    take("every seed", sum.failed.is_empty());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {failed} failed; 0 ignored", 2 - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs so many seeds from one on, on every core.
fn run(first: u64, count: u64) -> Sum {
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let seed = first.wrapping_add(number);
                    let outcome = story::run(seed, Rules::Whole).and_then(|told| {
                        if seed.is_multiple_of(MASS) {
                            mass::run(seed, Rules::Whole)?;
                        }
                        Ok(told)
                    });
                    let mut sum = sum.lock().expect("no thread panics while it adds");
                    match outcome {
                        Ok(told) => sum.told.add(told),
                        Err(wrong) => sum.failed.push(Failed { seed, wrong }),
                    }
                    progress(number, count);
                }
            });
        }
    });
    sum.into_inner().expect("no thread panics while it adds")
}

/// Says how far it is, to people.
fn progress(number: u64, count: u64) {
    if number.is_multiple_of(500) && number > 0 && std::io::stderr().is_terminal() {
        eprintln!("{number} of {count} seeds");
    }
}

fn report(sum: &Sum, count: u64, took: Duration) {
    let Told { nodes, endpoints, commands, refused, faults, collisions, conflicts } = sum.told;
    let rows = [
        ("seeds", count),
        ("nodes", nodes),
        ("commands", commands),
        ("  of them refused", refused),
        ("faults", faults),
        ("claims of both sides of a split", collisions),
        ("endpoints at the end", endpoints),
        ("conflicts at the end, resolved", conflicts),
    ];
    for (what, figure) in rows {
        println!("{what:<32}{figure:>10}");
    }
    println!("{:<32}{:>8.0} s", "time", took.as_secs_f64());
    for Failed { seed, wrong } in sum.failed.iter().take(TOLD) {
        println!("seed {seed}: {wrong}\n  to see it again: cargo xtask test sim --seeds 1 --seed {seed}");
    }
    if let Some(more) = sum.failed.len().checked_sub(TOLD).filter(|more| *more > 0) {
        println!("and {more} more seeds");
    }
}
