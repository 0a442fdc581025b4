//! The `overlay` command.

use std::process::ExitCode;

use overlay_user::{
    agent,
    cli::{self, Paths},
    config::{Config, LogFormat},
    logging, uninstall,
};

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &cli::Entry { agent: run_agent, uninstall: run_uninstall })
}

fn run_agent(paths: &Paths) -> anyhow::Result<ExitCode> {
    // An error in the configuration is told before there is a log: plainly, as that of any command.
    let config = Config::load(&paths.config)?;
    logging::init(config.log.format);
    agent::run(paths, config)
}

fn run_uninstall(paths: &Paths) -> anyhow::Result<ExitCode> {
    logging::init(LogFormat::Text);
    uninstall::run(paths)
}
