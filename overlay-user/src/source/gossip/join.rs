//! Joining: the node listens before it says anything, so that it takes nobody's name and its peers for gone.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Options,
    engine::Engine,
    store::{Recalled, Store},
};
use crate::{
    cluster::Cluster,
    gossip::SharedRing,
    membership::{
        known::MOST_NODES,
        limits::Limits,
        machine::Machine,
        record::{Mode, NodeRecord},
    },
};

/// So long a node that starts waits at most for what others have.
const LISTEN: Duration = Duration::from_secs(3);
/// So long it listens at least where there are others.
const QUIET: Duration = Duration::from_millis(800);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);
/// The highest number of a start that another is made from.
const MOST_START: u64 = 1 << 62;

/// Why a node cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Another node has the name.
    #[error(
        "another node named {name:?} is in the cluster, at {address}; set node.name to a name of its own"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one gossips.
        address: SocketAddr,
    },
    /// The cluster has all the nodes that it may have.
    #[error(
        "the cluster has {0} nodes besides this one, and may have {MOST_NODES}; take one out, or use the engine \"etcd\", which holds more"
    )]
    Full(usize),
    /// The state directory cannot be used.
    #[error("cannot keep the gossip's state in {dir}: {error}; make room or make it writable")]
    State {
        /// The directory.
        dir: String,
        /// Why not.
        error: io::Error,
    },
    /// The socket cannot be used.
    #[error("cannot gossip at {address}: {message}; free the port, or set cluster.gossip.port on every node")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// Why not.
        message: String,
    },
}

/// Starts an engine, and has it publish what this node has once it has listened.
pub(super) async fn join(options: &Options) -> Result<Engine, JoinError> {
    let state = |error| JoinError::State { dir: options.state_dir.display().to_string(), error };
    let mut store = Store::open(&options.state_dir).map_err(state)?;
    let peers = store.peers().map_err(state)?;
    let mut start = (store.start() + 1).max(seconds());
    loop {
        let machine = machine(options, &store, &peers, start);
        // Before anything is told by that number.
        let kept = store.kept();
        store.keep(start, kept.iter().map(|(key, record)| (key, record))).map_err(state)?;
        let mut engine = spawn(options, machine, store, start).await?;
        listen(&mut engine, options, !peers.is_empty()).await;
        if let Some(address) = engine.double() {
            engine.end().await;
            return Err(JoinError::NameTaken { name: options.node.clone(), address });
        }
        if let Err(full) = has_room(engine.others().await) {
            engine.end().await;
            return Err(full);
        }
        match engine.start_elsewhere().await {
            // Its state, or its clock, has been lost: others know of a later start than this one.
            Some(later) if later >= engine.start() && later < MOST_START => {
                start = later + 1;
                engine.end().await;
                store = Store::open(&options.state_dir).map_err(state)?;
            }
            Some(_) | None => {
                engine.flush().await;
                return Ok(engine);
            }
        }
    }
}

/// Whether there may be a node besides so many others; its peers would pass it over.
fn has_room(others: usize) -> Result<(), JoinError> {
    if others < MOST_NODES { Ok(()) } else { Err(JoinError::Full(others)) }
}

async fn spawn(options: &Options, machine: Machine, store: Store, start: u64) -> Result<Engine, JoinError> {
    Engine::spawn(machine, store, start, &options.gossiping())
        .await
        .map_err(|error| JoinError::Socket { address: options.address, message: format!("{error:#}") })
}

fn machine(options: &Options, store: &Store, peers: &[Recalled], start: u64) -> Machine {
    let node = NodeRecord {
        vteps: options.vteps.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: Mode::Up,
        seq: 0,
        keys: options.ring.iter().flat_map(SharedRing::list).map(|key| key.id.to_string()).collect(),
    };
    let mut machine = Machine::new(&options.node, start, node, store.kept());
    machine.set_limits(Limits::GOSSIP);
    for peer in peers {
        machine.recall(&peer.name, peer.start, peer.records.clone());
    }
    machine
}

/// Listens until every peer that is there has said all, or long enough.
async fn listen(engine: &mut Engine, options: &Options, knows_peers: bool) {
    let alone = !knows_peers && options.seeds.iter().all(|seed| *seed == options.address);
    if alone {
        return;
    }
    let began = Instant::now();
    while began.elapsed() < LISTEN {
        sleep(LOOK).await;
        engine.listen().await;
        engine.gossip();
        let all = engine.peers() > 0 && engine.unheard().await == 0;
        if all && began.elapsed() >= QUIET {
            return;
        }
    }
}

/// The cluster as a node knew it when it stopped, for who does not gossip himself; none where it never did.
///
/// # Errors
///
/// Where what was kept cannot be read.
pub fn recalled(node: &str, state_dir: &Path) -> io::Result<Option<Cluster>> {
    let store = Store::open(state_dir)?;
    if store.start() == 0 {
        return Ok(None);
    }
    let own = store.own_node();
    let Some(own) = own else { return Ok(None) };
    let mut machine = Machine::new(node, store.start(), own, store.kept());
    for peer in store.peers()? {
        machine.recall(&peer.name, peer.start, peer.records);
    }
    Ok(Some(machine.view().cluster))
}

/// The time in seconds since 1970 (UTC): so that a node whose state was lost starts by a higher number all the same.
fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_node_that_may_be_joins_and_no_more() {
        assert!(has_room(MOST_NODES - 1).is_ok());
        let said = has_room(MOST_NODES).expect_err("it is full").to_string();
        assert!(said.contains(&MOST_NODES.to_string()) && said.contains("etcd"), "{said}");
    }
}
