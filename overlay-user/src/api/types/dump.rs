//! The rows of `GET /v1/dump/TABLE`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A table that `GET /v1/dump/TABLE` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Where each MAC address of a network is.
    Fdb,
    /// The MAC address of each IP address of a network.
    Neigh,
    /// The VTEPs, and how they are reached.
    Vteps,
    /// The endpoints attached on this node.
    Ports,
    /// Where broadcast goes.
    Flood,
}

/// A row of `dump fdb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FdbRow {
    /// The network, where it is known.
    pub network: Option<String>,
    /// The VNI.
    pub vni: u32,
    /// The MAC address.
    pub mac: String,
    /// `local` or `remote`.
    pub to: String,
    /// The VTEP, if remote.
    pub vtep: Option<String>,
    /// The veth on the host, if local.
    pub ifname: Option<String>,
}

/// A row of `dump neigh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeighRow {
    /// The network, where it is known.
    pub network: Option<String>,
    /// The VNI.
    pub vni: u32,
    /// The IP address.
    pub ip: String,
    /// Its MAC address.
    pub mac: String,
}

/// A row of `dump vteps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VtepRow {
    /// The address of the VTEP.
    pub vtep: String,
    /// Its node, where it is known.
    pub node: Option<String>,
    /// The gateway to it, or itself; none while there is no route.
    pub next_hop: Option<String>,
    /// The MAC address of the next hop, while it is known.
    pub mac: Option<String>,
    /// The output device.
    pub device: Option<String>,
    /// The longest inner IP packet that the way carries.
    pub mtu: Option<u16>,
    /// The networks that it is a member of.
    pub networks: Vec<String>,
}

/// A row of `dump ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortRow {
    /// The veth on the host.
    pub ifname: String,
    /// Its index.
    pub ifindex: u32,
    /// The network, where it is known.
    pub network: Option<String>,
    /// The VNI.
    pub vni: u32,
    /// The MAC addresses it may send from.
    pub macs: Vec<String>,
    /// The addresses it may send from.
    pub allowed: Vec<String>,
}

/// A row of whichever table was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Row {
    /// Of `dump fdb`.
    Fdb(FdbRow),
    /// Of `dump neigh`.
    Neigh(NeighRow),
    /// Of `dump vteps`.
    Vtep(VtepRow),
    /// Of `dump ports`.
    Port(PortRow),
}
