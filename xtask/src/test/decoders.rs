//! The tier decoders: builds the fuzz targets of `tests/decoders`, runs each for a while, and tells what was found.

mod build;
mod log;
mod run;

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use self::{
    log::Log,
    run::{Limits, Target},
};
use super::Count;
use crate::ui;

/// How long each decoder is tried by default.
const SHORT: Duration = Duration::from_secs(8);
/// How long with `--full`.
const FULL: Duration = Duration::from_mins(5);
/// How long a fault on purpose may stay hidden; all three are found within seconds.
const FAULTY: Duration = Duration::from_mins(2);

/// Runs the tier, `minutes` in all if given.
pub(super) fn run(full: bool, minutes: Option<u64>) -> Result<Count> {
    let binary = build::build()?;
    let targets = run::lay_out(&binary)?;
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let time = match minutes {
        Some(minutes) => Duration::from_mins(minutes) * at_once as u32 / targets.len() as u32,
        None if full => FULL,
        None => SHORT,
    };
    let limits = |target: &Target| Limits {
        time: if target.fault.is_some() { FAULTY } else { time.max(Duration::from_secs(1)) },
        // One that hangs on purpose need not hang for long.
        input: if target.fault.as_deref() == Some("timeout") {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(10)
        },
    };
    let waiting = Mutex::new(targets.iter());
    let count = Mutex::new(Count::default());
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<()> {
        while let Some(target) = take() {
            let log = run::run(target, &limits(target))?;
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            tell(target, &log, &mut count);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().ok().context("a worker panicked")??;
        }
        anyhow::Ok(())
    })?;
    Ok(count.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Prints what became of one, and counts it.
fn tell(target: &Target, log: &Log, count: &mut Count) {
    let found = log.finding.as_deref();
    let expected = target.fault.as_deref();
    let kind = found.and_then(|path| path.rsplit('/').next()?.split('-').next());
    let held = log.ended && kind == expected;
    *(if held { &mut count.passed } else { &mut count.failed }) += 1;
    let what = match (expected, held) {
        (Some(fault), true) => format!("found its fault, {fault}"),
        (Some(fault), false) => format!("did not find its fault, {fault}"),
        (None, _) => format!("{} findings", usize::from(!held)),
    };
    let verdict = if held { ui::good("ok") } else { ui::bad("FAILED") };
    println!(
        "decoder  {:<13}  {:>9} executions  {:>6}/s  {:>5} edges  {:>4} inputs kept  {what}  {verdict}",
        target.name, log.executions, log.rate, log.edges, log.kept
    );
    if held {
        return;
    }
    for line in &log.said {
        println!("  {line}");
    }
    match found {
        Some(path) => println!("  input   {path}\n  replay  {}", target.replay(path)),
        None => println!("  log     {}", target.log_path().display()),
    }
}
