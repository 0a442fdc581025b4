//! The command line.

use std::path::PathBuf;

/// Measures what many nodes cost that have the cluster from each other: real engines on real sockets, in one process.
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask bench nodes")]
pub(crate) struct Options {
    /// The numbers of nodes, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_values_t = [10, 25, 50, 100, 200],
        value_parser = clap::value_parser!(u16).range(2..=300)
    )]
    pub(crate) nodes: Vec<u16>,
    /// For how many seconds bytes are counted, idle and under change.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) window: u64,
    /// What two real agents forward beside a cluster under change, instead of the above.
    #[arg(long)]
    pub(crate) agents: bool,
    /// With --agents: endpoints of the cluster.
    #[arg(long, default_value_t = 10_000, requires = "agents")]
    pub(crate) endpoints: usize,
    /// With --agents: changes in a second.
    #[arg(long, default_value_t = 500, requires = "agents", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) changes: u32,
    /// With --agents: rounds, each idle and under change.
    #[arg(long, default_value_t = 5, requires = "agents", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}
