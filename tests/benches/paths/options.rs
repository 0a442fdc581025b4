//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{
    figures::{self, Probe},
    modes,
};

/// The figure whose datagrams the kernel can make.
const GENERATED: &str = "udp";

/// Measures overlay beside the other ways between two hosts.
#[derive(Debug, clap::Parser)]
#[command(
    bin_name = "cargo xtask bench",
    after_help = "Example:\n  cargo xtask bench --rounds 5 --json bench.json\n  cargo xtask bench --modes hosts,redirect,ours --figures stream,rr"
)]
pub(crate) struct Options {
    /// How often each figure is measured in every mode.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Only these modes, separated by commas: hosts, routed, redirect, headers, docker, bridge, flannel, cilium, ours.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<String>,
    /// Only these figures: stream, stream8, rr, loaded-rr, crr, udp-rr, udp, udp-segment, cpu-gb, cpu-packets,
    /// local-stream, local-rr.
    #[arg(long, value_delimiter = ',')]
    figures: Vec<String>,
    /// Where datagrams of the figure udp come from; `xdp` measures no other figure.
    #[arg(long, value_enum, default_value_t = Load::Socket)]
    pub(crate) load: Load,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Go on although others use the CPUs, and say so in the report.
    #[arg(long)]
    pub(crate) noisy: bool,
    /// Let idle CPUs sleep: waking them then counts, which in a virtual machine can be most of a transaction.
    #[arg(long)]
    pub(crate) sleep: bool,
    /// `cargo bench` says it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A source of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Load {
    /// A socket of the client.
    Socket,
    /// The kernel, from the client's device on: live frames of `BPF_PROG_TEST_RUN`.
    Xdp,
}

impl Options {
    /// The modes to measure, in the order of the report.
    pub(crate) fn modes(&self) -> Result<Vec<&'static str>> {
        chosen(&modes::ALL, &self.modes, "mode", |name| name)
    }

    /// What to measure.
    pub(crate) fn probes(&self) -> Result<Vec<&'static Probe>> {
        let all: Vec<&Probe> = figures::PROBES.iter().collect();
        if self.load == Load::Socket {
            return chosen(&all, &self.figures, "figure", |probe| probe.name);
        }
        let generated: Vec<&Probe> = all.into_iter().filter(|probe| probe.name == GENERATED).collect();
        if let Some(other) = self.figures.iter().find(|figure| *figure != GENERATED) {
            bail!("--load xdp makes datagrams only: leave out the figure {other:?}, or --load");
        }
        Ok(generated)
    }
}

/// Those of `all` that are asked for by name, or all where none is.
fn chosen<T: Copy>(
    all: &[T],
    asked: &[String],
    what: &str,
    name: impl Fn(T) -> &'static str,
) -> Result<Vec<T>> {
    if let Some(unknown) = asked.iter().find(|word| !all.iter().any(|one| name(*one) == word.as_str())) {
        let known: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        bail!("no {what} is called {unknown:?}: there are {}", known.join(", "));
    }
    let wanted = |one: &T| asked.is_empty() || asked.iter().any(|word| word == name(*one));
    Ok(all.iter().copied().filter(wanted).collect())
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_keeps_the_order_of_the_report() {
        let asked = ["ours".to_owned(), "hosts".to_owned()];
        let modes = chosen(&modes::ALL, &asked, "mode", |name| name).expect("both are known");
        assert_eq!(modes, ["hosts", "ours"]);
        let error = chosen(&modes::ALL, &["our".to_owned()], "mode", |name| name).expect_err("unknown");
        assert!(error.to_string().contains("no mode is called \"our\""), "{error}");
    }
}
