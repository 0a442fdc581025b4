//! `cargo xtask test fuzz`: the same frames to the kernel's own vxlan device and to our programs.
//!
//! A `lane` is a pair of hosts. The `grammar` makes VXLAN packets and `mutate` changes them, each by a seed and its
//! number. The `judge` gives them to both hosts: what the kernel does, and the table of `differences`, tell what ours
//! must do. The other way, what our programs encapsulate must leave the kernel's vxlan device as it was.

#[expect(dead_code, reason = "the tests of the programs build and read more of them")]
#[path = "../../tests/prog/frames.rs"]
mod build;
mod cases;
mod claims;
mod differences;
mod grammar;
mod judge;
mod lane;
mod mutate;
mod options;
mod outer;
mod parsed;
mod report;
mod run;
mod scene;
mod wire;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser as _;
use overlay_common::DropReason;
use overlay_tests::{Family, interrupt};

use self::{
    differences::DIFFERENCES,
    grammar::Grammar,
    judge::{Found, Judge},
    lane::{Fault, Lane, Side},
    options::Options,
    run::{Numbered, Outcome},
};

/// How soon a fault that is there on purpose must be found.
const SOON: Duration = Duration::from_secs(10);
/// How often each reason must be met in so long.
const HITS: u64 = 1000;
const HITS_IN: Duration = Duration::from_mins(3);
/// Differences that are made small and written.
const WRITTEN: usize = 5;

/// What held and what did not; its last line is that of a test, for `cargo xtask test`.
#[derive(Default)]
struct Results {
    passed: usize,
    failed: usize,
}

impl Results {
    fn take(&mut self, what: &str, held: bool) {
        *(if held { &mut self.passed } else { &mut self.failed }) += 1;
        println!("fuzz {what} ... {}", if held { "ok" } else { "FAILED" });
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match interrupt::catch().and_then(|()| fuzz(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all of it; whether all held.
fn fuzz(options: &Options) -> Result<bool> {
    let (grammar, seed) = (Grammar::new(), options.seed());
    println!("seed {seed}");
    let mut results = Results::default();
    for (fault, what) in
        [(Fault::Programs, "a broken program"), (Fault::Tables, "a network without its rule")]
    {
        let caught = run::caught(&grammar, seed, fault, SOON)?;
        if let Some(run::Caught { found, frames, took }) = &caught {
            println!("{what} was caught after {frames} frames, {:.2} s", took.as_secs_f64());
            tell(found);
        }
        results.take(&format!("catches {what}"), caught.is_some());
    }
    corpus(&mut results)?;
    let mut outcome = run::run(&grammar, seed, options.end())?;
    for line in report::lines(&outcome) {
        println!("{line}");
    }
    results.take("no unexplained difference", outcome.found.is_empty());
    let found = std::mem::take(&mut outcome.found);
    for Numbered { found, index, outbound, family } in found.into_iter().take(WRITTEN) {
        let found = if outbound {
            found
        } else {
            cases::shrink(&mut outcome.judge, found, &mutate::unmutated(&grammar, family, seed, index))?
        };
        let way = if outbound { "out" } else { "in" };
        let path = cases::write(&format!("{seed}-{way}-{index}"), &found)?;
        println!("difference  frame {index} {way}, {} bytes: {}", found.frame.len(), path.display());
        tell(&found);
        if !outbound {
            println!("  to keep it as a case: mv {} {}/NAME.hex", path.display(), cases::corpus().display());
        }
    }
    coverage(&outcome, &mut results);
    let Results { passed, failed } = results;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored");
    Ok(failed == 0)
}

/// Prints what was expected and what was met.
fn tell(found: &Found) {
    for line in cases::describe(found) {
        println!("  {line}");
    }
}

/// Tries the frames of the corpus.
fn corpus(results: &mut Results) -> Result<()> {
    for (side, word) in [(Side::Tc, "TC"), (Side::Xdp, "XDP")] {
        let mut judge = Judge::new(Lane::new(0, side, Fault::None)?);
        for (name, frame) in cases::read(&cases::corpus())? {
            let found = judge.single(&frame, judge::TRIES)?;
            if let Some(found) = &found {
                tell(found);
            }
            results.take(&format!("corpus {name}, {word}"), found.is_none());
        }
    }
    Ok(())
}

/// Whether over each family every reason was met often enough, and every intended difference at all.
fn coverage(outcome: &Outcome, results: &mut Results) {
    let least = (u128::from(HITS) * outcome.took.as_millis() / HITS_IN.as_millis()).min(HITS.into());
    for family in Family::ALL {
        let (tally, word) = (&outcome.tallies[family as usize], family.word());
        let counts = DropReason::ALL.into_iter().zip(&tally.dropped);
        let rare: Vec<&str> = counts
            .filter(|(reason, count)| report::absent(*reason).is_none() && u128::from(**count) < least)
            .map(|(reason, _)| reason.name())
            .collect();
        if !rare.is_empty() {
            println!("counted less than {least} times over {word}: {}", rare.join(", "));
        }
        results.take(&format!("every reason was met over {word}"), rare.is_empty());
        let unmet: Vec<&str> = DIFFERENCES
            .iter()
            .zip(&tally.rows)
            .filter(|(row, count)| row.over.is_none_or(|over| over == family) && **count == 0)
            .map(|(row, _)| row.name)
            .collect();
        if !unmet.is_empty() {
            println!("never met over {word}: {}", unmet.join(", "));
        }
        results.take(&format!("every intended difference was met over {word}"), unmet.is_empty());
        let what = format!("the kernel delivers what our programs encapsulate over {word}");
        results.take(&what, tally.sent > 0);
    }
    results.take("XDP takes frames out of their tunnels", outcome.by_xdp > 0);
}
