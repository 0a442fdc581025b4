//! The command line: what `overlay` takes, and what it gives back.

mod args;
mod cluster;
mod commands;
#[cfg(feature = "decoders")]
pub mod decoders;
mod output;
mod status;
mod table;
mod time;

pub use args::{Agent, Paths};

use crate::{api::client::ClientError, netns};
use args::{Cli, Cluster, Command, Ipam};
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

/// The command was refused or failed.
const FAILED: u8 = 1;
/// The command line cannot be understood (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// No agent runs (`EX_UNAVAILABLE`).
const NOT_RUNNING: u8 = 69;
/// `status` alone: no agent answered.
const STATUS_UNANSWERED: u8 = 2;

/// The commands that this module does not implement itself.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Runs the node agent in the foreground until it is told to stop.
    pub agent: fn(&Paths, &Agent) -> anyhow::Result<ExitCode>,
    /// Puts the programs of this binary in force; the flag allows to replace the maps of a later version.
    pub upgrade: fn(&Paths, bool) -> anyhow::Result<ExitCode>,
    /// Removes every link, pin, device and file of ours.
    pub uninstall: fn(&Paths) -> anyhow::Result<ExitCode>,
}

/// Runs the command that `args` asks for; the first of them is the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, entry: &Entry) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => dispatch(&cli, entry),
        Err(error) => refuse(&error),
    }
}

fn dispatch(cli: &Cli, entry: &Entry) -> ExitCode {
    match &cli.command {
        Command::Agent(args) => foreign((entry.agent)(&cli.paths, args)),
        Command::Upgrade { downgrade } => foreign((entry.upgrade)(&cli.paths, *downgrade)),
        Command::Uninstall => foreign((entry.uninstall)(&cli.paths)),
        Command::NetnsHelper { path } => match netns::helper(path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, FAILED),
        },
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "overlay", &mut script);
            print(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
        }
        Command::Status(output) => match commands::status(&cli.paths, *output) {
            Ok((text, code)) => print(&text, code),
            Err(error) => fail(&error, STATUS_UNANSWERED),
        },
        Command::Ipam(Ipam::Check(output)) => asked(commands::ipam_check(&cli.paths, *output)),
        Command::Cluster(Cluster::Init(init)) => local(cluster::init(&cli.paths, init)),
        Command::Cluster(Cluster::Token(output)) => local(cluster::token(&cli.paths, *output)),
        Command::Cluster(Cluster::Key(_) | Cluster::Accept(_))
        | Command::Ipam(_)
        | Command::Network(_)
        | Command::Endpoint(_)
        | Command::Node(_)
        | Command::Events(_)
        | Command::Drops(_)
        | Command::Dump(_) => {
            asked(commands::run(&cli.paths, &cli.command).map(|text| (text, ExitCode::SUCCESS)))
        }
    }
}

/// Prints what a command gives that asks the agent.
fn asked(result: anyhow::Result<(String, ExitCode)>) -> ExitCode {
    match result {
        Ok((text, code)) => print(&text, code),
        Err(error) => {
            let not_running = matches!(error.downcast_ref::<ClientError>(), Some(ClientError::NotRunning(_)));
            fail(&error, if not_running { NOT_RUNNING } else { FAILED })
        }
    }
}

/// Prints what a command gives that asks no agent.
fn local(result: anyhow::Result<String>) -> ExitCode {
    match result {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(error) => fail(&error, FAILED),
    }
}

fn foreign(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| fail(&error, FAILED))
}

/// Says what is wrong in one line: `{:#}` of an `anyhow::Error` has its causes on the same line.
fn fail(error: &impl Display, code: u8) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(code)
}

fn complain(message: &str) {
    // Line by line: a refusal may bring the lines to paste into a file.
    let lines: Vec<_> = message.trim_end().lines().map(table::plain).collect();
    // Nothing is left to do where not even standard error takes it.
    let _unheard = writeln!(io::stderr(), "overlay: {}", lines.join("\n"));
}

