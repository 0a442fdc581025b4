//! `State::tables`: the tables that the kernel should hold.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use super::State;
use crate::{
    cluster::{Cluster, Endpoint, EndpointId, Network, Node, NodeKind},
    event::Underlay,
    tables::{Answers, Fdb, Hook, Ifindex, Net, NodeEntry, Port, Program, Station, Tables, Vtep},
};

impl State {
    /// The tables that the kernel should hold; none before a cluster and an underlay are known.
    ///
    /// An entry refers only to networks and VTEPs that are in the tables too.
    pub fn tables(&self) -> Option<Tables> {
        let cluster = self.cluster()?;
        let underlay = self.underlay()?;
        let mut tables = self.frame(cluster, underlay);
        for entry in &cluster.endpoints {
            self.add_endpoint(&mut tables, cluster, underlay, entry);
        }
        Some(tables)
    }

    /// Adds what follows from an endpoint.
    pub(super) fn add_endpoint(
        &self,
        tables: &mut Tables,
        cluster: &Cluster,
        underlay: &Underlay,
        (id, endpoint): (&EndpointId, &Endpoint),
    ) {
        let Some(network) = cluster.networks.get(&endpoint.network) else { return };
        if endpoint.node == self.node_name {
            if let Some(ifindex) = self.bound(id) {
                let forwards = !endpoint.allowed_ips.is_empty() || !endpoint.allowed_macs.is_empty();
                tables.add_place(network, endpoint, &Fdb::Local { ifindex, forwards });
                tables.add_port(network, endpoint, ifindex);
            }
        } else if let Some(node) = self.remote_node(cluster, underlay.vteps, &endpoint.node) {
            let place = Fdb::Remote { vtep: to(underlay, node), encrypted: network.encrypted };
            tables.add_place(network, endpoint, &place);
            tables.members.extend(node.vteps.iter().map(|vtep| (network.vni, vtep)));
        }
    }

    /// The tables before any endpoint is in them.
    fn frame(&self, cluster: &Cluster, underlay: &Underlay) -> Tables {
        let node = NodeEntry {
            vtep_v4: underlay.vteps.v4(),
            vtep_v6: underlay.vteps.v6(),
            underlay: underlay.ifindex,
            mac: underlay.mac,
            udp_port: self.udp_port,
            anchors: underlay.anchors,
            shared: underlay.shared,
        };
        let mut hooks: BTreeSet<Hook> = [Program::FromUnderlay, Program::ToUnderlay]
            .map(|program| Hook { program, ifindex: underlay.ifindex })
            .into();
        hooks.extend(
            underlay.xdp.then_some(Hook { program: Program::XdpUnderlay, ifindex: underlay.ifindex }),
        );
        hooks.extend(underlay.anchors.iter().map(|ifindex| Hook { program: Program::FromAnchor, ifindex }));
        let nets = cluster.networks.values();
        let vteps = self.remote_nodes(cluster, underlay.vteps);
        Tables {
            node: Some(node),
            nets: nets.map(|network| (network.vni, net(network))).collect(),
            vteps: vteps
                .map(|node| {
                    let vtep = to(underlay, node);
                    let next_hop = underlay.next_hops.get(&vtep).cloned();
                    let other = node.vteps.besides(vtep);
                    (vtep, Vtep { next_hop, other, external: node.kind == NodeKind::External })
                })
                .collect(),
            hooks,
            ..Tables::default()
        }
    }
}

/// The address of another node that stands for it. One that no family leads to has it, too, without a next hop: what
/// is sent there is dropped and counted.
fn to(underlay: &Underlay, node: &Node) -> IpAddr {
    underlay.vteps.way_to(&node.vteps).unwrap_or_else(|| node.vteps.first())
}

fn net(network: &Network) -> Net {
    let subnet = network.subnets.iter().find_map(|subnet| match subnet {
        IpNet::V4(subnet) => Some(subnet.trunc()),
        IpNet::V6(_) => None,
    });
    let gateways = || network.gateways.iter();
    Net {
        encrypted: network.encrypted,
        subnet,
        gateway_v4: gateways().find_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None }),
        gateway_v6: gateways().find_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }),
    }
}

impl Tables {
    /// Adds where the endpoint is, and the answers to who asks for its addresses.
    fn add_place(&mut self, network: &Network, endpoint: &Endpoint, place: &Fdb) {
        let answers = Answers::of(endpoint.mac, &endpoint.ips);
        let told: Vec<IpAddr> = answers.ips(endpoint.mac).collect();
        for ip in endpoint.ips.iter().filter(|ip| !told.contains(ip)) {
            self.neigh.insert((network.vni, *ip), endpoint.mac);
        }
        for mac in endpoint.macs() {
            let answers = if mac == endpoint.mac { answers } else { Answers::default() };
            self.fdb.insert((network.vni, mac), Station { at: place.clone(), answers });
        }
    }

    /// Adds what the endpoint may send by its veth.
    fn add_port(&mut self, network: &Network, endpoint: &Endpoint, ifindex: Ifindex) {
        let own = endpoint.ips.iter().copied().chain([IpAddr::from(endpoint.mac.link_local())]);
        let port = Port {
            vni: network.vni,
            macs: endpoint.macs().collect(),
            allowed: own.map(IpNet::from).chain(endpoint.allowed_ips.iter().copied()).collect(),
            allow_ra: endpoint.allow_ra,
            allow_dhcp_server: endpoint.allow_dhcp_server,
        };
        self.ports.insert(ifindex, port);
        self.hooks
            .extend([Program::FromContainer, Program::Unguarded].map(|program| Hook { program, ifindex }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_first_gateway_of_each_family() {
        let gateways = |list: &str| {
            let text = format!(
                "[[node]]\nname = \"h1\"\nvtep = \"10.88.0.1\"\n[[network]]\nname = \"blue\"\nvni = 42\n\
                 subnets = [\"10.1.0.0/24\", \"fd00:1::/64\"]\ngateways = [{list}]\n"
            );
            let net = net(&Cluster::parse(&text).expect("valid").networks["blue"]);
            (net.gateway_v4.map(|ip| ip.to_string()), net.gateway_v6.map(|ip| ip.to_string()))
        };
        let (v4, v6) = (Some("10.1.0.254".to_owned()), Some("fd00:1::fe".to_owned()));
        assert_eq!(gateways(""), (None, None));
        assert_eq!(gateways("\"10.1.0.254\""), (v4.clone(), None));
        assert_eq!(gateways("\"fd00:1::fe\""), (None, v6.clone()));
        let many = "\"fd00:1::fe\", \"10.1.0.254\", \"10.1.0.253\", \"fd00:1::fd\"";
        assert_eq!(gateways(many), (v4, v6));
    }
}
