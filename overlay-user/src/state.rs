//! What the agent knows, and the tables that follow from it; no I/O and no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use overlay_common::vxlan;

use crate::{
    cluster::{Cluster, Endpoint, EndpointId, Network, Node},
    event::{Event, SourceError, Underlay},
    tables::Ifindex,
    vteps::Vteps,
};

mod bind;
mod desired;
mod part;
mod problems;
#[cfg(test)]
mod tests;

pub use self::{
    bind::{BindError, Wanted, read_ips, read_mac, unknown_network},
    part::Touched,
    problems::Problem,
};

/// How many endpoints each node has in each network.
type Counts = BTreeMap<String, BTreeMap<String, usize>>;

/// What the agent knows.
#[derive(Clone, Debug)]
pub struct State {
    node_name: String,
    udp_port: u16,
    cluster: Option<Cluster>,
    /// Of the cluster.
    counts: Counts,
    source_error: Option<SourceError>,
    underlay: Option<Underlay>,
    ports: BTreeMap<EndpointId, Ifindex>,
}

impl State {
    /// Knows nothing yet but this node's name and the UDP port of VXLAN.
    pub fn new(node_name: String, udp_port: u16) -> Self {
        Self {
            node_name,
            udp_port,
            cluster: None,
            counts: Counts::new(),
            source_error: None,
            underlay: None,
            ports: BTreeMap::new(),
        }
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Cluster(cluster) => {
                self.cluster = Some(cluster);
                self.count_all();
                self.source_error = None;
            }
            Event::Endpoints(changes) => self.change(changes),
            Event::SourceFailed(error) => self.source_error = Some(error),
            Event::Underlay(underlay) => self.underlay = Some(underlay),
            Event::PortUp { id, ifindex } => {
                // The kernel uses an index again once its device is gone, and that may be heard of late.
                self.ports.retain(|_, bound| *bound != ifindex);
                self.ports.insert(id, ifindex);
            }
            Event::PortDown { id } => {
                self.ports.remove(&id);
            }
        }
    }

    /// This node's name.
    pub fn node_name(&self) -> &str {
        &self.node_name
    }

    /// The last good cluster.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Why the source has nothing valid, while it has not.
    pub fn source_error(&self) -> Option<&SourceError> {
        self.source_error.as_ref()
    }

    /// The underlay.
    pub fn underlay(&self) -> Option<&Underlay> {
        self.underlay.as_ref()
    }

    /// This node in the cluster.
    pub fn own_node(&self) -> Option<&Node> {
        self.cluster()?.nodes.get(&self.node_name)
    }

    /// The host side of the endpoint's veth, while there is one.
    pub fn bound(&self, id: &EndpointId) -> Option<Ifindex> {
        self.ports.get(id).copied()
    }

    /// The endpoints that have a veth here, and the host sides of those.
    pub fn bindings(&self) -> impl Iterator<Item = (&EndpointId, Ifindex)> {
        self.ports.iter().map(|(id, ifindex)| (id, *ifindex))
    }

    /// The endpoints that the cluster declares for this node.
    pub fn local_endpoints(&self) -> impl Iterator<Item = (&EndpointId, &Endpoint)> {
        let endpoints = self.cluster.iter().flat_map(|cluster| &cluster.endpoints);
        endpoints.filter(|(_, endpoint)| endpoint.node == self.node_name)
    }

    /// The endpoints that have a veth here and that the cluster does not declare for this node any more.
    pub fn orphans(&self) -> impl Iterator<Item = (&EndpointId, Ifindex)> {
        let cluster = self.cluster.as_ref();
        let declared = move |id: &EndpointId| {
            // Without a cluster nothing is known to be gone.
            cluster.is_none_or(|cluster| cluster.endpoints.get(id).is_some_and(|e| e.node == self.node_name))
        };
        self.ports.iter().filter(move |(id, _)| !declared(id)).map(|(id, ifindex)| (id, *ifindex))
    }

    /// The MTU that endpoints of the network get: what the file asks for, as far as the underlay allows it.
    pub fn mtu(&self, network: &str) -> Option<u16> {
        let network = self.cluster()?.networks.get(network)?;
        let inner = self.inner_mtu()?;
        Some(network.mtu.map_or(inner, |mtu| mtu.min(inner)))
    }

    /// The longest inner packet that this node's underlay carries over each family that nodes of the cluster use:
    /// nodes of equal underlays come to the same, whichever family they use themselves.
    pub fn inner_mtu(&self) -> Option<u16> {
        let underlay = self.underlay()?;
        let ways = self.cluster()?.ways();
        let inner = |vtep| vxlan::inner_mtu(vtep, underlay.mtu);
        Some(ways.into_iter().map(inner).min().unwrap_or_else(|| inner(underlay.vteps.first())))
    }

    /// The VTEPs that a node with these addresses sends to.
    pub fn sends_to(&self, own: Vteps) -> BTreeSet<IpAddr> {
        let cluster = self.cluster.iter();
        cluster
            .flat_map(|cluster| self.remote_nodes(cluster, own))
            .filter_map(|node| own.way_to(&node.vteps))
            .collect()
    }

    /// The other nodes of the cluster.
    ///
    /// A node that claims this node's address is not among them: sending to it would be sending to ourselves.
    fn remote_nodes<'s>(&'s self, cluster: &'s Cluster, own: Vteps) -> impl Iterator<Item = &'s Node> {
        cluster.nodes.values().filter(move |node| self.is_remote(node, own))
    }

    /// One of the other nodes.
    fn remote_node<'s>(&self, cluster: &'s Cluster, own: Vteps, name: &str) -> Option<&'s Node> {
        cluster.nodes.get(name).filter(|node| self.is_remote(node, own))
    }

    fn is_remote(&self, node: &Node, own: Vteps) -> bool {
        node.name != self.node_name && !node.vteps.iter().any(|vtep| own.contains(vtep))
    }

    /// The networks of the cluster.
    fn networks(&self) -> impl Iterator<Item = &Network> {
        self.cluster.iter().flat_map(|cluster| cluster.networks.values())
    }
}
