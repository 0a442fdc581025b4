//! Real chitchat under paused time, over channels instead of sockets.

mod many;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use chitchat::transport::ChannelTransport;
use overlay_common::Vni;
use tokio::time::{Instant, sleep};

use super::*;
use crate::membership::liveness::SILENCE;

/// A cluster of nodes that have their state under one directory.
struct World {
    transport: ChannelTransport,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let transport = ChannelTransport::with_mtu(65_507);
        Self { transport, dir: tempfile::tempdir().expect("a directory") }
    }

    fn options(&self, number: u8) -> Options {
        let name = format!("h{number}");
        Options {
            state_dir: self.dir.path().join(&name),
            node: name,
            vteps: vec![IpAddr::from([10, 88, 0, number])],
            address: address(number),
            seeds: vec![address(1)],
            transport: Arc::new(self.transport.clone()),
            ring: None,
            counters: Arc::default(),
            rtts: Arc::new(BTreeMap::new),
        }
    }

    async fn start(&self, number: u8) -> Gossip {
        Gossip::join(self.options(number)).await.expect("joins")
    }

    async fn of(&self, count: u8) -> Vec<Gossip> {
        let mut nodes = Vec::new();
        for number in 1..=count {
            nodes.push(self.start(number).await);
        }
        nodes
    }
}

/// On loopback, where nobody listens: the host answers for as long as the test runs.
fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 88, 0, number], 7950))
}

fn blue() -> Definition {
    definition(vec!["10.1.0.0/16".parse().expect("a prefix")], Vec::new(), None)
}

fn wanted(ips: &[&str]) -> Wanted {
    let ips = ips.iter().map(|ip| ip.parse().expect("an address")).collect();
    Wanted { network: "blue".to_owned(), ips, mac: None, name: None }
}

