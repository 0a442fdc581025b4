//! The engine: chitchat carries what every node publishes, the machine says what it comes to.

mod hear;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    time::Duration,
};

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, spawn_chitchat, transport::Transport,
};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{
    current::Current,
    pace::{self, Pace},
    store::Store,
};
use crate::membership::{
    machine::{Change, Machine},
    record::Key,
};

/// How often chitchat sees to what it has forgotten, and gossips of its own accord; between, `Pace` says when.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// So long chitchat tells of what was deleted. A peer that was away for longer is told all anew.
const TOMBSTONES: Duration = Duration::from_mins(10);
/// So long chitchat remembers an earlier start, or a node that is gone.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Heartbeats of another node of this node's name until it is believed to be there: what it sent before it died may
/// still come.
const BEATS_OF_A_DOUBLE: u32 = 3;

/// What has been taken in of a start of a peer.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    version: u64,
    beat: u64,
    /// How often its heartbeat has grown.
    beats: u32,
}

/// How a peer's records could not be taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Records that are not believed, or of a later version.
    pub unbelieved: u64,
    /// Records beyond what a node, or a cluster, may have.
    pub too_much: u64,
}

/// How this node gossips.
pub(super) struct Gossiping<'t> {
    pub(super) address: SocketAddr,
    pub(super) seeds: Vec<SocketAddr>,
    pub(super) transport: &'t dyn Transport,
}

/// One node's engine.
pub(super) struct Engine {
    pub(super) machine: Machine,
    pub(super) store: Store,
    current: Current,
    chitchat: ChitchatHandle,
    pace: Pace,
    own: SocketAddr,
    seeds: Vec<SocketAddr>,
    start: u64,
    began: Instant,
    seen: BTreeMap<ChitchatId, Seen>,
    /// Addresses of peers by name.
    addresses: BTreeMap<String, SocketAddr>,
    /// Where another node of this node's name gossips from, and when it was last heard.
    double: Option<(SocketAddr, Instant)>,
    passed: BTreeMap<String, Passed>,
    /// Whether something was published that peers have not been told of.
    untold: bool,
    /// Why what is published could not be kept.
    fault: Option<String>,
}

impl Engine {
    /// Starts to gossip. Nothing is published yet: first it listens.
    pub(super) async fn spawn(
        machine: Machine,
        store: Store,
        start: u64,
        gossiping: &Gossiping<'_>,
    ) -> anyhow::Result<Self> {
        let chitchat = spawn(machine.name(), start, gossiping).await?;
        let current = Current::new(machine.name());
        Ok(Self {
            machine,
            store,
            current,
            chitchat,
            pace: Pace::new(),
            own: gossiping.address,
            seeds: gossiping.seeds.clone(),
            start,
            began: Instant::now(),
            seen: BTreeMap::new(),
            addresses: BTreeMap::new(),
            double: None,
            passed: BTreeMap::new(),
            untold: false,
            fault: None,
        })
    }

    /// Ends gossiping; the socket is free again.
    pub(super) async fn end(&self) {
        // It fails where it has ended already.
        let _ended = self.chitchat.initiate_shutdown();
        if let Err(error) = self.chitchat.termination_watcher().await {
            tracing::warn!("the gossip ended with: {error:#}");
        }
    }

    /// Calls `told` whenever a peer has published something; it must be quick.
    pub(super) async fn on_news(&self, told: impl Fn() + Send + Sync + 'static) {
        let chitchat = self.chitchat.chitchat();
        let chitchat = chitchat.lock().await;
        // Of all that a node publishes at a time, its own record is the last.
        chitchat.subscribe_event(Key::Node.to_string(), move |_| told()).forever();
    }

    /// Takes in what has come, and what time has brought.
    pub(super) async fn listen(&mut self) {
        let chitchat = self.chitchat.chitchat();
        self.take_in(&*chitchat.lock().await);
        self.machine.set_silence(pace::silence(self.addresses.len()));
        self.machine.tick(self.began.elapsed());
        self.current.tick();
    }

    /// The same, and publishes what follows.
    pub(super) async fn turn(&mut self) {
        self.listen().await;
        self.flush().await;
    }

    /// A number that is the same for as long as nothing can have changed the cluster.
    pub(super) fn version(&self) -> u64 {
        self.current.version(&self.machine)
    }

    /// The cluster that is in force, brought up to date.
    pub(super) fn current(&mut self) -> &mut Current {
        self.current.refresh(&mut self.machine, self.began.elapsed());
        &mut self.current
    }

    /// Keeps what has changed, and then publishes it; where it cannot be kept, that is told and tried again.
    pub(super) async fn flush(&mut self) {
        let changes = self.machine.take_changes();
        if !changes.is_empty() || self.fault.is_some() {
            match self.store.keep_changes(&changes, self.machine.own()) {
                Ok(()) => self.fault = None,
                Err(error) => self.fault(&error),
            }
        }
        if !changes.is_empty() {
            self.publish(changes).await;
        }
    }

