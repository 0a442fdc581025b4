//! The command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Frames of a full run.
const FULL: u64 = 20_000_000;

/// Gives the same frames to the kernel's own vxlan device and to our programs, and compares what they do.
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask test fuzz")]
pub(crate) struct Options {
    /// How long frames are tried.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub(crate) minutes: u64,
    /// What the frames follow from, else the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    After(Duration),
    Frames(u64),
}

impl Options {
    pub(crate) fn end(&self) -> End {
        if overlay_tests::full() { End::Frames(FULL) } else { End::After(Duration::from_mins(self.minutes)) }
    }

    pub(crate) fn seed(&self) -> u64 {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        self.seed.unwrap_or_else(|| u64::from(clock()))
    }
}
