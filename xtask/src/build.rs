//! `cargo xtask build`

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{
    project,
    setup::{self, Group},
};

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// With optimisations, into target/release.
    #[arg(long)]
    release: bool,
}

/// Installs what is missing and builds the binary.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Group::Build])?;
    overlay(options.release)
}

/// Builds the `overlay` binary; its build script compiles the kernel programs.
pub(crate) fn overlay(release: bool) -> Result<()> {
    let mut command = project::cargo(&["build", "--package", "overlay-user"]);
    if release {
        command.arg("--release");
    }
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("overlay does not build: see above");
    }
    Ok(())
}

/// Builds a binary of another ABI that can kill itself at a step, for the tests of upgrades; its path.
pub(crate) fn next() -> Result<PathBuf> {
    let dir = project::target_dir().join("next");
    let mut command =
        project::cargo(&["build", "--package", "overlay-user", "--features", "abi-next,failpoints"]);
    // A directory of its own: neither build undoes the other.
    let status = command.env("CARGO_TARGET_DIR", &dir).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("overlay of another ABI does not build: see above");
    }
    Ok(dir.join("debug/overlay"))
}
