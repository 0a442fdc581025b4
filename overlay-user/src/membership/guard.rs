//! An emptied store does not empty the tables: what takes most endpoints away at once is held up.
//!
//! A disk that was lost or a store that was restored from nothing says that there are no endpoints, as convincingly as
//! somebody who deleted them all. Those who talk to each other meanwhile go on, until it has been so for a minute or an
//! operator says that it is meant.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    time::Duration,
};

use overlay_common::Vni;

use super::{
    follow::{self, Changes},
    resolve::{View, Why},
};
use crate::cluster::{Cluster, Endpoint, EndpointId};

/// So many endpoints may always go at once.
pub const FEW: usize = 256;
/// So long what is held up is kept.
pub const HOLD: Duration = Duration::from_mins(1);

/// What is held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// So many endpoints are kept that are published no more.
    pub endpoints: usize,
    /// Since when.
    pub since: Duration,
}

/// Holds up the loss of most endpoints of other nodes at once.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The node, whose own endpoints nobody but it takes away.
    me: String,
    in_force: Cluster,
    /// What of that is published no more, and since when.
    held: BTreeMap<EndpointId, Duration>,
}

impl Guard {
    /// A guard of a node's view.
    pub fn new(me: &str) -> Self {
        Self { me: me.to_owned(), in_force: Cluster::default(), held: BTreeMap::new() }
    }

    /// The view that is to be in force from now on, and what it keeps that the given one has not.
    ///
    /// Where it keeps any, it is to be asked again when that is over (`HOLD`), though the view be the same.
    pub fn next(&mut self, mut view: View, now: Duration) -> (View, Option<Held>) {
        let since = self.to_hold(&view, now);
        for id in since.keys() {
            let Some(endpoint) = self.in_force.endpoints.get(id) else { continue };
            if let Some(network) = self.in_force.networks.get(&endpoint.network)
                && !view.cluster.networks.contains_key(&endpoint.network)
            {
                view.cluster.networks.insert(endpoint.network.clone(), network.clone());
            }
            view.cluster.endpoints.insert(id.clone(), endpoint.clone());
        }
        self.held = since;
        self.in_force = view.cluster.clone();
        let first = self.held.values().min();
        let held = first.map(|since| Held { endpoints: self.held.len(), since: *since });
        (view, held)
    }

    /// The cluster in force.
    pub fn in_force(&self) -> &Cluster {
        &self.in_force
    }

    /// Lets some endpoints be as they are now, where that holds nothing up (else `next` is to be asked).
    pub fn lets(&mut self, changes: &Changes) -> bool {
        let is_few = self.held.is_empty() && changes.len() <= FEW;
        if is_few {
            follow::apply(changes, &mut self.in_force.endpoints);
        }
        is_few
    }

    /// What is held up is meant: the next view has it no more.
    pub fn accept(&mut self) {
        for id in std::mem::take(&mut self.held).keys() {
            self.in_force.endpoints.remove(id);
        }
    }

    /// What of the view in force is to be kept beside the next one, and since when.
    fn to_hold(&self, next: &View, now: Duration) -> BTreeMap<EndpointId, Duration> {
        // What has gone with its node, or lives on this one, is as it is to be.
        let others = || {
            let endpoints = self.in_force.endpoints.iter();
            endpoints.filter(|(_, endpoint)| {
                endpoint.node != self.me && next.cluster.nodes.contains_key(&endpoint.node)
            })
        };
        let gone: Vec<(&EndpointId, &Endpoint)> =
            others().filter(|(id, _)| !next.cluster.endpoints.contains_key(id)).collect();
        if gone.is_empty() || self.held.is_empty() && gone.len() <= FEW {
            return BTreeMap::new();
        }
        let has_room = Room::of(next);
        let (held, new): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .filter(|(id, endpoint)| has_room.has(id, endpoint, &self.in_force))
            .partition(|(id, _)| self.held.contains_key(id));
        let are_most = new.len() > FEW && new.len() * 2 > others().count() - held.len();
        // What a node has lost comes in pieces.
        let nodes: BTreeSet<&str> = held.iter().map(|(_, endpoint)| endpoint.node.as_str()).collect();
        let new = new.into_iter().filter(|(_, endpoint)| are_most || nodes.contains(endpoint.node.as_str()));
        let old = held.iter().filter_map(|(id, _)| Some(((*id).clone(), *self.held.get(id)?)));
        let all = old.chain(new.map(|(id, _)| (id.clone(), now)));
        all.filter(|(_, since)| now.saturating_sub(*since) < HOLD).collect()
    }
}

/// What a view leaves to endpoints that it has not.
struct Room<'v> {
    view: &'v View,
    ips: HashSet<(&'v str, IpAddr)>,
    vnis: BTreeSet<Vni>,
    /// Endpoints that do not hold for another reason than that their network is gone.
    beaten: HashSet<(&'v str, &'v EndpointId)>,
}

impl<'v> Room<'v> {
    fn of(view: &'v View) -> Self {
        let endpoints = view.cluster.endpoints.values();
        let beaten = view.refused.iter().filter(|refused| refused.why != Why::NoNetwork);
        Self {
            view,
            ips: endpoints
                .flat_map(|endpoint| endpoint.ips.iter().map(|ip| (endpoint.network.as_str(), *ip)))
                .collect(),
            vnis: view.cluster.networks.values().map(|network| network.vni).collect(),
            beaten: beaten
                .filter_map(|refused| Some((refused.node.as_str(), refused.key.endpoint()?)))
                .collect(),
        }
    }

    /// Whether an endpoint of the view in force can be beside this one.
    fn has(&self, id: &EndpointId, endpoint: &Endpoint, in_force: &Cluster) -> bool {
        let name = endpoint.network.as_str();
        let before = in_force.networks.get(name).map(|network| network.vni);
        let is_network = match self.view.cluster.networks.get(name) {
            Some(network) => before == Some(network.vni),
            None => before.is_some_and(|vni| !self.vnis.contains(&vni)),
        };
        is_network
            && !self.beaten.contains(&(endpoint.node.as_str(), id))
            && !endpoint.ips.iter().any(|ip| self.ips.contains(&(name, *ip)))
    }
}
