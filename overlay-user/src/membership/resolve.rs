//! From what all nodes publish to one cluster: every node that knows the same finds the same.
//!
//! Where claims conflict, the later one wins (`Stamp`): so what was taken over from a node that was away stays with its
//! new owner when the node comes back. Who loses keeps its record, is listed, and is not forwarded to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;
use overlay_common::MacAddr;

use super::{
    known::Known,
    liveness::Alive,
    record::{EndpointRecord, Key, NetworkRecord, Record, Stamp},
};
use crate::{
    cluster::{Cluster, Endpoint, EndpointId, Network, Node, NodeKind},
    vteps::Vteps,
};

/// The cluster as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The nodes that are there, the networks, and the endpoints that are forwarded to.
    pub cluster: Cluster,
    /// What is published and does not hold.
    pub refused: Vec<Refused>,
}

/// A record that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The node that publishes it.
    pub node: String,
    /// What it is of.
    pub key: Key,
    /// Why it does not hold.
    pub why: Why,
}

/// Why a record does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Why {
    /// Its network is not there, or is another than the one it was made in.
    #[error("its network is gone")]
    NoNetwork,
    /// Its address is none of its network's.
    #[error("its address {0} is none of its network's")]
    Outside(IpAddr),
    /// A later claim has its address.
    #[error("its address {0} has been claimed later by {1}")]
    Address(IpAddr, EndpointId),
    /// A later claim has its MAC address.
    #[error("its MAC address has been claimed later on node {0:?}")]
    Mac(String),
    /// A later network has its VNI.
    #[error("its VNI has been claimed later by network {0:?}")]
    Vni(String),
}

/// How a node is, by its name.
pub type AliveOf<'a> = &'a dyn Fn(&str) -> Alive;

/// The networks by name with the records that hold, deleted ones among them.
pub fn latest_networks(known: &Known) -> BTreeMap<&str, &NetworkRecord> {
    known.index().networks().filter_map(|(name, network)| Some((name, network.latest()?))).collect()
}

/// The record of a network that holds, deleted or not.
pub fn latest_network<'k>(known: &'k Known, name: &str) -> Option<&'k NetworkRecord> {
    known.index().network(name)?.latest()
}

/// Who holds each leased block of a network: the latest claim among those of nodes that are not gone.
pub fn blocks<'k>(known: &'k Known, alive: AliveOf<'_>, network: &str) -> BTreeMap<IpNet, (u64, &'k str)> {
    let claims = known.index().network(network).into_iter().flat_map(|network| network.blocks.keys());
    claims.filter_map(|block| Some((*block, holder(known, alive, network, block)?))).collect()
}

/// Who holds a block.
pub fn holder<'k>(
    known: &'k Known,
    alive: AliveOf<'_>,
    network: &str,
    block: &IpNet,
) -> Option<(u64, &'k str)> {
    let claims = known.index().network(network)?.blocks.get(block)?;
    let claims = claims.iter().filter(|(_, node)| alive(node) < Alive::Gone);
    let latest = claims.map(|(count, node)| (*count, Reverse(&**node))).max()?;
    Some((latest.0, latest.1.0))
}

/// The cluster that all records together make.
pub fn view(known: &Known, alive: AliveOf<'_>) -> View {
    let mut view = View::default();
    (view.cluster.networks, view.refused) = networks(known);
    nodes(known, alive, &mut view);
    endpoints(known, alive, &mut view);
    view.refused.sort_unstable();
    view
}

