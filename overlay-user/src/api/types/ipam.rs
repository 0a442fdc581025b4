//! How the addresses of networks are used.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the addresses of a network are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpamInfo {
    /// The network.
    pub network: String,
    /// Each of its subnets.
    pub subnets: Vec<SubnetInfo>,
}

/// How the addresses of a subnet are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubnetInfo {
    /// The subnet.
    pub subnet: String,
    /// How many addresses it has; of IPv6, 2^64 - 1 for all above.
    pub size: u64,
    /// What of it is reserved.
    pub reserved: Vec<String>,
    /// The gateways in it.
    pub gateways: Vec<String>,
    /// Its blocks that are leased.
    pub blocks: Vec<BlockInfo>,
    /// How many addresses outside of them endpoints have.
    pub used_outside_blocks: usize,
}

/// How the addresses of a block are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockInfo {
    /// The block.
    pub block: String,
    /// The node that has it.
    pub node: String,
    /// How it has it: `held`, `settling`, or `reclaimable` where the node is gone.
    pub state: String,
    /// How many of its addresses endpoints have.
    pub used: usize,
    /// How many addresses it has.
    pub size: u64,
}

/// Something that is wrong with the use of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IpamFault {
    /// A short name for machines.
    pub code: String,
    /// What is wrong, and the remedy.
    pub message: String,
}

/// `POST /v1/ipam/NETWORK/reserved` and `DELETE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// The prefix.
    pub prefix: String,
    /// Whether it is reserved no longer.
    #[serde(default)]
    pub end: bool,
}
