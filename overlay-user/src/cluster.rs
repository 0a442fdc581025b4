//! The cluster as everybody sees it: nodes, networks and the endpoint table.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use overlay_common::{MacAddr, Vni};
use serde::{Deserialize, Serialize};

use crate::{
    document::{Document, DocumentError},
    vteps::Vteps,
};

mod address;
mod block;
mod endpoint;
mod id;
mod name;
mod network;
mod node;
#[cfg(test)]
mod tests;
mod unique;
mod ways;

pub(crate) use self::{address::not_unicast, endpoint::derived_mac, name::check_name, node::read_vteps};
pub use self::{
    block::{endpoint_block, network_block},
    id::{EndpointId, InvalidEndpointId},
};

/// The whole cluster, valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// The networks by name.
    pub networks: BTreeMap<String, Network>,
    /// The endpoints of all nodes.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its addresses on the underlay.
    pub vteps: Vteps,
    /// What runs there.
    pub kind: NodeKind,
}

/// What runs on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// The agent.
    #[default]
    Agent,
    /// A plain VXLAN device that is not ours.
    External,
}

/// One isolated L2 segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its VNI.
    pub vni: Vni,
    /// The subnets its endpoints have addresses in; no two overlap.
    pub subnets: Vec<IpNet>,
    /// The addresses of its gateway, which no endpoint may have.
    pub gateways: Vec<IpAddr>,
    /// The MTU of its endpoints, where the underlay allows it.
    pub mtu: Option<u16>,
    /// Whether its frames may cross the underlay only encrypted.
    pub encrypted: bool,
    /// Whether frames for unknown MAC addresses are flooded.
    pub flood: bool,
    /// Whether multicast is forwarded.
    pub multicast: bool,
    /// Whether the hosts reach its endpoints.
    pub host: bool,
    /// Whether its endpoints reach what is outside the overlay.
    pub egress: bool,
    /// Whether it has no gateway on purpose.
    pub internal: bool,
}

/// A container's interface and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of its network.
    pub network: String,
    /// The name of its node.
    pub node: String,
    /// Its addresses, at least one.
    pub ips: Vec<IpAddr>,
    /// Its MAC address.
    pub mac: MacAddr,
    /// A name to choose it by.
    pub name: Option<String>,
    /// What it may send from besides its own addresses.
    pub allowed_ips: Vec<IpNet>,
    /// The MAC addresses that are behind it besides its own.
    pub allowed_macs: Vec<MacAddr>,
    /// Whether it may send router advertisements.
    pub allow_ra: bool,
    /// Whether it may answer as a DHCP server.
    pub allow_dhcp_server: bool,
}

impl Cluster {
    /// Reads the text of a cluster.toml; the error is the first of them.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let document = Document::parse(text)?;
        let root = document.root();
        root.only(&["node", "network", "endpoint"])?;
        let nodes = node::read_all(&root)?;
        let networks = network::read_all(&root)?;
        let endpoints = endpoint::read_all(&root, &nodes, &networks)?;
        Ok(Self { nodes, networks, endpoints })
    }

    /// The lowest address of the network that no endpoint and no gateway has.
    pub fn free_address(&self, network: &Network) -> Option<IpAddr> {
        let endpoints = self.endpoints.values().filter(|endpoint| endpoint.network == network.name);
        let mut taken: BTreeSet<IpAddr> =
            endpoints.flat_map(|endpoint| endpoint.ips.iter().copied()).collect();
        taken.extend(&network.gateways);
        // The first address of an IPv6 subnet is that of all its routers (RFC 4291 section 2.6.1).
        taken.extend(network.subnets.iter().filter(|subnet| subnet.network().is_ipv6()).map(IpNet::network));
        // Looking at one address more than are taken is enough, and a subnet of IPv6 has no end.
        network
            .subnets
            .iter()
            .flat_map(|subnet| subnet.hosts().take(taken.len() + 1))
            .find(|ip| !taken.contains(ip))
    }
}

impl Network {
    /// The subnet that `ip` lies in.
    pub fn subnet_of(&self, ip: IpAddr) -> Option<&IpNet> {
        self.subnets.iter().find(|subnet| subnet.contains(&ip))
    }

    /// Whether the network has a subnet of IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.subnets.iter().any(|subnet| matches!(subnet, IpNet::V6(_)))
    }
}

impl Endpoint {
    /// The endpoint's identity, which its network and its MAC address make.
    pub fn id(&self) -> EndpointId {
        EndpointId::new(&self.network, self.mac)
    }

    /// All MAC addresses of the endpoint, its own first.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> + '_ {
        std::iter::once(self.mac).chain(self.allowed_macs.iter().copied())
    }

    /// The endpoint's addresses with the prefix lengths of the subnets they lie in.
    pub fn addresses_with_prefix(&self, network: &Network) -> Vec<IpNet> {
        self.ips
            .iter()
            .filter_map(|ip| {
                let subnet = network.subnet_of(*ip)?;
                IpNet::new(*ip, subnet.prefix_len()).ok()
            })
            .collect()
    }
}
