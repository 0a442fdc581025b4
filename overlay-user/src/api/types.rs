//! What travels over the API. Keys are stable; more may be added.

mod cluster;
mod dump;
mod ipam;

pub use cluster::{
    Accepted, Change, ChangeKind, GossipStatus, KeyInfo, KeyInstall, KeyInstalled, NodeInfo, NodeState,
};
pub use dump::{FdbRow, NeighRow, PortRow, Row, Table, VtepRow};
pub use ipam::{BlockInfo, IpamFault, IpamInfo, Reserve, SubnetInfo};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Whether the node does all that it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It does.
    Healthy,
    /// `problems` says what is wrong.
    Degraded,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Whether the node does all that it should.
    pub state: Health,
    /// The node.
    pub node: StatusNode,
    /// What is wrong, and what to do.
    pub problems: Vec<Problem>,
    /// The programs in the kernel.
    pub programs: Vec<Program>,
    /// Frames that the programs sent on or answered, by what became of them.
    #[serde(default)]
    pub forwarded: BTreeMap<String, u64>,
    /// How often the tables in the kernel were compared with what they should hold.
    pub audit: Audit,
    /// Where the cluster comes from.
    pub source: SourceStatus,
    /// The gossip, where the cluster comes from it.
    #[serde(default)]
    pub gossip: Option<GossipStatus>,
    /// How much there is of everything.
    pub counts: Counts,
    /// The version of the agent.
    pub version: String,
    /// The version of the ABI between the agent and the kernel programs.
    pub abi: u32,
}

/// The node in a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusNode {
    /// Its name.
    pub name: String,
    /// The preferred address of its VTEP, once it is known.
    pub vtep: Option<String>,
    /// All addresses of its VTEP.
    #[serde(default)]
    pub vteps: Vec<String>,
    /// The name of the underlay device, once it is known.
    pub underlay: Option<String>,
    /// The MTU of its endpoints, once it is known.
    pub mtu: Option<u16>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A short name for machines.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// A program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The kernel's number of it.
    pub id: u32,
    /// The device it is attached to.
    pub device: String,
    /// The hook, such as `tcx ingress`.
    pub hook: String,
}

/// The audit: what is installed, compared with what should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Audit {
    /// How often it ran.
    pub runs: u64,
    /// How much it repaired.
    pub repaired: u64,
    /// When it last ran, in seconds since 1970 (UTC).
    pub last: Option<u64>,
    /// How much it repaired of each kind: a table, `link`, `veth`, `neighbour`.
    #[serde(default)]
    pub by_kind: BTreeMap<String, u64>,
    /// What it repaired last, the latest at the end; not more than twenty.
    #[serde(default)]
    pub recent: Vec<Repair>,
}

/// Something that another had changed, and that was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repair {
    /// When, in seconds since 1970 (UTC).
    pub at: Option<u64>,
    /// Its kind: a table, `link`, `veth`, `neighbour`.
    pub kind: String,
    /// What it was, and what had been done to it.
    pub what: String,
}

/// Where the cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceStatus {
    /// Its name.
    pub engine: String,
    /// Whether its last content was good. If not, the last good one holds.
    pub ok: bool,
    /// What was wrong.
    pub error: Option<String>,
    /// In which line, from 1.
    pub line: Option<usize>,
    /// In which column, from 1.
    pub column: Option<usize>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Nodes, with this one.
    pub nodes: usize,
    /// Networks.
    pub networks: usize,
    /// Endpoints of all nodes.
    pub endpoints: usize,
    /// Endpoints that are attached on this node.
    pub ports: usize,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkInfo {
    /// Its name.
    pub name: String,
    /// Its VXLAN network identifier.
    pub vni: u32,
    /// Its subnets.
    pub subnets: Vec<String>,
    /// The addresses of its gateways.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// The MTU of its endpoints, once it is known.
    pub mtu: Option<u16>,
    /// Whether its frames are encrypted between nodes.
    pub encrypted: bool,
}

/// `POST /v1/networks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkCreate {
    /// Its name.
    pub name: String,
    /// Its VXLAN network identifier; without one the agent chooses.
    #[serde(default)]
    pub vni: Option<u32>,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// The addresses of its gateway, which no endpoint gets; at most eight.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// The MTU of its endpoints.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Whether its frames are encrypted between nodes.
    #[serde(default)]
    pub encrypted: bool,
}

/// How far an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Attached on this node.
    Ready,
    /// Of this node, but no container is attached.
    Unbound,
    /// Of another node.
    Remote,
    /// It lost a conflict with another one, and is not forwarded to.
    Quarantined,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndpointInfo {
    /// Its identifier.
    pub id: String,
    /// Its network.
    pub network: String,
    /// Its node.
    pub node: String,
    /// The name of its interface in the container, while it is attached here.
    pub ifname: Option<String>,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses.
    pub ips: Vec<String>,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is of this node.
    pub local: bool,
    /// How far it is.
    pub state: EndpointState,
    /// The path of the container's network namespace, while it is attached here.
    #[serde(default)]
    pub netns: Option<String>,
    /// The name of the veth on the host, while it is attached here.
    #[serde(default)]
    pub host_ifname: Option<String>,
    /// Why it is not forwarded to, where it is not.
    #[serde(default)]
    pub why: Option<String>,
}

/// `POST /v1/endpoints`. An rtnetlink socket of the namespace and the namespace come as descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointAdd {
    /// The network.
    pub network: String,
    /// The name of the interface in the container.
    pub ifname: String,
    /// The addresses, with or without length.
    #[serde(default)]
    pub ips: Vec<String>,
    /// The MAC address.
    #[serde(default)]
    pub mac: Option<String>,
    /// The name of the endpoint.
    #[serde(default)]
    pub name: Option<String>,
    /// The path of the namespace, to show and to open it again.
    pub netns: String,
}

/// A drop counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropInfo {
    /// Why frames were dropped.
    pub reason: String,
    /// Of which network, where that is known.
    pub network: Option<String>,
    /// How many frames.
    pub count: u64,
}

/// What every refusal carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong and what to do, in one sentence.
    pub error: String,
}
