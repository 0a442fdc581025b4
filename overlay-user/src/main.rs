//! The `overlay` command.

use std::process::ExitCode;

use overlay_user::{agent, cli, uninstall};

fn main() -> ExitCode {
    init_log();
    cli::run(
        std::env::args_os(),
        &cli::Entry { agent: agent::run, upgrade: agent::upgrade, uninstall: uninstall::run },
    )
}

/// Logs go to standard error; `RUST_LOG` chooses what, `info` is the default.
fn init_log() {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
