//! Nodes, and what has changed in the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a node is seen from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It is this node.
    #[serde(rename = "self")]
    This,
    /// It has a route and a next hop.
    Known,
    /// There is no route to it, or its next hop does not answer.
    Unroutable,
    /// Its agent has stopped and said that it comes back; its endpoints are forwarded to.
    Upgrading,
    /// Its agent is silent and its host answers; its endpoints are forwarded to.
    AgentDown,
    /// It is silent, and so is its host; its endpoints are hidden.
    Dead,
    /// It has left, or was dead for so long that its addresses are free.
    Gone,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// The preferred address of its VTEP.
    pub vtep: String,
    /// All addresses of its VTEP.
    #[serde(default)]
    pub vteps: Vec<String>,
    /// `agent` or `external`.
    pub kind: String,
    /// How it is seen from this node.
    pub state: NodeState,
    /// The version of its agent, where it tells.
    #[serde(default)]
    pub version: Option<String>,
    /// Where it gossips, once it has been heard.
    #[serde(default)]
    pub gossip: Option<String>,
    /// The round-trip time of the gossip with it, in microseconds.
    #[serde(default)]
    pub rtt_us: Option<u64>,
    /// How many endpoints it has that hold.
    #[serde(default)]
    pub endpoints: usize,
    /// When its state was last seen to change, in seconds since 1970 (UTC).
    #[serde(default)]
    pub changed: Option<u64>,
}

/// What a change was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A node.
    Node,
    /// A network.
    Network,
    /// An endpoint.
    Endpoint,
    /// This agent.
    Agent,
}

/// Something that has changed in the cluster as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// When it was seen, in seconds since 1970 (UTC).
    pub at: u64,
    /// What it was of.
    pub kind: ChangeKind,
    /// Its name or identifier.
    pub name: String,
    /// What became of it: `added`, `deleted`, `changed`, `moved`, a state of a node, `started`.
    pub what: String,
    /// More of it, such as the node that an endpoint is on.
    #[serde(default)]
    pub detail: String,
}

/// A key of the gossip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    /// Its identifier; it says nothing of the key.
    pub id: String,
    /// Whether this node seals with it.
    pub in_use: bool,
    /// The nodes that have it, by name.
    pub nodes: Vec<String>,
    /// The nodes that have it not.
    pub missing: Vec<String>,
}

/// `POST /v1/keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyInstall {
    /// The token that has the key; without one, a new key is made.
    #[serde(default)]
    pub token: Option<String>,
}

/// A key that was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyInstalled {
    /// Its identifier.
    pub id: String,
    /// A token with the key, for the other nodes.
    pub token: String,
}

/// The gossip, in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GossipStatus {
    /// Where this node gossips.
    pub address: String,
    /// Nodes that were asked first.
    pub seeds: Vec<String>,
    /// Whether the gossip is sealed.
    pub sealed: bool,
    /// Nodes that have been heard since the agent started.
    pub peers: usize,
    /// Endpoints that are published and do not hold.
    pub quarantined: usize,
    /// Endpoints that are kept though they are published no more, since most would have gone at once.
    pub held: usize,
    /// How much a cluster may have: `nodes`, `networks`, `endpoints`, `endpoints_of_a_node`.
    pub limits: BTreeMap<String, u64>,
    /// Datagrams, by what became of them, and bytes.
    pub counters: BTreeMap<String, u64>,
}

/// What `POST /v1/accept` has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// So many endpoints were kept that were published no more.
    pub endpoints: usize,
}
