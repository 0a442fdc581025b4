//! The node agent: joins source, state, plan and data plane, and answers the API.
//!
//! One task owns nothing alone: the loop and the API's handlers lock the same `Agent`, do what they have to and
//! let go. All that decides is in `state` and `plan`; what is here moves values between them and the edges.

mod anchor;
mod audit;
mod bindings;
mod configure;
mod control;
mod core;
#[cfg(feature = "decoders")]
pub mod decoders;
mod endpoints;
mod engine;
mod follow;
mod history;
mod ipam;
mod keys;
mod members;
mod notify;
mod preflight;
mod reconcile;
mod registry;
mod report;
mod upgrade;
mod veths;
mod wanted;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
    time::{MissedTickBehavior, interval},
};

use self::{core::Agent, notify::Notify};
use crate::{
    api::{access::Admins, server, socket::ApiSocket},
    cli::Paths,
    config::Config,
    datapath::bpf::OpenOptions,
    netlink::watch::{Change, Watch},
    source::{Engine, Source as _},
};

pub use self::{configure::configure, upgrade::upgrade};

/// How often the kernel is compared with what it should hold.
const AUDIT: Duration = Duration::from_secs(5);

/// The agent, shared by its loop and the handlers of the API.
type Shared = Arc<Mutex<Agent>>;

/// Runs the agent until SIGTERM or SIGINT. What it installed stays, and goes on forwarding.
pub fn run(paths: &Paths, config: Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(paths, config))
}

async fn serve(paths: &Paths, config: Config) -> anyhow::Result<ExitCode> {
    let stop = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    preflight::check(&paths.pin_dir)?;
    let admins = Admins::resolve(&config.api.admins)?;
    // Before anything is changed: a second agent must not touch what the first installed.
    let socket = ApiSocket::bind(&paths.run_dir, config.api.group.as_deref())?;
    // Before anything is read: no change may fall between.
    let watch = Watch::start().context("cannot watch the network configuration")?;
    let options = OpenOptions {
        trace_sample: config.trace.sample,
        by: preflight::by(config.node.hooks)?,
        ..OpenOptions::default()
    };
    let ring = engine::keys(paths, &config)?;
    let mut agent = Agent::open(paths, &config, options).await?;
    let mut source = match engine::open(paths, &config, ring, &mut agent).await {
        Ok(source) => source,
        Err(error) => {
            agent.abandon();
            return Err(error);
        }
    };
    if config.trace.sample > 0
        && let Some(trace) = agent.take_trace()
    {
        tokio::spawn(trace.run());
    }
    agent.start(source.next().await).await?;
    let gossip = agent.gossip.clone();
    let agent = Arc::new(Mutex::new(agent));
    let (done, stopped) = tokio::sync::oneshot::channel::<()>();
    let api =
        tokio::spawn(server::serve(socket, control::Handle::new(Arc::clone(&agent)), admins, async move {
            // The sender is dropped when the loop ends: the same.
            let _ended = stopped.await;
        }));
    tracing::info!(node = config.node.name, "running");
    let mut notify = Notify::from_env();
    notify.ready();
    run_loop(&agent, source, watch, stop, &mut notify).await;
    notify.stopping();
    if let Some(gossip) = gossip {
        gossip.pause().await;
    }
    drop(done);
    api.await?.context("the API socket failed")?;
    tracing::info!("stopped; what is installed goes on forwarding");
    Ok(ExitCode::SUCCESS)
}

/// Takes in what happens until a signal ends it.
async fn run_loop(
    agent: &Shared,
    mut source: Engine,
    mut watch: Watch,
    mut stop: (Signal, Signal),
    notify: &mut Notify,
) {
    let mut audit = interval(AUDIT);
    audit.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        select! {
            _ = stop.0.recv() => return,
            _ = stop.1.recv() => return,
            said = source.next() => agent.lock().await.take_said(said).await,
            change = watch.next() => match change {
                Some(Change::Underlay) => agent.lock().await.underlay_changed().await,
                Some(Change::LinkGone(ifindex)) => agent.lock().await.link_gone(ifindex).await,
                Some(Change::Lost) => agent.lock().await.everything_changed().await,
                None => {
                    watch = restart(agent, notify).await;
                }
            },
            _ = audit.tick() => {
                let mut agent = agent.lock().await;
                agent.audit().await;
                notify.status(&report::line(&agent));
            }
            () = notify.due() => notify.alive(),
        }
    }
}

/// Subscribes again after a subscription broke, however long it takes; the audit goes on meanwhile.
async fn restart(agent: &Shared, notify: &mut Notify) -> Watch {
    loop {
        notify.alive();
        match Watch::start() {
            Ok(watch) => {
                agent.lock().await.everything_changed().await;
                return watch;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot watch the network configuration; trying again");
                agent.lock().await.audit().await;
                tokio::time::sleep(AUDIT).await;
            }
        }
    }
}
