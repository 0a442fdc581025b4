//! The `overlay` command.

use std::process::ExitCode;

use overlay_user::{
    agent,
    cli::{self, Agent, Paths},
    config::LogFormat,
    logging, uninstall,
};

fn main() -> ExitCode {
    let entry = cli::Entry { agent: run_agent, upgrade: run_upgrade, uninstall: run_uninstall };
    cli::run(std::env::args_os(), &entry)
}

fn run_agent(paths: &Paths, args: &Agent) -> anyhow::Result<ExitCode> {
    // An error in the configuration is told before there is a log: plainly, as that of any command.
    let config = agent::configure(paths, args)?;
    logging::init(config.log.format);
    agent::run(paths, config)
}

fn run_upgrade(paths: &Paths, downgrade: bool) -> anyhow::Result<ExitCode> {
    logging::init(LogFormat::Text);
    agent::upgrade(paths, downgrade)
}

fn run_uninstall(paths: &Paths) -> anyhow::Result<ExitCode> {
    logging::init(LogFormat::Text);
    uninstall::run(paths)
}
