//! The engine `gossip`: every node tells the others what it has, with no server between them.
//!
//! `engine` joins chitchat, which carries it, and the membership machine, which says what it comes to; `current` is the
//! cluster that is in force, and what of it has changed; `store` is what
//! a node keeps over restarts; `probe` asks the hosts of silent nodes whether they are there. `Gossip` is the handle by
//! which the agent and its API change something, and look (`look`); `GossipSource` tells the agent what the cluster is.

mod current;
mod engine;
mod join;
mod look;
mod pace;
mod probe;
mod source;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chitchat::transport::Transport;
use futures_util::FutureExt as _;
use ipnet::IpNet;
use overlay_common::Vni;
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use self::engine::{Engine, Gossiping};
use crate::{
    cluster::EndpointId,
    gossip::{Counters, SharedRing},
    membership::{
        liveness::Alive,
        machine::{Machine, Wanted},
        record::{Definition, Mode, NodeRecord},
        refusal::Refusal,
    },
};

pub use self::{
    engine::Passed,
    join::{JoinError, recalled},
    source::GossipSource,
};

/// How often the engine looks at its peers where nothing is heard.
const TURN: Duration = Duration::from_millis(100);
/// So long what is published is gathered before peers are told.
const GATHER: Duration = Duration::from_millis(10);
/// How often what is known of peers is kept.
const KEEP: Duration = Duration::from_secs(5);
/// So long an endpoint may wait for an address.
const LEASE: Duration = Duration::from_secs(5);

/// What a node of a gossip cluster is started with.
pub struct Options {
    /// Its name.
    pub node: String,
    /// Its addresses on the underlay.
    pub vteps: Vec<IpAddr>,
    /// Where it gossips.
    pub address: SocketAddr,
    /// Where others do that are asked first; this node may be among them.
    pub seeds: Vec<SocketAddr>,
    /// Where it keeps what it publishes.
    pub state_dir: PathBuf,
    /// What carries the messages.
    pub transport: Arc<dyn Transport>,
    /// The keys that the transport seals with, where it does.
    pub ring: Option<SharedRing>,
    /// What the transport has counted.
    pub counters: Arc<Counters>,
    /// How long peers take to answer, by address.
    pub rtts: Rtts,
}

/// Tells how long peers take to answer, by address.
pub type Rtts = Arc<dyn Fn() -> BTreeMap<SocketAddr, Duration> + Send + Sync>;

impl Options {
    fn gossiping(&self) -> Gossiping<'_> {
        Gossiping { address: self.address, seeds: self.seeds.clone(), transport: &*self.transport }
    }
}

/// The handle of a running engine.
#[derive(Clone)]
pub struct Gossip {
    engine: Arc<Mutex<Engine>>,
    /// That something is to be done at once.
    wake: Arc<Notify>,
    /// That the view may have changed.
    changed: Arc<Notify>,
    /// That it is to end.
    ended: watch::Sender<bool>,
    ring: Option<SharedRing>,
    seeds: Arc<[SocketAddr]>,
    address: SocketAddr,
    counters: Arc<Counters>,
    rtts: Rtts,
}

/// A node as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// What it says of itself.
    pub record: NodeRecord,
    /// How it is.
    pub alive: Alive,
    /// Where it gossips; none for this node, and for one that has not been heard since this agent started.
    pub address: Option<SocketAddr>,
    /// The round-trip time with it, once it was measured.
    pub rtt: Option<Duration>,
}