/// The networks that hold, and those that do not.
pub fn networks(known: &Known) -> (BTreeMap<String, Network>, Vec<Refused>) {
    let mut standing: Vec<(&Stamp, &str, Network)> = latest_networks(known)
        .into_iter()
        .filter_map(|(name, record)| Some((&record.stamp, name, record.network.as_ref()?.named(name)?)))
        .collect();
    standing.sort_unstable_by_key(|(stamp, name, _)| Reverse((*stamp, *name)));
    let (mut networks, mut refused) = (BTreeMap::new(), Vec::new());
    let mut vnis = BTreeMap::new();
    for (stamp, name, network) in standing {
        match vnis.get(&network.vni) {
            Some(holder) => refused.push(Refused {
                node: stamp.node.clone(),
                key: Key::Network(name.to_owned()),
                why: Why::Vni(String::clone(holder)),
            }),
            None => {
                vnis.insert(network.vni, name.to_owned());
                networks.insert(name.to_owned(), network);
            }
        }
    }
    (networks, refused)
}

fn nodes(known: &Known, alive: AliveOf<'_>, view: &mut View) {
    for (name, part) in known.parts().filter(|(name, _)| alive(name).is_visible()) {
        let vteps = part.node().and_then(|node| Vteps::of(node.vteps.iter().copied()));
        if let Some(vteps) = vteps {
            let node = Node { name: name.to_owned(), vteps, kind: NodeKind::Agent };
            view.cluster.nodes.insert(name.to_owned(), node);
        }
    }
}

/// An endpoint that a node publishes.
struct Claim<'k> {
    node: &'k str,
    id: &'k EndpointId,
    record: &'k EndpointRecord,
}

fn endpoints(known: &Known, alive: AliveOf<'_>, view: &mut View) {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    // What is hidden claims nothing: it may be somebody else's by now, and if not, comes back as it was.
    for (node, part) in known.parts().filter(|(node, _)| alive(node).is_visible()) {
        claims.extend(part.records().iter().filter_map(|(key, record)| match (key, record) {
            (Key::Endpoint(id), Record::Endpoint(record)) => Some(Claim { node, id, record }),
            _ => None,
        }));
    }
    claims.sort_unstable_by_key(|claim| (Reverse(claim.record.count), claim.node, claim.id));
    let mut taken = Taken::default();
    for claim in claims {
        match taken.take(&claim, view) {
            Ok(endpoint) => drop(view.cluster.endpoints.insert(claim.id.clone(), endpoint)),
            Err(why) => view.refused.push(Refused {
                node: claim.node.to_owned(),
                key: Key::Endpoint(claim.id.clone()),
                why,
            }),
        }
    }
}

/// What endpoints that hold have.
#[derive(Default)]
struct Taken<'k> {
    ips: HashMap<(&'k str, IpAddr), &'k EndpointId>,
    macs: HashMap<(&'k str, MacAddr), &'k str>,
}

impl<'k> Taken<'k> {
    /// The endpoint of a claim, all of which nobody has yet.
    fn take(&mut self, claim: &Claim<'k>, view: &View) -> Result<Endpoint, Why> {
        let (name, record) = (claim.id.network(), claim.record);
        let network = view.cluster.networks.get(name).filter(|network| network.vni.get() == record.vni);
        let (network, mac) = (network.ok_or(Why::NoNetwork)?, claim.id.mac());
        let mut own = HashSet::new();
        for ip in &record.ips {
            if network.check_address(*ip).is_err() || !own.insert(ip) {
                return Err(Why::Outside(*ip));
            }
            if let Some(holder) = self.ips.get(&(name, *ip)) {
                return Err(Why::Address(*ip, EndpointId::clone(holder)));
            }
        }
        if let Some(holder) = self.macs.get(&(name, mac)) {
            return Err(Why::Mac((*holder).to_owned()));
        }
        self.macs.insert((name, mac), claim.node);
        self.ips.extend(record.ips.iter().map(|ip| ((name, *ip), claim.id)));
        Ok(Endpoint {
            network: name.to_owned(),
            node: claim.node.to_owned(),
            ips: record.ips.clone(),
            mac,
            name: record.name.clone(),
            allowed_ips: Vec::new(),
            allowed_macs: Vec::new(),
            allow_ra: false,
            allow_dhcp_server: false,
        })
    }
}
