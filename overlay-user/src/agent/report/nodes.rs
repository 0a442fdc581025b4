//! The nodes: those of the cluster, and where the engine knows of them those that are not there too.

use std::collections::BTreeMap;

use super::strings;
use crate::{
    agent::core::Agent,
    api::types::{NodeInfo, NodeState},
    cluster::{Node, NodeKind},
    membership::liveness::Alive,
    source::gossip::Peer,
    vteps::Vteps,
};

/// All nodes; `peers` is what the engine knows of them, where it knows more than the cluster says.
pub(in crate::agent) fn nodes(agent: &Agent, peers: &[Peer]) -> Vec<NodeInfo> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let cluster = agent.state.cluster();
    for endpoint in cluster.iter().flat_map(|cluster| cluster.endpoints.values()) {
        *counts.entry(&endpoint.node).or_default() += 1;
    }
    let nodes = cluster.into_iter().flat_map(|cluster| cluster.nodes.values());
    let mut infos: BTreeMap<String, NodeInfo> =
        nodes.map(|node| (node.name.clone(), of_cluster(agent, node))).collect();
    for peer in peers {
        if let Some(info) = of_peer(infos.get(&peer.name), peer) {
            infos.insert(peer.name.clone(), info);
        }
    }
    let with_more = |mut info: NodeInfo| {
        info.endpoints = counts.get(info.name.as_str()).copied().unwrap_or_default();
        info.changed = agent.history.changed(&info.name);
        info
    };
    infos.into_values().map(with_more).collect()
}

fn of_cluster(agent: &Agent, node: &Node) -> NodeInfo {
    let routed = || {
        let underlay = agent.state.underlay()?;
        underlay.next_hops.get(&underlay.vteps.way_to(&node.vteps)?)
    };
    NodeInfo {
        name: node.name.clone(),
        vtep: node.vteps.first().to_string(),
        vteps: strings(node.vteps),
        kind: match node.kind {
            NodeKind::Agent => "agent".into(),
            NodeKind::External => "external".into(),
        },
        state: if node.name == agent.state.node_name() {
            NodeState::This
        } else if routed().is_some() {
            NodeState::Known
        } else {
            NodeState::Unroutable
        },
        version: None,
        gossip: None,
        rtt_us: None,
        endpoints: 0,
        changed: None,
    }
}

/// The node with what the engine knows of it; none where it says nothing that can be.
fn of_peer(known: Option<&NodeInfo>, peer: &Peer) -> Option<NodeInfo> {
    let vteps = Vteps::of(peer.record.vteps.iter().copied())?;
    let known = known.map(|node| node.state);
    let state = match peer.alive {
        Alive::Up => known.unwrap_or(NodeState::Unroutable),
        Alive::Upgrading => NodeState::Upgrading,
        Alive::AgentDown => NodeState::AgentDown,
        Alive::Dead => NodeState::Dead,
        Alive::Gone => NodeState::Gone,
    };
    Some(NodeInfo {
        name: peer.name.clone(),
        vtep: vteps.first().to_string(),
        vteps: strings(vteps),
        kind: "agent".into(),
        state,
        version: Some(peer.record.version.clone()),
        gossip: peer.address.map(|address| address.to_string()),
        rtt_us: peer.rtt.map(|rtt| rtt.as_micros() as u64),
        endpoints: 0,
        changed: None,
    })
}
