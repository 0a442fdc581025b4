//! The command line.

/// Seeds of a run that is not told how many, and of a full one.
const SOME: u64 = 1000;
const FULL: u64 = 10_000;

/// Drives whole clusters through loss, partitions and crashes, and compares what the nodes come to.
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask test sim")]
pub(crate) struct Options {
    /// How many clusters are tried.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn first(&self) -> u64 {
        self.seed
    }

    pub(crate) fn count(&self) -> u64 {
        self.seeds.unwrap_or(if overlay_tests::full() { FULL } else { SOME })
    }
}
