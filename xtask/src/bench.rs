//! `cargo xtask bench`

use anyhow::{Context as _, Result, bail};

use crate::{
    build, project,
    setup::{self, Group},
};

/// What to measure. Options go to the benchmark as they are: `cargo xtask bench --help` is its help.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// `prog` for the programs on single packets, `scale` for many endpoints, `nodes` for many nodes, nothing for the
    /// paths between two hosts; then the options of that.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// A benchmark: a bench target of the lab's package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bench {
    /// Traffic between containers of two hosts, beside every other way.
    Paths,
    /// Kernel programs run on single packets.
    Prog,
    /// Tables of up to a million endpoints.
    Scale,
    /// Clusters of many nodes without a server.
    Nodes,
}

impl Bench {
    /// Which one the words name, and what is left of them.
    fn read(words: &[String]) -> (Self, &[String]) {
        match words.split_first() {
            Some((word, rest)) if word == Self::Prog.name() => (Self::Prog, rest),
            Some((word, rest)) if word == Self::Scale.name() => (Self::Scale, rest),
            Some((word, rest)) if word == Self::Nodes.name() => (Self::Nodes, rest),
            _ => (Self::Paths, words),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths",
            Self::Prog => "prog",
            Self::Scale => "scale",
            Self::Nodes => "nodes",
        }
    }

    fn needs(self) -> &'static [Group] {
        match self {
            Self::Paths => &[Group::Build, Group::Lab, Group::Bench],
            Self::Prog | Self::Scale | Self::Nodes => &[Group::Build, Group::Lab],
        }
    }
}

/// Installs what is missing, builds the release binary and runs a benchmark.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (bench, words) = Bench::read(&options.words);
    setup::ensure(bench.needs())?;
    build::overlay(true)?;
    let mut command =
        project::cargo(&["bench", "--quiet", "--package", "overlay-tests", "--bench", bench.name(), "--"]);
    command.args(words).env("OVERLAY_BIN", project::overlay(true));
    // Ctrl-C is for the benchmark: it takes down what it made, while cargo and this wait.
    crate::interrupt::catch()?;
    let status = command.status().context("cannot start cargo")?;
    crate::interrupt::check()?;
    if !status.success() {
        bail!("the benchmark failed: see above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_names_the_benchmark() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let (bench, rest) = Bench::read(&words);
            (bench, rest.len())
        };
        assert_eq!(read(&[]), (Bench::Paths, 0));
        assert_eq!(read(&["--rounds", "3"]), (Bench::Paths, 2));
        assert_eq!(read(&["prog", "--check"]), (Bench::Prog, 1));
        assert_eq!(read(&["scale"]), (Bench::Scale, 0));
        assert_eq!(read(&["nodes", "--agents"]), (Bench::Nodes, 1));
    }
}