/// Waits until all see the same, of so many endpoints.
async fn agree(nodes: &[Gossip], endpoints: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..600 {
        let mut views = Vec::new();
        for node in nodes {
            views.push(node.view().await);
        }
        if views.iter().all(|view| *view == views[0] && view.cluster.endpoints.len() == endpoints) {
            return began.elapsed();
        }
        sleep(Duration::from_millis(50)).await;
    }
    let mut found = BTreeMap::new();
    for node in nodes {
        let view = node.view().await;
        found.insert(node.engine.lock().await.machine.name().to_owned(), view);
    }
    panic!("they do not agree on {endpoints} endpoints: {found:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_on_one_node_is_on_all_and_what_is_deleted_on_none() {
    let world = World::new();
    let nodes = world.of(4).await;
    let vni = nodes[0].create_network("blue", None, blue()).await.expect("made");
    agree(&nodes, 0).await;
    assert_eq!(nodes[3].view().await.cluster.networks["blue"].vni, vni);
    let mut ids = Vec::new();
    for node in &nodes {
        ids.push(node.add_endpoint(&wanted(&[])).await.expect("added"));
    }
    agree(&nodes, 4).await;
    nodes[1].delete_endpoint(&ids[1]).await.expect("deleted");
    assert!(matches!(nodes[1].delete_endpoint(&ids[2]).await, Err(Refusal::ElsewhereEndpoint { .. })));
    agree(&nodes, 3).await;
    assert!(matches!(nodes[0].delete_network("blue").await, Err(Refusal::NetworkInUse { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_again_has_what_it_had_and_so_have_its_peers() {
    let world = World::new();
    let mut nodes = world.of(3).await;
    nodes[0].create_network("blue", Some(Vni::new(42).expect("a VNI")), blue()).await.expect("made");
    agree(&nodes, 0).await;
    nodes[2].add_endpoint(&wanted(&["10.1.0.3"])).await.expect("added");
    agree(&nodes, 1).await;
    let stopped = nodes.pop().expect("three");
    stopped.pause().await;
    stopped.stop().await;
    sleep(SILENCE * 2).await;
    let alive = |peers: Vec<Peer>| peers.into_iter().find(|peer| peer.name == "h3").map(|peer| peer.alive);
    assert_eq!(alive(nodes[0].peers().await), Some(Alive::Upgrading));
    assert_eq!(agree(&nodes, 1).await, Duration::ZERO, "its endpoint is still there");
    let known = recalled("h3", &world.dir.path().join("h3")).expect("read").expect("was there");
    assert_eq!(known, nodes[0].view().await.cluster);
    nodes.push(world.start(3).await);
    assert_eq!(nodes[2].view().await.cluster.endpoints.len(), 1);
    agree(&nodes, 1).await;
    assert_eq!(alive(nodes[0].peers().await), Some(Alive::Up));
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_state_was_lost_starts_by_a_higher_number_than_its_peers_know() {
    let world = World::new();
    let mut nodes = world.of(2).await;
    nodes[0].create_network("blue", None, blue()).await.expect("made");
    agree(&nodes, 0).await;
    nodes[1].add_endpoint(&wanted(&["10.1.0.3"])).await.expect("added");
    agree(&nodes, 1).await;
    // As a clock that was years ahead would have it.
    let ahead = {
        let lost = nodes.pop().expect("two");
        lost.stop().await;
        std::fs::remove_dir_all(world.dir.path().join("h2")).expect("removed");
        let mut options = world.options(2);
        options.state_dir = world.dir.path().join("ahead");
        let mut store = store::Store::open(&options.state_dir).expect("opened");
        store.keep(9_000_000_000, std::iter::empty()).expect("kept");
        let ahead = Gossip::join(options).await.expect("joins");
        agree(&[nodes[0].clone(), ahead.clone()], 0).await;
        ahead
    };
    ahead.stop().await;
    nodes.push(world.start(2).await);
    nodes[1].add_endpoint(&wanted(&["10.1.0.9"])).await.expect("added");
    agree(&nodes, 1).await;
    let start = nodes[1].engine.lock().await.start();
    assert!(start > 9_000_000_000, "{start}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_lost_its_state_while_this_node_was_away_is_heard_at_its_lower_start() {
    let world = World::new();
    let mut nodes = world.of(1).await;
    nodes[0].create_network("blue", None, blue()).await.expect("made");
    let mut options = world.options(2);
    let mut store = store::Store::open(&options.state_dir).expect("opened");
    store.keep(9_000_000_000, std::iter::empty()).expect("kept");
    let ahead = Gossip::join(options).await.expect("joins");
    agree(&[nodes[0].clone(), ahead.clone()], 0).await;
    // Both go; what comes back of the second knows nothing of its former starts, and nobody else does but the first.
    nodes[0].pause().await;
    nodes[0].stop().await;
    ahead.stop().await;
    options = world.options(2);
    options.state_dir = world.dir.path().join("empty");
    let lower = Gossip::join(options).await.expect("joins");
    assert!(lower.engine.lock().await.start() < 9_000_000_000);
    nodes[0] = world.start(1).await;
    nodes.push(lower);
    agree(&nodes, 0).await;
    nodes[1].add_endpoint(&wanted(&["10.1.0.9"])).await.expect("added");
    agree(&nodes, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_another_has_is_refused_and_the_other_goes_on() {
    let world = World::new();
    let nodes = world.of(2).await;
    sleep(Duration::from_secs(2)).await;
    let mut options = world.options(2);
    options.address = address(3);
    options.state_dir = world.dir.path().join("h3");
    match Gossip::join(options).await {
        Err(JoinError::NameTaken { name, address: at }) => {
            assert_eq!((name.as_str(), at), ("h2", address(2)));
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two of one name"),
    }
    assert_eq!(nodes[1].double().await, Some(address(3)), "whose name it is sees it, too");
    sleep(SILENCE * 2).await;
    assert_eq!(nodes[1].double().await, None, "until it is gone");
    nodes[0].create_network("blue", None, blue()).await.expect("made");
    agree(&nodes, 0).await;
    world.start(3).await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_has_ended_is_started_again() {
    let world = World::new();
    let nodes = world.of(2).await;
    nodes[0].create_network("blue", None, blue()).await.expect("made");
    nodes[1].engine.lock().await.end().await;
    sleep(Duration::from_secs(2)).await;
    nodes[1].add_endpoint(&wanted(&["10.1.0.3"])).await.expect("added");
    agree(&nodes, 1).await;
}
