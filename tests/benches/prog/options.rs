//! The command line.

use std::path::PathBuf;

/// Measures what a frame costs in each kernel program, beside an empty program, one that caches in four LRU maps, and
/// others.
#[derive(Debug, clap::Parser)]
#[command(bin_name = "cargo xtask bench prog")]
pub(crate) struct Options {
    /// How often each way through a program is measured.
    #[arg(long, default_value_t = 15, value_parser = rounds)]
    pub(crate) rounds: usize,
    /// Endpoints of the large tables, a million if not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub(crate) endpoints: Option<u32>,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Only compare with tests/budget.toml, and fail where something takes a tenth more.
    #[arg(long, conflicts_with_all = ["json", "accept"])]
    check: bool,
    /// Only write tests/budget.toml from what is measured.
    #[arg(long, conflicts_with = "json")]
    accept: bool,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What to do.
pub(crate) enum Mode {
    Show,
    Check,
    Accept,
}

impl Options {
    pub(crate) fn mode(&self) -> Mode {
        match (self.check, self.accept) {
            (true, _) => Mode::Check,
            (_, true) => Mode::Accept,
            _ => Mode::Show,
        }
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 5..=1000) => Ok(rounds),
        _ => Err("from 5 to 1000".into()),
    }
}