/// Prints what the command gives. Who closes the pipe early has seen enough: that is no error.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to standard output: {error}"), FAILED)
        }
        _ => code,
    }
}

fn refuse(error: &clap::Error) -> ExitCode {
    let kind = error.kind();
    if matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return print(&error.render().to_string(), ExitCode::SUCCESS);
    }
    if kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _unheard = write!(io::stderr(), "{}", error.render());
    } else if kind == ErrorKind::MissingSubcommand {
        // The same, where a variable of the environment counts as an argument.
        let _unheard = write!(io::stderr(), "{}", Cli::command().render_help());
    } else {
        complain(&one_line(&error.render().to_string()));
    }
    ExitCode::from(USAGE)
}

/// Makes one line of clap's several: what is wrong, then its tips, without the usage.
fn one_line(rendered: &str) -> String {
    let lines = rendered
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let mut message = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        let (separator, line) = match line.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None if message.is_empty() => ("", line),
            None => (" ", line),
        };
        message += separator;
        message += line;
    }
    message + "; see --help"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"overlay").chain(words))
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let subcommands: Vec<_> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
            if subcommands.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("overlay "), "{path} has no example");
            }
            for sub in subcommands {
                check(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        check(&Cli::command(), "overlay");
    }

    #[test]
    fn the_contract_parses() {
        for line in [
            "agent --config /tmp/o.toml",
            "agent --join overlay1.x --insecure",
            "cluster init --seed 10.88.0.1:7950",
            "cluster token",
            "cluster accept",
            "ipam show",
            "ipam show blue -o json",
            "ipam check",
            "ipam reserve blue 10.1.0.0/28",
            "ipam unreserve blue 10.1.0.0/28",
            "cluster key list -o json",
            "cluster key install",
            "cluster key install overlay1.x",
            "cluster key use 1a2b3c4d",
            "cluster key remove 1a2b3c4d",
            "status -o json",
            "network create blue --vni 42 --subnet 10.1.0.0/24 --subnet fd00::/64 --mtu 1400 --encrypted",
            "network list -o json",
            "network show blue",
            "network delete blue",
            "endpoint add --network blue --netns /run/netns/c1 --ifname eth0 --ip 10.1.0.1/24 --ip fd00::1/64 --mac 02:42:0a:01:00:01 --name web",
            "endpoint add --network blue --netns /run/netns/c1",
            "endpoint list",
            "endpoint show blue.02420a010001 -o json",
            "endpoint delete blue.02420a010001",
            "node list -o table",
            "events --last 20 -o json",
            "drops --all",
            "dump fdb -o json",
            "dump flood",
            "upgrade",
            "upgrade --downgrade",
            "uninstall",
            "completion bash",
            "netns-helper /run/netns/c1",
            "--run-dir /tmp/r --state-dir /tmp/s --pin-dir /tmp/p status",
            "node list --run-dir /tmp/r",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            if let Err(error) = parse(&words) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_line() {
        let message = |words: &[&str]| {
            one_line(&parse(words).map(|_| ()).expect_err("it is wrong").render().to_string())
        };
        assert_eq!(
            message(&["endpoint", "add", "--network", "blue"]),
            "the following required arguments were not provided: --netns <PATH>; see --help"
        );
        let unknown = message(&["endpoint", "add", "--netsn", "x"]);
        assert!(unknown.starts_with("unexpected argument '--netsn' found; "), "{unknown}");
        assert!(unknown.contains("'--netns'"), "{unknown}");
        let vni = message(&["network", "create", "blue", "--vni", "16777216"]);
        assert!(vni.contains("VNI 16777216 is outside 1..16777215"), "{vni}");
        let mac = message(&["endpoint", "add", "--network", "b", "--netns", "n", "--mac", "02:42"]);
        assert!(mac.contains("not a MAC address of the form"), "{mac}");
    }
}
