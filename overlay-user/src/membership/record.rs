//! What a node publishes of its own: keys and values of its part of the gossip.
//!
//! A node writes its own part only, so nothing is ever written by two. What several nodes want, an address, a block, a
//! VNI or a network's name, each of them claims, and every node finds the same winner (`resolve`).
//!
//! What a later version adds, a key or a field, an earlier one passes over: nodes of both work together.

use std::{cmp::Reverse, fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use overlay_common::Vni;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::cluster::{EndpointId, Network, check_name, not_unicast};

/// The longest value in bytes: an endpoint of eight prefixes has a quarter of it.
pub const MOST_BYTES: usize = 2048;
/// The most subnets of a network, the most gateways and the most reserved prefixes.
pub(super) const MOST_PREFIXES: usize = 8;
/// The most addresses of an endpoint.
pub(super) const MOST_IPS: usize = 8;
/// The highest count that is believed. A node that knows a claim of it makes none that its peers would not believe.
pub(super) const MOST_COUNT: u64 = 1 << 62;

/// When a claim was made, by a Lamport clock, and by whom: no two claims of different nodes are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// One more than that of any claim its maker knew.
    pub count: u64,
    /// The name of the node that made it.
    pub node: String,
}

impl Stamp {
    /// Orders claims: a later one is greater; of equals, that of the node whose name sorts first.
    fn rank(&self) -> (u64, Reverse<&str>) {
        (self.count, Reverse(&self.node))
    }
}

impl Ord for Stamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Stamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What a record is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The node itself.
    Node,
    /// A network by its name: made, deleted, or carried for who made or deleted it.
    Network(String),
    /// An endpoint on the node.
    Endpoint(EndpointId),
    /// A block of a network's addresses, leased to the node.
    Block(String, IpNet),
}

impl Key {
    /// The endpoint, where it is one's.
    pub const fn endpoint(&self) -> Option<&EndpointId> {
        match self {
            Self::Endpoint(id) => Some(id),
            Self::Node | Self::Network(_) | Self::Block(..) => None,
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Of `Key::Node`.
    Node(NodeRecord),
    /// Of `Key::Network`.
    Network(NetworkRecord),
    /// Of `Key::Endpoint`.
    Endpoint(EndpointRecord),
    /// Of `Key::Block`.
    Block(BlockRecord),
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its addresses on the underlay, the preferred one first.
    pub vteps: Vec<IpAddr>,
    /// The version of its agent.
    pub version: String,
    /// What it is about to do.
    pub mode: Mode,
    /// Grows each time the node publishes: its own record is always the last of what it has published.
    #[serde(default)]
    pub seq: u64,
    /// The keys of the gossip that it has, the one that it seals with first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// What a node is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// To stay.
    Up,
    /// To come back: its silence means nothing for a while.
    Upgrading,
    /// To go for good.
    Leaving,
}

/// A network, or that there is none of that name any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// When it was made or deleted; whoever carries the record leaves it.
    pub stamp: Stamp,
    /// What it is; none where it was deleted.
    pub network: Option<Definition>,
}

/// What a network is, but for its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its VNI.
    pub vni: u32,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Its gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// Prefixes that no address is leased from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<IpNet>,
    /// The MTU of its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Whether it has no gateway on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
}

impl Definition {
    /// The network of that name.
    pub fn named(&self, name: &str) -> Option<Network> {
        Some(Network {
            name: name.to_owned(),
            vni: Vni::new(self.vni).ok()?,
            subnets: self.subnets.clone(),
            gateways: self.gateways.clone(),
            mtu: self.mtu,
            encrypted: false,
            flood: false,
            multicast: true,
            host: false,
            egress: false,
            internal: self.internal,
        })
    }
}

/// An endpoint; its network and MAC address are its key's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The count of its claim.
    pub count: u64,
    /// The VNI that its network had when it was made: it is no endpoint of a later network of that name with another.
    pub vni: u32,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// A name to choose it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A leased block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// The count of its claim.
    pub count: u64,
}

/// Why a key or a value of a peer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// A key of a later version, or of none.
    #[error("an unknown key")]
    Key,
    /// A value that is too long, is not what its key says, or says what cannot be.
    #[error("a value that its key does not allow")]
    Value,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Network(name) => write!(f, "network/{name}"),
            Self::Endpoint(id) => write!(f, "endpoint/{id}"),
            Self::Block(network, block) => write!(f, "block/{network}/{block}"),
        }
    }
}

