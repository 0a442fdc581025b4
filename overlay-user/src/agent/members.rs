//! What the agent notes of the cluster's nodes: how they are, and what is wrong with the gossip.

use super::{core::Agent, history, reconcile::seconds, report};
use crate::{
    api::types::{ChangeKind, NodeState},
    event::Event,
    membership::record::Key,
    source::gossip::Gossip,
    words::quoted,
};

impl Agent {
    /// Keeps in mind that the agent has started.
    pub(super) fn remember_start(&mut self) {
        let version = format!("version {}", env!("CARGO_PKG_VERSION"));
        let name = self.state.node_name().to_owned();
        self.history.note(seconds(), ChangeKind::Agent, &name, "started", version);
    }

    /// Keeps in mind what changes.
    pub(super) fn remember(&mut self, event: &Event) {
        if let (Event::Cluster(after), Some(before)) = (event, self.state.cluster()) {
            self.history.note_cluster(seconds(), before, after);
        }
    }

    /// Keeps in mind how the nodes are.
    pub(super) async fn remember_nodes(&mut self) {
        let peers = match &self.gossip {
            Some(gossip) => gossip.peers().await,
            None => Vec::new(),
        };
        let nodes = report::nodes(self, &peers);
        let states = nodes.iter().filter(|node| node.state != NodeState::This);
        self.history
            .note_nodes(seconds(), states.map(|node| (node.name.as_str(), history::word(node.state))));
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
    vec![("name_taken", double), ("gossip_state", fault), ("too_much", passed), ("quarantined", quarantined)]
}
