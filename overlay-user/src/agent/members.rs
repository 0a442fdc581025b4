//! What the agent notes of the cluster's nodes: how they are, and what is wrong with the gossip.

use std::time::Duration;

use super::{core::Agent, history, reconcile::seconds, report};
use crate::{
    api::types::{ChangeKind, GossipStatus, NodeState},
    event::Event,
    membership::{known::MOST_NODES, limits::Limits, machine::MOST_ENDPOINTS, record::Key},
    source::gossip::Gossip,
    words::{list as words, quoted},
};

/// So long a datagram of another key is a problem.
const LATELY: Duration = Duration::from_mins(1);

impl Agent {
    /// Keeps in mind that the agent has started.
    pub(super) fn remember_start(&mut self) {
        let version = format!("version {}", env!("CARGO_PKG_VERSION"));
        let name = self.state.node_name().to_owned();
        self.history.note(seconds(), ChangeKind::Agent, &name, "started", version);
    }

    /// Keeps in mind what changes.
    pub(super) fn remember(&mut self, event: &Event) {
        let Some(before) = self.state.cluster() else { return };
        match event {
            Event::Cluster(after) => self.history.note_cluster(seconds(), before, after),
            Event::Endpoints(changes) => {
                for (id, endpoint) in changes {
                    let (before, after) = (before.endpoints.get(id), endpoint.as_ref());
                    self.history.note_endpoint(seconds(), id, before, after);
                }
            }
            Event::SourceFailed(_) | Event::Underlay(_) | Event::PortUp { .. } | Event::PortDown { .. } => {}
        }
    }

    /// Keeps in mind how the nodes are.
    pub(super) async fn note_nodes(&mut self) {
        let peers = match &self.gossip {
            Some(gossip) => gossip.peers().await,
            None => Vec::new(),
        };
        let nodes = report::nodes(self, &peers);
        let states = nodes.iter().filter(|node| node.state != NodeState::This);
        self.history
            .note_nodes(seconds(), states.map(|node| (node.name.as_str(), history::word(node.state))));
    }

    /// Writes what was noted.
    pub(super) fn keep_history(&mut self) {
        match self.history.keep() {
            Ok(()) => self.over("events"),
            Err(error) => {
                self.trouble(
                    "events",
                    format!("cannot keep the events: {error}"),
                    "make room or make the state directory writable",
                );
            }
        }
    }

    /// Notes what is wrong with the gossip.
    pub(super) async fn note_gossip(&mut self) {
        let Some(gossip) = self.gossip.clone() else { return };
        for (code, found) in problems(&gossip).await {
            match found {
                Some((message, fix)) => self.trouble(code, message, &fix),
                None => self.over(code),
            }
        }
    }
}

/// The gossip, as a status shows it.
pub(super) async fn status(gossip: &Gossip) -> GossipStatus {
    let limits = [
        ("nodes", MOST_NODES),
        ("networks", Limits::GOSSIP.networks),
        ("endpoints", Limits::GOSSIP.endpoints),
        ("endpoints_of_a_node", MOST_ENDPOINTS),
    ];
    let counters = serde_json::to_value(gossip.counters()).and_then(serde_json::from_value);
    GossipStatus {
        address: gossip.address().to_string(),
        seeds: gossip.seeds().iter().map(ToString::to_string).collect(),
        sealed: gossip.ring().is_some(),
        peers: gossip.heard().await,
        quarantined: gossip.refused().await.len(),
        held: gossip.held().await,
        limits: limits.map(|(name, most)| (name.to_owned(), most as u64)).into(),
        // They are a map of numbers.
        counters: counters.unwrap_or_default(),
    }
}

/// What is wrong with the gossip, by a name for each, and the remedies; none where it is not.
async fn problems(gossip: &Gossip) -> Vec<(&'static str, Option<(String, String)>)> {
    let double = gossip.double().await.map(|address| {
        let message = format!("another node of this node's name gossips at {address}");
        (message, "give one of them another node.name, and restart its agent".to_owned())
    });
    let fault = gossip.fault().await.map(|fault| {
        (
            fault,
            "make room or make the state directory writable; until then a new agent may not know it"
                .to_owned(),
        )
    });
    let passed =
        gossip.passed().await.into_iter().find(|(_, passed)| passed.too_much > 0).map(|(name, passed)| {
            let message = format!(
                "node {} publishes more than a node may; {} of its records are passed over",
                quoted(&name),
                passed.too_much
            );
            (message, "delete endpoints there".to_owned())
        });
    let refused = gossip.refused().await;
    let quarantined =
        refused.iter().find(|(refused, _)| matches!(refused.key, Key::Endpoint(_))).map(|(first, _)| {
            let name = match &first.key {
                Key::Endpoint(id) => id.to_string(),
                key @ (Key::Node | Key::Network(_) | Key::Block(..)) => key.to_string(),
            };
            let more = match refused.len() {
                1 => String::new(),
                count => format!(" (and {} more: overlay endpoint list)", count - 1),
            };
            let message = format!(
                "endpoint {name} on node {} is not forwarded to: {}{more}",
                quoted(&first.node),
                first.why
            );
            (message, "delete one of the two; the other holds then".to_owned())
        });
    let held = match gossip.held().await {
        0 => None,
        held => Some((
            format!(
                "{held} endpoints, most of those of other nodes, are published no more, all at once; they are kept for a minute"
            ),
            "look at their nodes; if it is meant, end it: overlay cluster accept".to_owned(),
        )),
    };
    let alone = gossip.heard().await == 0 && gossip.seeds().iter().any(|seed| *seed != gossip.address());
    let no_peer = alone.then(|| {
        let asked = words(gossip.seeds().iter().filter(|seed| **seed != gossip.address()));
        (
            format!("no node of the cluster answers; {asked} was asked"),
            "check that its agent runs, that UDP and TCP of that port are open, and that the token is that cluster's"
                .to_owned(),
        )
    });
    let stranger =
        gossip.counters().unknown_key_last.filter(|last| last.at.elapsed().is_ok_and(|since| since < LATELY));
    let wrong_key = stranger.map(|last| {
        (
            format!("{} gossips with a key that this node has not", last.from),
            "have it join with this cluster's token, or install its key: overlay cluster key install"
                .to_owned(),
        )
    });
    vec![
        ("mass_deletion", held),
        ("no_peer", no_peer),
        ("wrong_key", wrong_key),
        ("name_taken", double),
        ("gossip_state", fault),
        ("too_much", passed),
        ("quarantined", quarantined),
    ]
}
