//! An end of a measured path, for `run`: the load itself is the lab library's.

use anyhow::Result;
use overlay_tests::traffic;

/// What the end is to do, in the words of its driver.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    words: Vec<String>,
}

/// Runs one end.
pub(crate) fn run(options: &Options) -> Result<()> {
    traffic::main(&options.words)
}
