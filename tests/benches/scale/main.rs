//! `cargo xtask bench scale`: what many endpoints cost.

mod agent;
mod change;
#[path = "../prog/frames.rs"]
mod frames;
#[path = "../prog/measure.rs"]
mod measure;
mod options;
#[expect(dead_code, reason = "the reference programs are for `bench prog`")]
#[path = "../prog/paths.rs"]
mod paths;
mod report;
#[path = "../shared/scene.rs"]
mod scene;
mod tables;

use std::{process::ExitCode, thread};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;

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
    let mut figures = Vec::new();
    for endpoints in &options.endpoints {
        println!("{endpoints} endpoints: the tables alone");
        // On a thread of its own, which alone stays on one CPU.
        let alone = thread::scope(|scope| scope.spawn(|| tables::measure(*endpoints)).join());
        let alone = alone.map_err(|_| anyhow!("the measurement panicked"))??;
        let agent = if options.no_agent {
            None
        } else {
            println!("{endpoints} endpoints: an agent");
            Some(agent::measure(*endpoints)?)
        };
        figures.push(report::Figures { endpoints: *endpoints, alone, agent });
    }
    for line in report::table(&figures) {
        println!("{line}");
    }
    println!("\nTargets at 1000000 endpoints");
    for line in report::targets(&figures) {
        println!("{line}");
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
