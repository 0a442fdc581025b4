//! `cargo xtask test`

mod decoders;
mod figures;
mod output;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::output::Count;

use self::figures::Figures;
use crate::{
    build, project,
    setup::{self, Group},
    ui, vm,
};

/// Which tests to run, and how many of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this tier.
    #[arg(value_enum)]
    tier: Option<Tier>,
    /// The full figures instead of a CI-sized run.
    #[arg(long)]
    full: bool,
    /// Tiers fuzz and decoders: how long all is tried; about 1 if not given.
    #[arg(long, value_name = "N", conflicts_with = "full", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: Option<u64>,
    /// Tier fuzz: what the frames follow from, instead of the clock. Tier sim: the first seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Tier sim: how many clusters are tried; 1000 if not given.
    #[arg(long, value_name = "N", conflicts_with = "full", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Tier vm: make what the kernels' verifiers count the budget.
    #[arg(long)]
    accept: bool,
    /// Tier vm: only this kernel.
    #[arg(long, value_name = "SERIES", value_parser = vm::SERIES)]
    kernel: Option<String>,
}

impl Options {
    /// The arguments of a tier that has some.
    fn arguments(&self, tier: Tier) -> Vec<String> {
        let of = |name: &str, value: Option<u64>| value.map(|value| [name.to_owned(), value.to_string()]);
        let given = [of("--minutes", self.minutes), of("--seed", self.seed), of("--seeds", self.seeds)];
        if matches!(tier, Tier::Fuzz | Tier::Sim) {
            given.into_iter().flatten().flatten().collect()
        } else {
            Vec::new()
        }
    }
}

/// A kind of tests, by what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    /// Pure logic, without root.
    Unit,
    /// Kernel programs run on single packets: bytes in, verdict, bytes and counter out.
    Prog,
    /// Real traffic between namespaces.
    Netns,
    /// A stock VXLAN device of the kernel as a node.
    Peer,
    /// The same frames to a VXLAN device of the kernel and to the kernel programs: do both do the same?
    Fuzz,
    /// Named frames at the underlay: who gets which bytes, and what is counted.
    Corpus,
    /// Every kind of traffic between every kind of ends: a table.
    Matrix,
    /// Agents that die, tables that are altered, files that break: what becomes of the traffic.
    Faults,
    /// Whole clusters through loss, partitions and crashes: do all nodes come to the same?
    Sim,
    /// Real agents that have the cluster from each other: how soon all know, and what failures cost.
    Cluster,
    /// Whatever user space decodes of others, under libFuzzer: no panic, no hang, no growth.
    Decoders,
    /// The kernel programs and a few labs on Debian's kernels, 6.1 and 6.12.
    Vm,
    /// Whether the kernel programs cost more than tests/budget.toml says.
    Bench,
}

impl Tier {
    /// Those that run where none is named. Not `Vm`: on a busy machine emulation runs into the time-outs of tests. Not
    /// `Decoders`: all crates are built once more, for more than five minutes of a core.
    const ALL: [Self; 11] = [
        Self::Unit,
        Self::Sim,
        Self::Prog,
        Self::Netns,
        Self::Peer,
        Self::Corpus,
        Self::Fuzz,
        Self::Matrix,
        Self::Faults,
        Self::Cluster,
        Self::Bench,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Prog => "prog",
            Self::Netns => "netns",
            Self::Peer => "peer",
            Self::Fuzz => "fuzz",
            Self::Corpus => "corpus",
            Self::Matrix => "matrix",
            Self::Faults => "faults",
            Self::Sim => "sim",
            Self::Cluster => "cluster",
            Self::Decoders => "decoders",
            Self::Vm => "vm",
            Self::Bench => "bench",
        }
    }

    fn needs(self) -> &'static [Group] {
        match self {
            Self::Unit | Self::Prog | Self::Sim | Self::Bench => &[Group::Build],
            Self::Netns
            | Self::Peer
            | Self::Fuzz
            | Self::Corpus
            | Self::Matrix
            | Self::Faults
            | Self::Cluster => &[Group::Build, Group::Lab, Group::Test],
            Self::Decoders => &[Group::Build, Group::Decoders],
            Self::Vm => &[Group::Build, Group::Lab, Group::Vm],
        }
    }

    fn command(self) -> Command {
        // Programs with a main of their own, optimised.
        let own = |words: &[&str]| {
            project::cargo(&[&["bench", "--quiet", "--package", "overlay-tests", "--bench"], words].concat())
        };
        match self {
            Self::Bench => return own(&["prog", "--", "--check"]),
            Self::Fuzz => return own(&["fuzz", "--"]),
            Self::Sim => return own(&["sim", "--"]),
            Self::Unit
            | Self::Prog
            | Self::Netns
            | Self::Peer
            | Self::Corpus
            | Self::Matrix
            | Self::Faults
            | Self::Cluster
            | Self::Decoders
            | Self::Vm => {}
        }
        let mut command = project::cargo(&["test", "--no-fail-fast"]);
        match self {
            // The kernel programs have examples only: what their packet handle lets compile, and what not.
            Self::Unit => {
                for package in ["overlay-common", "overlay-user", "xtask", "overlay-ebpf"] {
                    command.args(["--package", package]);
                }
            }
            Self::Prog => {
                command.args(["--package", "overlay-tests", "--lib", "--test", "prog", "--test", "bench"]);
            }
            Self::Corpus | Self::Matrix => {
                command.args(["--package", "overlay-tests", "--test", self.name()]);
            }
            // One at a time: the tests share two cores and measure time-outs; and the last of the tier faults prints
            // the figures of all.
            Self::Netns | Self::Peer | Self::Faults | Self::Cluster => {
                let test = ["--package", "overlay-tests", "--test", self.name(), "--", "--test-threads=1"];
                command.args(test);
            }
            Self::Bench | Self::Fuzz | Self::Sim | Self::Decoders | Self::Vm => {}
        }
        command
    }
}

