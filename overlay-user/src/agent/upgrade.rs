//! `overlay upgrade`: puts the programs of this binary in force, without an agent of its own.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::{configure::configure, core::Agent, engine, preflight};
use crate::{
    cli::{Agent as Args, Paths},
    config::Config,
    datapath::{Datapath as _, DatapathError, ProgramInfo, bpf::OpenOptions},
    event::Event,
};

/// Swaps the programs, and the maps where they are of another version, while everything goes on forwarding. What
/// fails before all links are swapped is undone. `downgrade`: also maps of a later version are replaced.
pub fn upgrade(paths: &Paths, downgrade: bool) -> anyhow::Result<ExitCode> {
    let config = configure(paths, &Args::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        preflight::check(&paths.pin_dir)?;
        let (mut agent, beside) = open(paths, &config, downgrade).await?;
        let staged = agent.reconciler.datapath.is_staged();
        let before = agent.reconciler.datapath.programs()?;
        let cluster = engine::once(paths, &config).await?;
        if let Err(error) = bring_up(&mut agent, cluster).await {
            agent.reconciler.datapath.roll_back().context("cannot put the former programs back")?;
            return Err(error.context("nothing was changed"));
        }
        let after = agent.reconciler.datapath.programs()?;
        println!("{}", told(staged, &before, &after));
        if beside && staged {
            println!("an agent of the former version goes on; restart it");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Opens the pins; beside an agent that has them, where only programs are to be swapped.
async fn open(paths: &Paths, config: &Config, downgrade: bool) -> anyhow::Result<(Agent, bool)> {
    let options = OpenOptions {
        trace_sample: config.trace.sample,
        by: preflight::by(config.node.hooks)?,
        downgrade,
        ..OpenOptions::default()
    };
    match Agent::open(paths, config, options).await {
        Err(error) if matches!(error.downcast_ref(), Some(DatapathError::Locked { .. })) => {
            let beside = OpenOptions { beside_agent: true, ..options };
            Ok((Agent::open(paths, config, beside).await?, true))
        }
        result => Ok((result?, false)),
    }
}

async fn bring_up(agent: &mut Agent, cluster: Option<Event>) -> anyhow::Result<()> {
    agent.start(cluster).await?;
    if let Some(error) = agent.reconciler.error() {
        bail!("{error}");
    }
    if agent.reconciler.datapath.is_staged() {
        // Without a cluster or an underlay there is nothing to fill new tables with.
        let why = agent.state.source_error().map_or("the underlay is not usable", |error| &error.message);
        bail!("{why}");
    }
    Ok(())
}

fn told(staged: bool, before: &[ProgramInfo], after: &[ProgramInfo]) -> String {
    if !staged {
        return format!("nothing to do: the programs at {} hooks are those of this version", after.len());
    }
    let same = |program: &&ProgramInfo| before.iter().any(|known| known.id == program.id);
    let swapped = after.iter().filter(|program| !same(program)).count();
    format!("swapped the programs at {swapped} of {} hooks", after.len())
}
