//! `State::find_declared`: the endpoint of this node that a container's interface is to become.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::MacAddr;

use super::State;
use crate::{
    cluster::{Cluster, Endpoint, EndpointId, Network, endpoint_block},
    words::{list, quoted, suggestion},
};

/// What a person wants to bind, as written.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The name of the network.
    pub network: &'a str,
    /// Addresses with or without prefix length.
    pub ips: &'a [String],
    /// The MAC address.
    pub mac: Option<&'a str>,
    /// The name of the endpoint.
    pub name: Option<&'a str>,
}

/// Why no endpoint can be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The source has not delivered a cluster.
    #[error("no cluster is known yet; `overlay status` says why")]
    NoCluster,
    /// This node is not in the cluster.
    #[error("no [[node]] of the cluster is named {node}, as this node is; add it, or correct node.name")]
    UnknownNode {
        /// This node, in quotes.
        node: String,
    },
    /// The network is not in the cluster.
    #[error("there is no network {network}; {remedy}")]
    UnknownNetwork {
        /// The network as wanted, in quotes.
        network: String,
        /// The nearest network, or all of them.
        remedy: String,
    },
    /// No endpoint of the network can have the address.
    #[error("--ip: {0}")]
    InvalidIp(String),
    /// The MAC address is not one.
    #[error("--mac: {0} is no MAC address; write it like 02:42:0a:01:00:01")]
    InvalidMac(String),
    /// The cluster declares no such endpoint.
    #[error(
        "no endpoint{which} is declared for network {network} on node {node}; add this to the cluster file:\n\n{block}"
    )]
    NotDeclared {
        /// What it was chosen by, after a space; empty when by nothing.
        which: String,
        /// The network, in quotes.
        network: String,
        /// This node, in quotes.
        node: String,
        /// The block that declares it.
        block: String,
    },
    /// The endpoint is declared for another node.
    #[error(
        "the endpoint{which} is declared for node {node}; add it there, or change its node in the cluster file"
    )]
    OtherNode {
        /// What it was chosen by, after a space.
        which: String,
        /// The node it is declared for, in quotes.
        node: String,
    },
    /// Several endpoints of this node fit.
    #[error("several endpoints of this node fit; choose one by --ip or --name: {candidates}")]
    Ambiguous {
        /// The endpoints that fit.
        candidates: String,
    },
    /// Two of the choices do not belong to one endpoint.
    #[error("{one} and {other} do not belong to one endpoint; choose by what belongs to one")]
    Disagree {
        /// One choice.
        one: String,
        /// The other choice.
        other: String,
    },
    /// The MAC address is not the endpoint's.
    #[error("--mac: the endpoint has {declared}, not {wanted}; leave --mac out, or change the cluster file")]
    MacDiffers {
        /// The MAC address as wanted.
        wanted: MacAddr,
        /// The endpoint's own.
        declared: MacAddr,
    },
}

/// What a person wants to bind, read.
struct Choice<'a> {
    ips: Vec<IpAddr>,
    mac: Option<MacAddr>,
    name: Option<&'a str>,
}

impl State {
    /// Finds the endpoint of this node that is wanted.
    ///
    /// An address chooses it, else its name, else its MAC address, else it is the only one of this node in the
    /// network; whatever else is given must fit it.
    pub fn find_declared(&self, wanted: &Wanted<'_>) -> Result<&Endpoint, BindError> {
        let cluster = self.cluster().ok_or(BindError::NoCluster)?;
        if !cluster.nodes.contains_key(&self.node_name) {
            return Err(BindError::UnknownNode { node: quoted(&self.node_name) });
        }
        let network =
            cluster.networks.get(wanted.network).ok_or_else(|| unknown_network(cluster, wanted.network))?;
        let choice = Choice::read(wanted, network)?;
        let fitting: Vec<&Endpoint> = match choice.id(network) {
            Some(id) => cluster.endpoints.get(&id).into_iter().collect(),
            None => {
                let endpoints = cluster.endpoints.values();
                endpoints.filter(|other| other.network == network.name && choice.selects(other)).collect()
            }
        };
        let here: Vec<&Endpoint> =
            fitting.iter().copied().filter(|endpoint| endpoint.node == self.node_name).collect();
        match (here.as_slice(), fitting.first()) {
            ([endpoint], _) => choice.check(endpoint).map(|()| *endpoint),
            ([_, _, ..], _) => {
                Err(BindError::Ambiguous { candidates: list(here.iter().map(|endpoint| describe(endpoint))) })
            }
            ([], Some(elsewhere)) if !choice.which().is_empty() => {
                choice.check(elsewhere)?;
                Err(BindError::OtherNode { which: choice.which(), node: quoted(&elsewhere.node) })
            }
            ([], _) => Err(self.not_declared(cluster, network, &choice)),
        }
    }

