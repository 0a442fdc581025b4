//! `cargo xtask setup`, and the first step of every other command: installs what is missing.

mod needs;

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::needs::Group;
use self::needs::{CargoTool, Missing};
use crate::{project, ui::Progress};

/// Lines of the log shown when an installation fails.
const TAIL: usize = 15;

/// Installs what any command needs.
pub(crate) fn run() -> Result<()> {
    ensure(&[Group::Build, Group::Lab, Group::Test, Group::Decoders, Group::Vm, Group::Bench, Group::Check])
}

/// Installs what the groups need and the machine lacks; prints nothing when there is nothing.
pub(crate) fn ensure(groups: &[Group]) -> Result<()> {
    let missing = needs::missing(groups)?;
    if missing.is_empty() {
        return Ok(());
    }
    install_packages(&missing)?;
    for tool in &missing.cargo {
        install_with_cargo(tool)?;
    }
    let left = needs::missing(groups)?;
    if !left.is_empty() {
        bail!("still missing after the installation: {}; see {}", left.names(), log_path().display());
    }
    Ok(())
}

fn install_packages(missing: &Missing) -> Result<()> {
    if missing.packages.is_empty() {
        return Ok(());
    }
    let names = missing.packages.join(" ");
    if project::find_command("apt-get").is_none() {
        bail!("missing: {}; install what Debian packages as {names}{}", missing.names(), missing.hint());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("missing: {}; run as root: apt-get install --no-install-recommends {names}", missing.names());
    }
    update_lists()?;
    let (last, rest) = missing.packages.split_last().context("no package to install")?;
    for package in rest {
        println!("installing  {package} (apt)");
    }
    // One call for all of them: apt resolves and unpacks once. The last line carries its time.
    let install = Progress::start(format!("installing  {last} (apt)"));
    let mut command = apt();
    command.args(["install", "-y", "--no-install-recommends"]).args(&missing.packages);
    logged(&mut command).with_context(|| format!("cannot install {names}{}", missing.hint()))?;
    install.finish();
    Ok(())
}

/// Has apt read anew what there is.
pub(crate) fn update_lists() -> Result<()> {
    let update = Progress::start("updating    package lists (apt)");
    logged(apt().arg("update"))?;
    update.finish();
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // Another installation may be under way; its lock is worth waiting for.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn install_with_cargo(tool: &CargoTool) -> Result<()> {
    let install =
        Progress::start(format!("installing  {} {} (cargo, {})", tool.name, tool.version, tool.takes));
    let mut command = project::cargo(&["install", tool.name, "--version", tool.version, "--locked"]);
    command.args(tool.args).envs(tool.env.iter().copied());
    // Its own target directory: cargo's temporary one, away from the workspace's.
    command.env_remove("CARGO_TARGET_DIR");
    logged(&mut command).with_context(|| format!("cannot install {} {}", tool.name, tool.version))?;
    install.finish();
    Ok(())
}

/// Where installations write what they print.
fn log_path() -> PathBuf {
    project::target_dir().join("setup.log")
}

/// Runs a command with its output in the log; the log's end is in the error.
fn logged(command: &mut Command) -> Result<()> {
    let path = log_path();
    fs::create_dir_all(project::target_dir())?;
    let mut log = File::options().create(true).append(true).read(true).open(&path)?;
    let begin = log.seek(SeekFrom::End(0))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if status.success() {
        return Ok(());
    }
    log.seek(SeekFrom::Start(begin))?;
    let mut said = Vec::new();
    log.read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    bail!("{} failed ({status}); the end of {}:\n{tail}", command.get_program().display(), path.display())
}
