//! The part of the tables that follows from some endpoints: a change of one costs no more at 10 000 of them.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::State;
use crate::{
    cluster::{Endpoint, EndpointId},
    event::Event,
    membership::follow::Changes,
    tables::Tables,
};

/// What an event may make another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    ids: BTreeSet<EndpointId>,
    /// Networks, and nodes that have, or had, an endpoint in them.
    members: BTreeSet<(String, String)>,
}

impl State {
    /// What an event touches, before it is applied; none where that may be anything.
    pub fn touched(&self, event: &Event) -> Option<Touched> {
        let touched = |ids| Touched { ids, members: BTreeSet::new() };
        match event {
            Event::Endpoints(changes) => Some(self.touched_by(changes)),
            Event::PortUp { id, ifindex } => {
                let bound = self.ports.iter().filter(|(_, bound)| *bound == ifindex).map(|(id, _)| id);
                Some(touched(bound.chain([id]).cloned().collect()))
            }
            Event::PortDown { id } => Some(touched([id.clone()].into())),
            Event::Cluster(_) | Event::SourceFailed(_) | Event::Underlay(_) => None,
        }
    }

    fn touched_by(&self, changes: &Changes) -> Touched {
        let before = changes.keys().filter_map(|id| self.cluster()?.endpoints.get(id));
        let all = before.chain(changes.values().flatten());
        Touched {
            ids: changes.keys().cloned().collect(),
            members: all.map(|endpoint| (endpoint.network.clone(), endpoint.node.clone())).collect(),
        }
    }

    /// Those of the tables' entries that follow from what was touched.
    pub fn part(&self, touched: &Touched) -> Option<Tables> {
        let (cluster, underlay) = (self.cluster()?, self.underlay()?);
        let mut tables = Tables::default();
        for id in &touched.ids {
            if let Some(endpoint) = cluster.endpoints.get(id) {
                self.add_endpoint(&mut tables, cluster, underlay, (id, endpoint));
            }
        }
        for (network, node) in &touched.members {
            let has_any = self.counts.get(network).is_some_and(|nodes| nodes.contains_key(node));
            if let (true, Some(network)) = (has_any, cluster.networks.get(network))
                && let Some(node) = self.remote_node(cluster, underlay.vteps, node)
            {
                tables.members.extend(node.vteps.iter().map(|vtep| (network.vni, vtep)));
            }
        }
        Some(tables)
    }

    /// Counts what each node has in each network anew.
    pub(super) fn count_all(&mut self) {
        self.counts.clear();
        for endpoint in self.cluster.iter().flat_map(|cluster| cluster.endpoints.values()) {
            count(&mut self.counts, endpoint);
        }
    }

    /// Takes in what has become of some endpoints.
    pub(super) fn change(&mut self, changes: Changes) {
        let Some(cluster) = &mut self.cluster else { return };
        for (id, endpoint) in changes {
            if let Some(endpoint) = &endpoint {
                count(&mut self.counts, endpoint);
            }
            let before = match endpoint {
                Some(endpoint) => cluster.endpoints.insert(id, endpoint),
                None => cluster.endpoints.remove(&id),
            };
            if let Some(before) = before {
                uncount(&mut self.counts, &before);
            }
        }
    }
}

fn count(counts: &mut super::Counts, endpoint: &Endpoint) {
    let nodes = counts.entry(endpoint.network.clone()).or_default();
    *nodes.entry(endpoint.node.clone()).or_default() += 1;
}

fn uncount(counts: &mut super::Counts, endpoint: &Endpoint) {
    let Some(nodes) = counts.get_mut(&endpoint.network) else { return };
    if let Some(count) = nodes.get_mut(&endpoint.node) {
        *count -= 1;
        if *count == 0 {
            nodes.remove(&endpoint.node);
        }
    }
}