impl Gossip {
    /// Joins the cluster: listens, then publishes what this node has.
    ///
    /// # Errors
    ///
    /// Where the socket or the state directory cannot be used, or another node has the name.
    pub async fn join(options: Options) -> Result<Self, JoinError> {
        let engine = Arc::new(Mutex::new(join::join(&options).await?));
        let (wake, changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let ended = watch::Sender::new(false);
        let gossip = Self {
            engine,
            wake,
            changed,
            ended,
            ring: options.ring.clone(),
            seeds: options.seeds.clone().into(),
            address: options.address,
            counters: Arc::clone(&options.counters),
            rtts: Arc::clone(&options.rtts),
        };
        gossip.wake_on_news().await;
        for work in [gossip.clone().run(options).boxed(), probe::run(gossip.clone()).boxed()] {
            let mut ended = gossip.ended.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    () = work => {}
                    _ = ended.wait_for(|ended| *ended) => {}
                }
            });
        }
        Ok(gossip)
    }

    async fn wake_on_news(&self) {
        let woken = Arc::clone(&self.wake);
        self.engine.lock().await.on_news(move || woken.notify_one()).await;
    }

    /// Takes turns for as long as it lives.
    async fn run(self, options: Options) {
        let mut turn = interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut version, mut kept) = (0, Instant::now());
        let mut due = Instant::now();
        loop {
            tokio::select! {
                _ = turn.tick() => {}
                () = self.wake.notified() => sleep(GATHER).await,
                () = sleep_until(due) => {
                    due = self.engine.lock().await.gossip();
                    continue;
                }
            }
            let mut engine = self.engine.lock().await;
            if engine.has_ended() {
                tracing::error!("the gossip has ended; it is started again");
                if let Err(error) = engine.respawn(&options.gossiping()).await {
                    tracing::error!("it cannot be: {error:#}; trying again");
                    drop(engine);
                    sleep(KEEP).await;
                    continue;
                }
                drop(engine);
                self.wake_on_news().await;
                continue;
            }
            engine.turn().await;
            due = engine.gossip();
            if engine.version() != version {
                version = engine.version();
                self.changed.notify_one();
                if kept.elapsed() >= KEEP {
                    kept = Instant::now();
                    if let Err(error) = engine.store.keep_peers(engine.machine.known(), engine.machine.name())
                    {
                        tracing::warn!(%error, "cannot keep what is known of the other nodes");
                    }
                }
            }
        }
    }

    /// Does something with the machine, keeps and publishes what follows.
    async fn change<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut engine = self.engine.lock().await;
        let done = work(&mut engine.machine);
        engine.flush().await;
        drop(engine);
        self.wake.notify_one();
        self.changed.notify_one();
        done
    }

    /// Makes a network.
    pub async fn create_network(
        &self,
        name: &str,
        vni: Option<Vni>,
        definition: Definition,
    ) -> Result<Vni, Refusal> {
        self.change(|machine| machine.create_network(name, vni, definition)).await
    }

    /// Deletes a network that has no endpoints.
    pub async fn delete_network(&self, name: &str) -> Result<(), Refusal> {
        self.change(|machine| machine.delete_network(name)).await
    }

    /// Adds an endpoint to this node; waits where its address is to be leased first.
    pub async fn add_endpoint(&self, wanted: &Wanted) -> Result<EndpointId, Refusal> {
        let added = timeout(LEASE, async {
            loop {
                match self.change(|machine| machine.add_endpoint(wanted.clone())).await {
                    Err(Refusal::Settling) => sleep(TURN).await,
                    done => return done,
                }
            }
        });
        added.await.unwrap_or(Err(Refusal::Settling))
    }

    /// Deletes an endpoint of this node.
    pub async fn delete_endpoint(&self, id: &EndpointId) -> Result<(), Refusal> {
        self.change(|machine| machine.delete_endpoint(id)).await
    }

    /// Reserves a prefix of a network: no address of it is leased.
    pub async fn reserve(&self, network: &str, prefix: IpNet) -> Result<(), Refusal> {
        self.change(|machine| machine.reserve(network, prefix)).await
    }

    /// Ends a reservation.
    pub async fn unreserve(&self, network: &str, prefix: IpNet) -> Result<(), Refusal> {
        self.change(|machine| machine.unreserve(network, prefix)).await
    }

    /// Says what else this node is, such as its addresses.
    pub async fn set_node(&self, change: impl FnOnce(NodeRecord) -> NodeRecord) {
        self.change(|machine| machine.set_node(change)).await;
    }

    /// Says that this node comes back, and stops; what it publishes holds for its peers.
    pub async fn pause(&self) {
        self.set_node(|node| NodeRecord { mode: Mode::Upgrading, ..node }).await;
        // The turn that tells them, and what they ask then.
        sleep(TURN + GATHER).await;
        let engine = self.engine.lock().await;
        if let Err(error) = engine.store.keep_peers(engine.machine.known(), engine.machine.name()) {
            tracing::warn!(%error, "cannot keep what is known of the other nodes");
        }
    }

    /// Stops gossiping.
    pub async fn stop(&self) {
        // Who waits for it is told, and nobody else need be.
        self.ended.send_replace(true);
        self.engine.lock().await.end().await;
    }
}

/// What a network is made of: the definition that its record has.
pub fn definition(subnets: Vec<IpNet>, gateways: Vec<IpAddr>, mtu: Option<u16>) -> Definition {
    Definition { vni: 0, subnets, gateways, reserved: Vec::new(), mtu, internal: false }
}
