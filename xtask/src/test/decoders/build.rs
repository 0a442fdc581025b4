//! Building the fuzz targets, by a compiler that is no nightly.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{project, ui::Progress};

/// What `cargo fuzz` has a nightly do, of which only the sanitizers are unstable: LLVM's pass that counts edges, as
/// libFuzzer reads them, and tells it what is compared with what.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Little optimisation, for the sake of the build, and with the checks of a debug build.
const PROFILE: [&str; 3] =
    ["profile.dev.opt-level=1", "profile.dev.debug=false", "profile.dev.incremental=false"];

/// Builds them; the path of the binary.
pub(super) fn build() -> Result<PathBuf> {
    let host = host()?;
    let progress =
        Progress::start("building  decoders (coverage of all crates, several minutes the first time)");
    // With a target named, build scripts and macros are compiled without the flags: they could not be linked.
    let mut command =
        project::cargo(&["build", "--quiet", "--package", "overlay-decoders", "--target", &host]);
    command.args(["--features", "libfuzzer"]);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    let status = command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f")).status();
    if !status.context("cannot start cargo")?.success() {
        bail!("the decoders do not build: see above");
    }
    progress.finish();
    Ok(project::target_dir().join(host).join("debug/decoders"))
}

/// The triple that the compiler compiles for.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).arg("-vV").stderr(Stdio::inherit()).output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say its host")
}
