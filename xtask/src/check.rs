//! `cargo xtask check`

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    project,
    setup::{self, Group},
    tidy,
    ui::{self, Progress},
};

/// What to do about what can be generated.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Format the sources and generate the README's table instead of refusing them.
    #[arg(long)]
    fix: bool,
}

/// Runs every check, also after one that failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Group::Build, Group::Check])?;
    let checks: [(&str, &dyn Fn() -> Result<()>); 6] = [
        ("format", &|| format(options.fix)),
        ("tidy", &|| tidy::check(options.fix)),
        ("clippy", &clippy),
        ("docs", &docs),
        ("licences", &deny),
        ("advisories", &advisories),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        if !step(name, check) {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("{} failed", failed.join(", "));
    }
    Ok(())
}

/// Runs one check and prints its line.
fn step(name: &str, check: &dyn Fn() -> Result<()>) -> bool {
    let progress = Progress::quiet(format!("check  {name:<10}"));
    let result = check();
    let time = progress.finish();
    let time = if time < Duration::from_secs(1) { String::new() } else { format!("  {}", ui::seconds(time)) };
    match result {
        Ok(()) => println!("check  {name:<10}  {}{time}", ui::good("ok")),
        Err(error) if error.is::<Unreachable>() => println!("check  {name:<10}  not checked: {error}"),
        Err(error) => {
            println!("check  {name:<10}  {}{time}\n{error:#}", ui::bad("FAILED"));
            return false;
        }
    }
    true
}

fn format(fix: bool) -> Result<()> {
    let args: &[&str] =
        if fix { &["fmt", "--all"] } else { &["fmt", "--all", "--", "--check", "--color", "never"] };
    passes(&mut project::cargo(args))
}

/// The kernel programs are linted as a library of the host: the compiler that knows their target comes without
/// clippy.
fn clippy() -> Result<()> {
    passes(&mut project::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let args = ["doc", "--no-deps", "--package", "overlay-common", "--package", "overlay-user"];
    passes(project::cargo(&args).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Result<()> {
    passes(&mut project::cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]))
}

/// The database of known vulnerabilities comes from the network; without it there is nothing to compare with.
fn advisories() -> Result<()> {
    let online = passes(&mut project::cargo(&["deny", "check", "advisories"]));
    let Err(error) = online else { return Ok(()) };
    if !error.to_string().contains("failed to fetch advisory database") {
        return Err(error);
    }
    // An earlier run may have left a copy.
    match passes(&mut project::cargo(&["deny", "--offline", "check", "advisories"])) {
        Err(error) if error.to_string().contains("advisory-db") => Err(Unreachable.into()),
        result => result,
    }
}

/// The advisory database cannot be had.
#[derive(Debug)]
struct Unreachable;

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the advisory database cannot be reached, and no earlier copy is here")
    }
}

impl std::error::Error for Unreachable {}

/// Runs a command that prints only when it fails.
fn passes(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::null()).env("CARGO_TERM_COLOR", "never");
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
        bail!("{}", said.trim_end());
    }
    Ok(())
}