    fn not_declared(&self, cluster: &Cluster, network: &Network, choice: &Choice<'_>) -> BindError {
        let ips = match choice.ips.as_slice() {
            [] => cluster.free_address(network).into_iter().collect(),
            ips => ips.to_vec(),
        };
        BindError::NotDeclared {
            which: choice.which(),
            network: quoted(&network.name),
            node: quoted(&self.node_name),
            block: endpoint_block(&network.name, &self.node_name, &ips, choice.mac, choice.name),
        }
    }
}

impl<'a> Choice<'a> {
    fn read(wanted: &Wanted<'a>, network: &Network) -> Result<Self, BindError> {
        let ips = read_ips(wanted.ips, network)?;
        Ok(Self { ips, mac: wanted.mac.map(read_mac).transpose()?, name: wanted.name })
    }

    /// Whether what chooses before everything else chooses this endpoint.
    fn selects(&self, endpoint: &Endpoint) -> bool {
        match (self.ips.first(), self.name, self.mac) {
            (Some(ip), _, _) => endpoint.ips.contains(ip),
            (None, Some(name), _) => endpoint.name.as_deref() == Some(name),
            (None, None, Some(mac)) => endpoint.mac == mac,
            (None, None, None) => true,
        }
    }

    /// The only endpoint that can be chosen, where that is plain.
    fn id(&self, network: &Network) -> Option<EndpointId> {
        let by_mac = self.ips.is_empty() && self.name.is_none();
        self.mac.filter(|_| by_mac).map(|mac| EndpointId::new(&network.name, mac))
    }

    /// What chooses before everything else, after a space.
    fn which(&self) -> String {
        match (self.ips.first(), self.name, self.mac) {
            (Some(ip), _, _) => format!(" with {ip}"),
            (None, Some(name), _) => format!(" named {}", quoted(name)),
            (None, None, Some(mac)) => format!(" with {mac}"),
            (None, None, None) => String::new(),
        }
    }

    /// Checks that everything given fits the endpoint that was chosen.
    fn check(&self, endpoint: &Endpoint) -> Result<(), BindError> {
        if let Some(other) = self.ips.iter().find(|ip| !endpoint.ips.contains(ip)) {
            return Err(BindError::Disagree {
                one: format!("--ip {}", self.ips[0]),
                other: format!("--ip {other}"),
            });
        }
        match self.name {
            Some(name) if endpoint.name.as_deref() != Some(name) => {
                let one = format!("--ip {}", self.ips[0]);
                return Err(BindError::Disagree { one, other: format!("--name {}", quoted(name)) });
            }
            Some(_) | None => {}
        }
        match self.mac {
            Some(wanted) if wanted != endpoint.mac => {
                Err(BindError::MacDiffers { wanted, declared: endpoint.mac })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Reads the addresses that an endpoint of the network is to have.
///
/// # Errors
///
/// Where one cannot be an endpoint's.
pub fn read_ips(texts: &[String], network: &Network) -> Result<Vec<IpAddr>, BindError> {
    texts.iter().map(|text| read_ip(text, network)).collect()
}

/// Reads a MAC address.
///
/// # Errors
///
/// Where it is none.
pub fn read_mac(text: &str) -> Result<MacAddr, BindError> {
    text.parse().map_err(|_| BindError::InvalidMac(quoted(text)))
}

/// What is said of a network that is not there.
pub fn unknown_network(cluster: &Cluster, network: &str) -> BindError {
    let remedy = if cluster.networks.is_empty() {
        "create it first, or with engine \"file\" add it to the cluster file as a [[network]]".to_owned()
    } else {
        suggestion(network, cluster.networks.keys().map(String::as_str), "networks")
    };
    BindError::UnknownNetwork { network: quoted(network), remedy }
}

/// Reads an address that an endpoint of the network can have; a prefix length must be that of its subnet.
fn read_ip(text: &str, network: &Network) -> Result<IpAddr, BindError> {
    let no_ip =
        || BindError::InvalidIp(format!("{} is no IP address; write it like 10.1.0.7/24", quoted(text)));
    let with_length: Option<IpNet> = text.parse().ok();
    let ip = match with_length {
        Some(prefix) => prefix.addr(),
        None => text.parse().map_err(|_| no_ip())?,
    };
    network.check_address(ip).map_err(BindError::InvalidIp)?;
    match (with_length, network.subnet_of(ip)) {
        (Some(wanted), Some(subnet)) if wanted.prefix_len() != subnet.prefix_len() => {
            let length = subnet.prefix_len();
            Err(BindError::InvalidIp(format!("{wanted} is not of the subnet {subnet}; write {ip}/{length}")))
        }
        (Some(_) | None, _) => Ok(ip),
    }
}

/// The endpoint as a person can choose it.
fn describe(endpoint: &Endpoint) -> String {
    let ips = list(&endpoint.ips);
    endpoint.name.as_ref().map_or(ips.clone(), |name| format!("{name} ({ips})"))
}
