//! `cargo xtask bench nodes`: what many nodes cost that have the cluster from each other.

mod node;
mod options;
mod table;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use serde::Serialize;
use tokio::runtime::Builder;

use self::options::Options;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let window = Duration::from_secs(options.window);
    let mut rows = Vec::new();
    for count in &options.nodes {
        println!("{count} nodes");
        // Each on a runtime of its own: nothing of the last is under way in the next.
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        rows.push(runtime.block_on(table::measure(usize::from(*count), window))?);
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