impl FromStr for Key {
    type Err = Unbelieved;

    fn from_str(text: &str) -> Result<Self, Unbelieved> {
        let name =
            |name: &str| check_name(name, false).map(|()| name.to_owned()).map_err(|_| Unbelieved::Key);
        match text.split_once('/') {
            None if text == "node" => Ok(Self::Node),
            Some(("network", rest)) => Ok(Self::Network(name(rest)?)),
            Some(("endpoint", id)) => Ok(Self::Endpoint(id.parse().map_err(|_| Unbelieved::Key)?)),
            Some(("block", rest)) => {
                let (network, block) = rest.split_once('/').ok_or(Unbelieved::Key)?;
                let block: IpNet = block.parse().map_err(|_| Unbelieved::Key)?;
                if block.trunc() != block {
                    return Err(Unbelieved::Key);
                }
                Ok(Self::Block(name(network)?, block))
            }
            _ => Err(Unbelieved::Key),
        }
    }
}

impl Record {
    /// The value as it is published.
    pub fn text(&self) -> String {
        let text = match self {
            Self::Node(record) => serde_json::to_string(record),
            Self::Network(record) => serde_json::to_string(record),
            Self::Endpoint(record) => serde_json::to_string(record),
            Self::Block(record) => serde_json::to_string(record),
        };
        // Their fields are texts, numbers and lists of them, which JSON has.
        text.unwrap_or_default()
    }

    /// The record that a peer publishes under a key.
    pub fn parse(key: &Key, text: &str) -> Result<Self, Unbelieved> {
        if text.len() > MOST_BYTES {
            return Err(Unbelieved::Value);
        }
        let record = match key {
            Key::Node => Self::Node(value(text)?),
            Key::Network(_) => Self::Network(value(text)?),
            // That of no station is nobody's identity.
            Key::Endpoint(id) if !id.mac().is_unicast() => return Err(Unbelieved::Key),
            Key::Endpoint(_) => Self::Endpoint(value(text)?),
            Key::Block(..) => Self::Block(value(text)?),
        };
        if record.count() <= MOST_COUNT && record.is_sound() { Ok(record) } else { Err(Unbelieved::Value) }
    }

    /// The count of its claim; 0 where it claims nothing.
    pub fn count(&self) -> u64 {
        match self {
            Self::Node(_) => 0,
            Self::Network(record) => record.stamp.count,
            Self::Endpoint(record) => record.count,
            Self::Block(record) => record.count,
        }
    }

    /// Whether it can be at all, as far as it alone tells.
    pub(super) fn is_sound(&self) -> bool {
        let named = |name: &str| check_name(name, true).is_ok();
        match self {
            Self::Node(record) => {
                (1..=2).contains(&record.vteps.len())
                    && record.version.len() <= 32
                    && named(&record.version)
                    && record.seq <= MOST_COUNT
                    && record.keys.len() <= 8
                    && record.keys.iter().all(|key| key.len() <= 16 && named(key))
            }
            Self::Network(record) => {
                named(&record.stamp.node)
                    && record.network.as_ref().is_none_or(|network| {
                        Vni::new(network.vni).is_ok_and(|vni| vni.get() != Vni::ANCHOR)
                            && (1..=MOST_PREFIXES).contains(&network.subnets.len())
                            && are_subnets(&network.subnets)
                            && network.gateways.len() <= MOST_PREFIXES
                            && network.reserved.len() <= MOST_PREFIXES
                    })
            }
            Self::Endpoint(record) => {
                (1..=MOST_IPS).contains(&record.ips.len()) && record.name.as_deref().is_none_or(named)
            }
            Self::Block(_) => true,
        }
    }
}

/// Whether prefixes can be the subnets of a network, as a cluster file's must.
fn are_subnets(prefixes: &[IpNet]) -> bool {
    let is_subnet = |prefix: &IpNet| {
        prefix.prefix_len() > 0
            && prefix.trunc() == *prefix
            && [prefix.network(), prefix.broadcast()].into_iter().all(|ip| not_unicast(ip).is_none())
    };
    let overlap = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    prefixes.iter().all(is_subnet)
        && prefixes
            .iter()
            .enumerate()
            .all(|(place, one)| !prefixes[..place].iter().any(|other| overlap(one, other)))
}

fn value<T: DeserializeOwned>(text: &str) -> Result<T, Unbelieved> {
    serde_json::from_str(text).map_err(|_| Unbelieved::Value)
}
