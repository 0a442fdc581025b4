//! How the addresses of a network are used, and what is wrong with that.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::cluster::EndpointId;

/// How the addresses of a network are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipam {
    /// The network.
    pub network: String,
    /// Each of its subnets.
    pub subnets: Vec<SubnetUse>,
}

/// How the addresses of a subnet are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubnetUse {
    /// The subnet.
    pub subnet: IpNet,
    /// How many addresses it has, those that no endpoint may have among them.
    pub size: u128,
    /// What of it is reserved.
    pub reserved: Vec<IpNet>,
    /// The gateways in it.
    pub gateways: Vec<IpAddr>,
    /// Its blocks that are leased.
    pub blocks: Vec<BlockUse>,
    /// How many addresses outside of them endpoints have.
    pub used_outside_blocks: usize,
}

/// How the addresses of a block are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockUse {
    /// The block.
    pub block: IpNet,
    /// The node that has it.
    pub node: String,
    /// How it has it.
    pub state: BlockState,
    /// How many of its addresses endpoints have, whosoever they are.
    pub used: usize,
    /// How many addresses it has.
    pub size: u128,
}

/// How a node has a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockState {
    /// It gives addresses of it away.
    Held,
    /// It has claimed it, and waits whether others contradict.
    Settling,
    /// It is gone: whoever needs the block may have it.
    Reclaimable,
}

/// An endpoint and its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// The endpoint.
    pub id: EndpointId,
    /// The node that publishes it.
    pub node: String,
}

/// What is wrong with the use of addresses: a sentence with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum IpamProblem {
    /// Two endpoints have an address.
    #[error(
        "{ip} is the address of endpoint {} on node {:?} and of {} on {:?}; delete one of them",
        holders[0].id, holders[0].node, holders[1].id, holders[1].node
    )]
    AddressTwice {
        /// The network.
        network: String,
        /// The address.
        ip: IpAddr,
        /// The endpoints; of more than two, the first ones.
        holders: [Holder; 2],
    },
    /// Two endpoints of a network have a MAC address, and so one identity.
    #[error(
        "the MAC address of endpoint {id} is that of one on node {:?} and of one on {:?}; delete one of them",
        nodes[0], nodes[1]
    )]
    MacTwice {
        /// Their identity.
        id: EndpointId,
        /// The nodes; of more than two, the first ones.
        nodes: [String; 2],
    },
    /// An endpoint's address cannot be one of its network.
    #[error("endpoint {id} on node {node:?} has the address {ip}: {why}")]
    Outside {
        /// The endpoint.
        id: EndpointId,
        /// Its node.
        node: String,
        /// The address.
        ip: IpAddr,
        /// Why, and the remedy.
        why: String,
    },
    /// An endpoint has an address of another node's block that this one has given away, too.
    #[error(
        "endpoint {} on node {:?} has the address {ip}, which node {owner:?} has given away of its block {block}; delete it and add it again",
        holder.id, holder.node
    )]
    ForeignAddress {
        /// The address.
        ip: IpAddr,
        /// The endpoint and its node.
        holder: Holder,
        /// The block.
        block: IpNet,
        /// The node that has the block.
        owner: String,
    },
    /// Nodes claim one block.
    #[error(
        "block {block} of network {network:?} is claimed by nodes {:?} and {:?}; one takes its claim back within seconds, unless its agent is down: start it",
        nodes[0], nodes[1]
    )]
    BlockTwice {
        /// The network.
        network: String,
        /// The block.
        block: IpNet,
        /// The nodes; of more than two, the first ones.
        nodes: [String; 2],
    },
    /// A node that is gone has a block.
    #[error(
        "block {block} of network {network:?} is that of node {node:?}, which is gone; others take it when they need it, so do nothing"
    )]
    BlockOfGone {
        /// The network.
        network: String,
        /// The block.
        block: IpNet,
        /// The node.
        node: String,
    },
    /// An endpoint's network is not there, or is another than it was made in.
    #[error(
        "endpoint {id} on node {node:?} has no network; delete it, or make the network again with VNI {vni}"
    )]
    NoNetwork {
        /// The endpoint.
        id: EndpointId,
        /// Its node.
        node: String,
        /// The VNI of its network.
        vni: u32,
    },
}
