//! `cargo xtask bench prog`: what a frame costs in each program, and whether that has grown.

mod calls;
mod frames;
mod measure;
mod options;
mod paths;
#[path = "../shared/reference.rs"]
mod reference;
mod report;
#[path = "../shared/scene.rs"]
mod scene;
mod setting;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use overlay_tests::budget::{self, Costs, Verdict};

use self::{
    options::{Mode, Options},
    report::Report,
    setting::Setting,
};

/// Endpoints of the small and of the large tables.
const FEW: u32 = 10;
const MANY: u32 = 1_000_000;
/// How often a check measures before it fails, each time by itself, and takes the best: what others do on the machine
/// makes a program slower. How often a budget is measured, which takes the worst: some ways take one of two times, by
/// where their memory lies in the caches.
const TRIES: usize = 3;
/// Rounds of a check, and frames of a repetition.
const CHECK_ROUNDS: usize = 20;
const FRAMES: usize = 1000;

fn main() -> ExitCode {
    let options = Options::parse();
    let result = measure::stay().and_then(|()| match options.mode() {
        Mode::Show => show(&options).map(|()| true),
        Mode::Check => check(),
        Mode::Accept => accept().map(|()| true),
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures all, and prints it.
fn show(options: &Options) -> Result<()> {
    let many = options.endpoints.unwrap_or(MANY);
    println!("Filling tables of {FEW} and {many} endpoints");
    let setting = Setting::new(&[FEW, many])?;
    let report = Report::measure(&setting, options.rounds, FRAMES)?;
    report.print();
    if let Some(path) = &options.json {
        std::fs::write(path, report.json().to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Whether the programs keep to their budget. Its lines are those of a test, for `cargo xtask test`.
fn check() -> Result<bool> {
    let budget = Costs::read()?;
    let setting = Setting::new(&[FEW])?;
    let mut costs = Report::measure(&setting, CHECK_ROUNDS, FRAMES)?.costs()?;
    let mut lines = budget.judge(&costs);
    for _ in 1..TRIES {
        if lines.iter().all(|line| line.verdict != Verdict::Over) {
            break;
        }
        costs.keep_best(&Report::measure(&setting, CHECK_ROUNDS, FRAMES)?.costs()?);
        lines = budget.judge(&costs);
    }
    for line in budget::table(&lines) {
        println!("{line}");
    }
    let count = |over: bool| lines.iter().filter(|line| (line.verdict == Verdict::Over) == over).count();
    for line in &lines {
        if let Verdict::Skipped(reason) = &line.verdict {
            println!("skipped: {}: {reason}", line.what);
        }
    }
    let (held, over) = (count(false), count(true));
    let word = if over == 0 { "ok" } else { "FAILED" };
    if over > 0 {
        println!(
            "Make what is over its budget cheaper, or raise the budget: cargo xtask bench prog --accept"
        );
    }
    println!("test result: {word}. {held} passed; {over} failed; 0 ignored");
    Ok(over == 0)
}

/// Makes what is measured the budget.
fn accept() -> Result<()> {
    let setting = Setting::new(&[FEW])?;
    let mut costs = Report::measure(&setting, CHECK_ROUNDS, FRAMES)?.costs()?;
    for _ in 1..TRIES {
        costs.keep_worst(&Report::measure(&setting, CHECK_ROUNDS, FRAMES)?.costs()?);
    }
    let mut budget = Costs::read()?;
    for line in budget::table(&budget.judge(&costs)) {
        println!("{line}");
    }
    budget.accept(costs)?;
    println!("{} has this as the budget now", budget::file().display());
    Ok(())
}
