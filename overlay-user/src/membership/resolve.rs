//! From what all nodes publish to one cluster: every node that knows the same finds the same.
//!
//! Where claims conflict, the later one wins (`Stamp`): so what was taken over from a node that was away stays with its
//! new owner when the node comes back. Who loses keeps its record, is listed, and is not forwarded to.

mod endpoints;

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use overlay_common::Vni;

use super::{
    known::{Known, Part},
    limits::Limits,
    liveness::Alive,
    record::{Key, NetworkRecord, Stamp},
};
use crate::{
    cluster::{Cluster, EndpointId, Network, Node, NodeKind},
    vteps::Vteps,
};

pub(super) use self::endpoints::{Holding, around};

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
    view.cluster.nodes = nodes(known, alive);
    endpoints::all(known, alive, limits, &mut view);
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

/// The nodes that are there.
pub(super) fn nodes(known: &Known, alive: AliveOf<'_>) -> BTreeMap<String, Node> {
    let visible = known.parts().filter(|(name, _)| alive(name).is_visible());
    let node = |(name, part): (&str, &Part)| {
        let vteps = part.node().and_then(|node| Vteps::of(node.vteps.iter().copied()))?;
        Some((name.to_owned(), Node { name: name.to_owned(), vteps, kind: NodeKind::Agent }))
    };
    visible.filter_map(node).collect()
}
