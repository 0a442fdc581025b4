//! `cargo xtask bench`: what `overlay` costs, beside the other ways between two hosts.
//!
//! Every mode is up all the time, and its load stands ready (`overlay_tests::traffic`). A round measures every figure
//! once or several times; the windows of the modes follow each other closely, in an order that rotates, so that what
//! disturbs the machine meets all alike. What is told of two modes is the median of the ratios of windows that stood
//! next to each other. A window is checked against the counters of its path; one in which others used the CPUs makes
//! its round of the figure be repeated.

mod cable;
mod facts;
mod figures;
mod gate;
mod generator;
mod lab;
mod modes;
mod options;
#[path = "../shared/reference.rs"]
#[expect(dead_code, reason = "the bench of the programs uses the rest")]
mod reference;
mod report;
mod rounds;
mod stats;
mod targets;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use overlay_tests::{
    interrupt::Interrupted,
    traffic::{self, Awake},
};

use self::{facts::Facts, lab::Lab, options::Options, rounds::Rounds};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.split_first() {
        // This binary is its own load.
        Some((word, rest)) if word == traffic::WORD => traffic::main(rest),
        _ => bench(&Options::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    let rounds = Rounds::new(options)?;
    let mut lab = Lab::start(&options.modes()?, options.load)?;
    let awake = if options.sleep { None } else { Awake::hold() };
    let facts = Facts::read(options, &lab, awake.is_some());
    println!("{}", facts.text());
    let samples = rounds.run(&mut lab)?;
    // Taken down before the report: a fault in writing it leaves nothing behind.
    drop(lab);
    report::write(options, &facts, &samples)
}
