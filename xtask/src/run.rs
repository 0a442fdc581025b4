//! `cargo xtask run`: a lab that proves itself.

mod grid;
mod isolation;
mod matrix;
mod report;
mod throughput;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use overlay_tests::Lab;
use serde_json::json;

use self::{isolation::Isolation, matrix::Matrix, throughput::Throughput};
use crate::{
    build, interrupt, project,
    setup::{self, Group},
    ui::{self, Progress},
};

/// The name of the lab, before everything it makes.
const LAB: &str = "ovlab";
/// The lab's underlay MTU, that of an ordinary Ethernet.
const UNDERLAY_MTU: u32 = 1500;

/// The lab to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Hosts, each a network namespace with an agent.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    hosts: u8,
    /// Containers of network blue on each host.
    #[arg(long, value_name = "M", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=100))]
    containers: u8,
    /// Where the agents have the cluster from: each other, or a file that all watch.
    #[arg(long, value_enum, default_value = "gossip")]
    engine: Engine,
    /// End after the proof instead of waiting for Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// Write the figures to FILE.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where the agents have the cluster from.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Engine {
    /// Each other
    Gossip,
    /// A file that all watch
    File,
}

/// Builds, proves, shows, waits, and takes everything down.
pub(crate) fn run(options: &Options) -> Result<()> {
    grid::check_size(options.hosts, options.containers)?;
    if !rustix::process::geteuid().is_root() {
        bail!("network namespaces need root: run `cargo xtask run` as root");
    }
    setup::ensure(&[Group::Build, Group::Lab])?;
    build::overlay(true)?;
    interrupt::catch()?;
    let lab = start(options)?;
    let proved = prove(options, &lab);
    if let Err(error) = &proved
        && !error.is::<interrupt::Interrupted>()
    {
        report::logs(&lab);
    }
    if !options.exit && !interrupt::came() {
        report::look_around(&lab);
        if let Err(error) = &proved {
            println!("{}", ui::bad(&format!("{error:#}")));
        }
        println!("The lab is up. Ctrl-C removes it.");
        interrupt::wait();
    }
    let down = Progress::start("removing    the lab");
    drop(lab);
    down.finish();
    proved
}

fn start(options: &Options) -> Result<Lab> {
    let hosts = options.hosts;
    let progress =
        Progress::start(format!("starting    {hosts} hosts with {} containers each", options.containers));
    let mut lab = Lab::new(&overlay_tests::Options {
        name: LAB.to_owned(),
        overlay: project::overlay(true),
        hosts,
        underlay_mtu: UNDERLAY_MTU,
        vteps: overlay_tests::over_v4,
        cable: false,
        engine: match options.engine {
            Engine::Gossip => overlay_tests::Engine::Gossip,
            Engine::File => overlay_tests::Engine::File,
        },
    })?;
    grid::declare(&mut lab, hosts, options.containers)?;
    interrupt::check()?;
    lab.start_agents()?;
    interrupt::check()?;
    lab.bind_all()?;
    progress.finish();
    Ok(lab)
}

/// Everything that can be wrong with a lab, measured and printed; an error when something is.
fn prove(options: &Options, lab: &Lab) -> Result<()> {
    let matrix = Matrix::measure(lab)?;
    matrix.print(lab);
    let isolation = Isolation::measure(lab)?;
    isolation.print();
    let (throughput, unmeasured) = measured(lab)?;
    report::status(lab)?;
    report::drops(lab)?;
    if let Some(path) = &options.json {
        let figures = json!({
            "hosts": options.hosts,
            "containers": options.containers,
            "pairs": matrix.pairs(),
            "reached": matrix.reached(),
            "reached_late": matrix.late(),
            "forbidden_pairs": isolation.pairs(),
            "forbidden_reached": isolation.reached(),
            "tcp_stream_ratio": throughput.stream_ratio(),
            "tcp_rr_ratio": throughput.rr_ratio(),
            "throughput": throughput.json(),
        });
        fs::write(path, format!("{figures:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let unreached = matrix.pairs() - matrix.reached();
    if unreached > 0 || isolation.reached() > 0 {
        bail!("{unreached} pairs not reached, {} forbidden pairs reached", isolation.reached());
    }
    unmeasured.map_or(Ok(()), Err)
}

/// The throughput, printed; without any when the load broke, which must not keep the other figures back.
fn measured(lab: &Lab) -> Result<(Throughput, Option<Error>)> {
    match Throughput::measure(lab) {
        Ok(throughput) => {
            throughput.print();
            Ok((throughput, None))
        }
        Err(error) if error.is::<interrupt::Interrupted>() => Err(error),
        Err(error) => {
            println!("{}", ui::bad(&format!("  {error:#}")));
            Ok((Throughput::default(), Some(error.context("the throughput cannot be measured"))))
        }
    }
}