    async fn publish(&mut self, changes: Vec<Change>) {
        let chitchat = self.chitchat.chitchat();
        // Under one lock: no peer is told the half of it.
        let mut chitchat = chitchat.lock().await;
        let state = chitchat.self_node_state();
        for Change { key, record } in changes {
            match record {
                Some(record) => state.set(key, record.text()),
                None if state.contains_key(&key.to_string()) => state.delete(&key.to_string()),
                // Made and taken back in one go.
                None => {}
            }
        }
        self.untold = true;
    }

    /// Notes that what is published could not be kept.
    fn fault(&mut self, error: &io::Error) {
        let fault = format!("cannot keep what this node publishes: {error}");
        if self.fault.as_ref() != Some(&fault) {
            tracing::error!("{fault}");
        }
        self.fault = Some(fault);
    }

    /// Whether the gossip itself has ended, which it should not.
    pub(super) fn has_ended(&self) -> bool {
        self.chitchat.termination_watcher().now_or_never().is_some()
    }

    /// Starts the gossip again, by another start.
    pub(super) async fn respawn(&mut self, gossiping: &Gossiping<'_>) -> anyhow::Result<()> {
        let start = self.start + 1;
        // Before anything is told by that number.
        if let Err(error) = self.store.keep(start, self.machine.own()) {
            self.fault(&error);
        }
        self.chitchat = spawn(self.machine.name(), start, gossiping).await?;
        self.start = start;
        self.seen.clear();
        self.machine.restart(start);
        self.flush().await;
        Ok(())
    }

    /// Peers that are heard of and have not said all yet.
    pub(super) async fn unheard(&self) -> usize {
        let chitchat = self.chitchat.chitchat();
        let chitchat = chitchat.lock().await;
        let own = chitchat.self_chitchat_id();
        let states = chitchat.node_states().iter().filter(|(id, _)| id.node_id != own.node_id);
        let (mut latest, mut unheard) = (BTreeMap::new(), 0);
        for (id, state) in states {
            latest.insert(&id.node_id, (id, state));
        }
        for (id, state) in latest.into_values() {
            let beats = self.seen.get(id).map_or(0, |seen| seen.beats);
            unheard += usize::from(beats > 0 && !state.contains_key(&Key::Node.to_string()));
        }
        unheard
    }

    /// How many other nodes are heard of, those that are gone among them.
    pub(super) async fn others(&self) -> usize {
        let chitchat = self.chitchat.chitchat();
        let chitchat = chitchat.lock().await;
        let own = chitchat.self_chitchat_id();
        let names: BTreeSet<&str> = chitchat.node_states().keys().map(|id| &*id.node_id).collect();
        names.into_iter().filter(|name| *name != &*own.node_id).count()
    }

    /// The highest start of this node's name that peers know.
    pub(super) async fn start_elsewhere(&self) -> Option<u64> {
        let chitchat = self.chitchat.chitchat();
        let chitchat = chitchat.lock().await;
        let own = chitchat.self_chitchat_id();
        let others = chitchat.node_states().keys().filter(|id| id.node_id == own.node_id && *id != own);
        others.map(|id| id.generation_id).max()
    }

    /// The number of this start.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where another node of this node's name gossips from.
    pub(super) fn double(&self) -> Option<SocketAddr> {
        let silence = pace::silence(self.addresses.len());
        self.double.filter(|(_, heard)| heard.elapsed() <= silence).map(|(address, _)| address)
    }

    /// Where a peer gossips.
    pub(super) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.get(name).copied()
    }

    /// How many peers have been heard.
    pub(super) fn peers(&self) -> usize {
        self.addresses.len()
    }

    /// What of each peer could not be taken in.
    pub(super) fn passed(&self) -> impl Iterator<Item = (&str, Passed)> {
        self.passed.iter().map(|(name, passed)| (name.as_str(), *passed))
    }

    /// Why what is published could not be kept, while it cannot.
    pub(super) fn faulty(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

async fn spawn(name: &str, start: u64, gossiping: &Gossiping<'_>) -> anyhow::Result<ChitchatHandle> {
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(name, start, gossiping.address),
        cluster_id: "overlay".to_owned(),
        gossip_interval: HOUSEKEEPING,
        listen_addr: gossiping.address,
        seed_nodes: gossiping.seeds.iter().map(ToString::to_string).collect(),
        failure_detector_config: FailureDetectorConfig {
            dead_node_grace_period: REMEMBERED,
            initial_interval: pace::SLOWEST * 2,
            ..FailureDetectorConfig::default()
        },
        marked_for_deletion_grace_period: TOMBSTONES,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    spawn_chitchat(config, Vec::new(), gossiping.transport).await
}
