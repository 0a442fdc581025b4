//! Development tasks: `cargo xtask COMMAND`. Each installs what it needs first, and says what it installs.

mod bench;
mod build;
mod check;
mod project;
mod run;
mod setup;
mod test;
mod tidy;
mod traffic;
mod ui;
mod vm;

use std::process::ExitCode;

use clap::Parser;
use overlay_tests::interrupt;

/// Set-up, build, lab, tests and checks of overlay.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Install what is missing for every other command.
    Setup,
    /// Build target/debug/overlay, or target/release/overlay.
    Build(build::Options),
    /// Start a lab of hosts and containers, and prove that it works.
    Run(run::Options),
    /// Run the tests.
    Test(test::Options),
    /// Measure the paths between two hosts; `bench prog` single programs, `bench scale` large tables.
    Bench(bench::Options),
    /// Check format, lints, docs, dependencies and house rules.
    Check(check::Options),
    /// Load between namespaces, for `run`.
    #[command(hide = true)]
    Traffic(traffic::Options),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Setup => setup::run(),
        Command::Build(options) => build::run(&options),
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Traffic(options) => traffic::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
