//! Why a change of the cluster is refused: one sentence with the remedy.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::{MacAddr, Vni};

use super::record::{MOST_IPS, MOST_PREFIXES};
use crate::cluster::EndpointId;

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another network has the name.
    #[error(
        "network {name:?} is there already, with VNI {vni} and another definition; delete it first, or choose another name"
    )]
    NetworkExists {
        /// The name.
        name: String,
        /// Its VNI.
        vni: Vni,
    },
    /// Another network has the VNI.
    #[error("VNI {vni} is that of network {network:?}; choose another, or none and let one be chosen")]
    VniTaken {
        /// The VNI.
        vni: Vni,
        /// The network.
        network: String,
    },
    /// All VNIs are taken.
    #[error("no VNI is free; delete a network")]
    NoVni,
    /// There is no such network.
    #[error("there is no network {0:?}; `overlay network list` shows them")]
    NoNetwork(String),
    /// A network has endpoints.
    #[error("network {name:?} has endpoint {id} on node {node:?}; delete its endpoints first")]
    NetworkInUse {
        /// The network.
        name: String,
        /// One of its endpoints.
        id: EndpointId,
        /// Its node.
        node: String,
    },
    /// An address cannot be an endpoint's.
    #[error("{0}")]
    Address(String),
    /// An endpoint has too many addresses.
    #[error("an endpoint has at most {MOST_IPS} addresses, not {0}; leave some out")]
    TooManyAddresses(usize),
    /// A MAC address cannot be a station's.
    #[error("{0} is no station's MAC address; choose one whose first byte is even")]
    NoStation(MacAddr),
    /// A network cannot be of that definition.
    #[error(
        "no network can have these subnets; give 1 to {MOST_PREFIXES} that do not overlap, of addresses that stations can have"
    )]
    NoSubnets,
    /// A node has used up all counts of claims.
    #[error(
        "no more claims can be made: a node has claimed with the highest count there is; make a new cluster, and look for who has its key"
    )]
    Spent,
    /// Another endpoint has the address.
    #[error("{ip} is the address of endpoint {id} on node {node:?}; choose another address")]
    AddressTaken {
        /// The address.
        ip: IpAddr,
        /// Whose it is.
        id: EndpointId,
        /// Its node.
        node: String,
    },
    /// Another endpoint has the MAC address.
    #[error("{mac} is the MAC address of an endpoint on node {node:?}; choose another")]
    MacTaken {
        /// The MAC address.
        mac: MacAddr,
        /// The node.
        node: String,
    },
    /// Every block is leased and has no address left for this node.
    #[error("network {0:?} has no address left for this node; give a larger subnet, or an address by --ip")]
    Exhausted(String),
    /// A block has been claimed, and others have not had time to contradict.
    #[error("addresses of the network are being leased; try again in two seconds")]
    Settling,
    /// The node has all the endpoints it may have.
    #[error("this node has all the endpoints that a node may have; delete some")]
    TooManyEndpoints,
    /// The cluster has all the endpoints it may have.
    #[error(
        "the cluster has {0} endpoints, as many as it may have; delete some, or use the engine \"etcd\", which holds more"
    )]
    FullOfEndpoints(usize),
    /// The cluster has all the networks it may have.
    #[error(
        "the cluster has {0} networks, as many as it may have; delete some, or use the engine \"etcd\", which holds more"
    )]
    FullOfNetworks(usize),
    /// A prefix is none of a network's.
    #[error("{prefix} is no part of a subnet of network {network:?}; `overlay network list` shows them")]
    NotOfNetwork {
        /// The prefix.
        prefix: IpNet,
        /// The network.
        network: String,
    },
    /// An endpoint has an address of a prefix that is to be reserved.
    #[error("{ip} of {prefix} is the address of endpoint {id} on node {node:?}; delete it first")]
    PrefixInUse {
        /// The prefix.
        prefix: IpNet,
        /// The address.
        ip: IpAddr,
        /// Whose it is.
        id: EndpointId,
        /// Its node.
        node: String,
    },
    /// A network has all the reserved prefixes it may have.
    #[error(
        "network {0:?} has as many reserved prefixes as it may have; reserve a larger one that holds several"
    )]
    TooManyReserved(String),
    /// A prefix is not reserved.
    #[error("{prefix} is not reserved in network {network:?}; name the prefix as it was reserved")]
    NotReserved {
        /// The prefix.
        prefix: IpNet,
        /// The network.
        network: String,
    },
    /// The endpoint is another node's.
    #[error("endpoint {id} is on node {node:?}; delete it there")]
    ElsewhereEndpoint {
        /// The endpoint.
        id: EndpointId,
        /// Its node.
        node: String,
    },
    /// There is no such endpoint.
    #[error("there is no endpoint {0}; `overlay endpoint list` shows them")]
    NoEndpoint(EndpointId),
}
