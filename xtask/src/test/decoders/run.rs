//! Running one fuzz target.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::log::Log;
use crate::project;

/// Memory that a decoder may come to hold, in megabytes: libFuzzer's own, and many times the longest input.
const MEMORY: u32 = 512;

/// A fuzz target.
#[derive(Debug)]
pub(super) struct Target {
    /// The decoder.
    pub(super) name: String,
    /// The longest input, in bytes.
    longest: String,
    /// What it does wrong on purpose, as libFuzzer calls it.
    pub(super) fault: Option<String>,
    binary: PathBuf,
    dir: PathBuf,
}

/// How long things may take.
#[derive(Debug)]
pub(super) struct Limits {
    /// The target.
    pub(super) time: Duration,
    /// One input.
    pub(super) input: Duration,
}

/// Has the binary write what each decoder starts from; the decoders.
pub(super) fn lay_out(binary: &Path) -> Result<Vec<Target>> {
    let to = project::target_dir().join("decoders");
    let mut command = Command::new(binary);
    command.env("OVERLAY_DECODERS_TO", &to).env("RUST_BACKTRACE", "0");
    let output = command.output().with_context(|| format!("cannot start {}", binary.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("the decoders do not read what they are to start from:\n{}", said.trim_end());
    }
    let told = String::from_utf8(output.stdout)?;
    let target = |line: &str| {
        let mut parts = line.strip_prefix("decoder: ")?.split(": ");
        let (name, longest) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let fault = parts.next().filter(|fault| *fault != "none").map(str::to_owned);
        Some(Target { dir: to.join(&name), binary: binary.to_owned(), name, longest, fault })
    };
    let targets: Vec<Target> = told.lines().filter_map(target).collect();
    if targets.is_empty() {
        bail!("{} tells of no decoder", binary.display());
    }
    Ok(targets)
}

/// Runs a target until its time is over or it has found something.
pub(super) fn run(target: &Target, limits: &Limits) -> Result<Log> {
    let found = target.dir.join("found");
    let corpus = target.dir.join("corpus");
    // What a fault on purpose was found by is not to be found again at once.
    if target.fault.is_some() && corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    for dir in [&found, &corpus] {
        fs::create_dir_all(dir)?;
    }
    let log = File::create(target.log_path())?;
    let status = target
        .command()
        .arg(format!("-max_total_time={}", limits.time.as_secs()))
        .arg(format!("-timeout={}", limits.input.as_secs()))
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-dict={}", target.dir.join("words").display()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg("-print_final_stats=1")
        .args([&corpus, &target.dir.join("seeds")])
        .stdout(Stdio::null())
        .stderr(log)
        .status()
        .with_context(|| format!("cannot start {}", target.binary.display()))?;
    let said = fs::read(target.log_path())?;
    Ok(Log::read(&String::from_utf8_lossy(&said), status.success()))
}

impl Target {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("OVERLAY_DECODER", &self.name).arg(format!("-rss_limit_mb={MEMORY}"));
        command
    }

    /// Where what libFuzzer prints goes.
    pub(super) fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The line that has the decoder read an input again.
    pub(super) fn replay(&self, input: &str) -> String {
        let (name, binary) = (&self.name, self.binary.display());
        format!("OVERLAY_DECODER={name} {binary} -rss_limit_mb={MEMORY} -timeout=10 {input}")
    }
}