/// Runs the tiers; the last line counts.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.minutes.is_some() && !matches!(options.tier, Some(Tier::Fuzz | Tier::Decoders)) {
        bail!("--minutes is of two tiers: cargo xtask test fuzz --minutes N, or decoders --minutes N");
    }
    if options.seed.is_some() && !matches!(options.tier, Some(Tier::Fuzz | Tier::Sim)) {
        bail!("--seed is of two tiers: cargo xtask test fuzz --seed S, or sim --seed S");
    }
    if options.seeds.is_some() && options.tier != Some(Tier::Sim) {
        bail!("--seeds is of one tier: cargo xtask test sim --seeds N");
    }
    if options.tier != Some(Tier::Vm) && (options.accept || options.kernel.is_some()) {
        bail!("--accept and --kernel are of one tier: cargo xtask test vm --accept --kernel SERIES");
    }
    let tiers = options.tier.map_or_else(|| Tier::ALL.to_vec(), |tier| vec![tier]);
    let mut groups: Vec<Group> = tiers.iter().flat_map(|tier| tier.needs()).copied().collect();
    groups.dedup();
    setup::ensure(&groups)?;
    let mut total = Count::default();
    if tiers.iter().any(|tier| !matches!(tier, Tier::Unit | Tier::Decoders))
        && let Err(error) = build::overlay(false)
    {
        println!("tier  build  {error:#}");
        total.failed += 1;
    }
    let mut next = None;
    if tiers.contains(&Tier::Faults) {
        match build::next() {
            Ok(path) => next = Some(path),
            Err(error) => {
                println!("tier  build  {error:#}");
                total.failed += 1;
            }
        }
    }
    let mut lines = Vec::new();
    for tier in tiers {
        println!("{}", ui::heading(&format!("tier  {}", tier.name())));
        let start = Instant::now();
        let count = if tier == Tier::Vm {
            vm::run(options.full, options.accept, options.kernel.as_deref())?
        } else if tier == Tier::Decoders {
            decoders::run(options.full, options.minutes)?
        } else {
            run_tier(tier, options, next.as_deref())?
        };
        let time = ui::seconds(start.elapsed());
        lines.push(format!("tier  {:<8} {}   {time}", tier.name(), count.line()));
        total.add(count);
    }
    for (name, reason) in &total.reasons {
        println!("skipped  {name}: {reason}");
    }
    for line in lines {
        println!("{line}");
    }
    println!("{}", total.line());
    if total.failed > 0 {
        bail!("{} of the tests failed", total.failed);
    }
    Ok(())
}

/// Runs one tier, passes on what cargo prints, and counts.
fn run_tier(tier: Tier, options: &Options, next: Option<&Path>) -> Result<Count> {
    let mut command = tier.command();
    command.args(options.arguments(tier));
    command.env("OVERLAY_BIN", project::overlay(false)).stdout(Stdio::piped());
    if let Some(next) = next {
        command.env("OVERLAY_BIN_NEXT", next);
    }
    if options.full {
        command.env("OVERLAY_TEST_FULL", "1");
    }
    let mut child = command.spawn().context("cannot start cargo")?;
    let (mut count, mut figures) = (Count::default(), Figures::default());
    let mut stdout = BufReader::new(child.stdout.take().context("cargo has no stdout")?);
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        count.read(text.trim_end());
        figures.read(text.trim_end());
        line.clear();
    }
    let status = child.wait()?;
    for line in figures.lines() {
        println!("{line}");
    }
    if !status.success() && count.failed == 0 {
        // No test said so: the tier did not compile, or a test ended the whole process.
        println!("tier  {}: cargo test ended with {status} before its tests did", tier.name());
        count.failed += 1;
    }
    Ok(count)
}
