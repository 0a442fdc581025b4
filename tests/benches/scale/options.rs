//! The command line.

use std::path::PathBuf;

/// Measures what many endpoints cost: installing them, memory, look-ups, and one change.
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask bench scale")]
pub(crate) struct Options {
    /// The numbers of endpoints, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_values_t = [10, 1_000, 100_000, 1_000_000],
        value_parser = clap::value_parser!(u32).range(10..=1_000_000)
    )]
    pub(crate) endpoints: Vec<u32>,
    /// Only the tables, no agent.
    #[arg(long)]
    pub(crate) no_agent: bool,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}
