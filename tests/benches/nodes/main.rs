//! `cargo xtask bench nodes`: what many nodes cost that have the cluster from each other.

mod agents;
mod crowd;
mod node;
mod options;
#[path = "../paths/stats.rs"]
#[expect(dead_code, reason = "the bench of the paths uses the rest")]
mod stats;
mod table;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use overlay_tests::traffic;
use serde::Serialize;
use tokio::runtime::Builder;

use self::options::Options;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        // This binary is its own load.
        Some((word, rest)) if word == traffic::WORD => traffic::main(rest),
        _ => run(&Options::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if options.agents {
        let report = agents::measure(options)?;
        report.lines().iter().for_each(|line| println!("{line}"));
        return write(options, &report);
    }
    let window = Duration::from_secs(options.window);
    let mut rows = Vec::new();
    for count in &options.nodes {
        println!("{count} nodes");
        // Each on a runtime of its own: nothing of the last is under way in the next.
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        match runtime.block_on(table::measure(usize::from(*count), window)) {
            Ok(row) => rows.push(row),
            // More would not, either; what less of them do is told.
            Err(error) => {
                println!("{count} nodes do not work together here: {error:#}");
                break;
            }
        }
    }
    for line in table::lines(&rows) {
        println!("{line}");
    }
    write(options, &rows)
}

fn write(options: &Options, figures: &impl Serialize) -> Result<()> {
    let Some(path) = &options.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
