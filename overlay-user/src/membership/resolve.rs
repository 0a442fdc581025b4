//! From what all nodes publish to one cluster: every node that knows the same finds the same.
//!
//! Where claims conflict, the later one wins (`Stamp`): so what was taken over from a node that was away stays with its
//! new owner when the node comes back. Who loses keeps its record, is listed, and is not forwarded to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;
use overlay_common::Vni;

use super::{
    known::Known,
    limits::Limits,
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
    /// The cluster has all that it may have of its kind without it.
    #[error("the cluster has as many as it may have, and it was added last")]
    Full,
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
pub fn view(known: &Known, alive: AliveOf<'_>, limits: Limits) -> View {
    let mut view = View::default();
    (view.cluster.networks, view.refused) = networks(known, limits);
    nodes(known, alive, &mut view);
    endpoints(known, alive, limits, &mut view);
    view.refused.sort_unstable();
    view
}

/// The networks that hold, and those that do not.
pub fn networks(known: &Known, limits: Limits) -> (BTreeMap<String, Network>, Vec<Refused>) {
    let mut claims: Vec<(&Stamp, Network)> = latest_networks(known)
        .into_iter()
        .filter_map(|(name, record)| Some((&record.stamp, record.network.as_ref()?.named(name)?)))
        .collect();
    claims.sort_unstable_by_key(|(stamp, network)| Reverse((*stamp, network.name.clone())));
    let reasons = hold(&claims, limits.networks, |vnis: &mut BTreeMap<Vni, String>, (_, network)| match vnis
        .get(&network.vni)
    {
        Some(holder) => Err(Why::Vni(holder.clone())),
        None => {
            vnis.insert(network.vni, network.name.clone());
            Ok(())
        }
    });
    let (mut networks, mut refused) = (BTreeMap::new(), Vec::new());
    for ((stamp, network), why) in claims.into_iter().zip(reasons) {
        match why {
            Some(why) => {
                refused.push(Refused { node: stamp.node.clone(), key: Key::Network(network.name), why });
            }
            None => drop(networks.insert(network.name.clone(), network)),
        }
    }
    (networks, refused)
}

/// Why each of some claims does not hold, where it does not; the latest come first.
///
/// `take` is asked with what those that hold have taken before. Where more hold than may, the latest do not, and what
/// they have beaten is asked again.
fn hold<C, T: Default>(
    claims: &[C],
    most: usize,
    take: impl Fn(&mut T, &C) -> Result<(), Why>,
) -> Vec<Option<Why>> {
    let mut first = 0;
    loop {
        let mut taken = T::default();
        let mut reasons = vec![Some(Why::Full); first];
        reasons.extend(claims[first..].iter().map(|claim| take(&mut taken, claim).err()));
        let holders = reasons.iter().enumerate().filter(|(_, why)| why.is_none()).map(|(number, _)| number);
        let holders: Vec<usize> = holders.collect();
        let Some(excess) = holders.len().checked_sub(most).filter(|excess| *excess > 0) else {
            return reasons;
        };
        first = holders[excess - 1] + 1;
    }
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

fn endpoints(known: &Known, alive: AliveOf<'_>, limits: Limits, view: &mut View) {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    // What is hidden claims nothing: it may be somebody else's by now, and if not, comes back as it was.
    for (node, part) in known.parts().filter(|(node, _)| alive(node).is_visible()) {
        claims.extend(part.records().iter().filter_map(|(key, record)| match (key, record) {
            (Key::Endpoint(id), Record::Endpoint(record)) => Some(Claim { node, id, record }),
            _ => None,
        }));
    }
    claims.sort_unstable_by_key(|claim| (Reverse(claim.record.count), claim.node, claim.id));
    let networks = &view.cluster.networks;
    let reasons = hold(&claims, limits.endpoints, |taken: &mut Taken<'_>, claim| taken.take(claim, networks));
    let mut endpoints = Vec::with_capacity(claims.len());
    for (claim, why) in claims.iter().zip(reasons) {
        match why {
            None => endpoints.push((claim.id.clone(), claim.endpoint())),
            Some(why) => view.refused.push(Refused {
                node: claim.node.to_owned(),
                key: Key::Endpoint(claim.id.clone()),
                why,
            }),
        }
    }
    view.cluster.endpoints = endpoints.into_iter().collect();
}

impl Claim<'_> {
    fn endpoint(&self) -> Endpoint {
        Endpoint {
            network: self.id.network().to_owned(),
            node: self.node.to_owned(),
            ips: self.record.ips.clone(),
            mac: self.id.mac(),
            name: self.record.name.clone(),
            allowed_ips: Vec::new(),
            allowed_macs: Vec::new(),
            allow_ra: false,
            allow_dhcp_server: false,
        }
    }
}

/// What endpoints that hold have.
#[derive(Default)]
struct Taken<'k> {
    ips: HashMap<(&'k str, IpAddr), &'k EndpointId>,
    /// By identity, which is the network and the MAC address.
    macs: HashMap<&'k EndpointId, &'k str>,
}

impl<'k> Taken<'k> {
    /// Takes what a claim asks for, where all of it can be and nobody has any of it yet.
    fn take(&mut self, claim: &Claim<'k>, networks: &BTreeMap<String, Network>) -> Result<(), Why> {
        let (name, record) = (claim.id.network(), claim.record);
        let network = networks.get(name).filter(|network| network.vni.get() == record.vni);
        let network = network.ok_or(Why::NoNetwork)?;
        for (place, ip) in record.ips.iter().enumerate() {
            if network.check_address(*ip).is_err() || record.ips[..place].contains(ip) {
                return Err(Why::Outside(*ip));
            }
            if let Some(holder) = self.ips.get(&(name, *ip)) {
                return Err(Why::Address(*ip, EndpointId::clone(holder)));
            }
        }
        if let Some(holder) = self.macs.get(claim.id) {
            return Err(Why::Mac((*holder).to_owned()));
        }
        self.macs.insert(claim.id, claim.node);
        self.ips.extend(record.ips.iter().map(|ip| ((name, *ip), claim.id)));
        Ok(())
    }
}
