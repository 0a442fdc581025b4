//! The tables' values as the maps hold them, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use overlay_common::{
    Ip16, MacAddr, Vni,
    map::{self, Prefix, Slice},
    vxlan,
};

use super::errors::unsupported;
use crate::{
    datapath::DatapathError,
    event::NextHop,
    tables::{Anchors, Answers, Fdb, Ifindex, Net, NodeEntry, Port, Station, Vtep},
};

pub(super) fn node(entry: &NodeEntry) -> map::NodeConfig {
    let vteps = (entry.vtep_v4, entry.vtep_v6);
    let mut config = map::NodeConfig::new(vteps, entry.underlay.0, entry.udp_port);
    let index = |anchor: Option<Ifindex>| anchor.map_or(0, |ifindex| ifindex.0);
    (config.anchor_v4, config.anchor_v6) = (index(entry.anchors.v4), index(entry.anchors.v6));
    config.mac = entry.mac;
    config.flags = if entry.shared { map::NodeConfig::SHARED } else { 0 };
    config
}

/// What `CONFIG` says; none where it has never been written.
pub(super) fn node_back(config: map::NodeConfig) -> Option<NodeEntry> {
    let (vtep_v4, vtep_v6) = config.vteps();
    let anchor = |index: u32| (index != 0).then_some(Ifindex(index));
    (config.udp_port() != 0).then(|| NodeEntry {
        vtep_v4,
        vtep_v6,
        underlay: Ifindex(config.underlay),
        mac: config.mac,
        udp_port: config.udp_port(),
        anchors: Anchors { v4: anchor(config.anchor_v4), v6: anchor(config.anchor_v6) },
        shared: config.flags & map::NodeConfig::SHARED != 0,
    })
}

/// A network; `slice` is what it has of `FDB_V4`.
pub(super) fn net(net: &Net, slice: Slice) -> map::Net {
    let flags = if net.encrypted { map::Net::ENCRYPTED } else { 0 };
    let mut value = map::Net::new(flags).with_gateways(net.gateway_v4, net.gateway_v6);
    if let Some(subnet) = net.subnet {
        (value.subnet, value.prefix_len) = (subnet.network().into(), subnet.prefix_len());
    }
    value.slice = slice;
    value
}

pub(super) fn net_back(net: map::Net) -> Net {
    let subnet = Ipv4Net::new(net.subnet.into(), net.prefix_len).ok().filter(|_| net.prefix_len != 0);
    Net {
        encrypted: net.flags & map::Net::ENCRYPTED != 0,
        subnet,
        gateway_v4: net.gateway_v4().map(Ipv4Addr::from),
        gateway_v6: net.gateway_v6().map(Ip16::octets).map(Ipv6Addr::from),
    }
}

pub(super) fn member(net: map::Net) -> map::Member {
    let encrypted = net.flags & map::Net::ENCRYPTED != 0;
    map::Member { flags: if encrypted { map::Member::ENCRYPTED } else { 0 }, slice: net.slice }
}

/// What a VTEP has as one of the cluster.
pub(super) const CLUSTER: map::Member = map::Member { flags: 0, slice: Slice::NONE };

/// A VTEP's template; one without a way to it where this node has no address of its family, or no next hop.
pub(super) fn vtep(node: &NodeEntry, addr: IpAddr, vtep: &Vtep) -> vxlan::Vtep {
    let mut template = match vtep.next_hop.as_ref().map(route) {
        Some(route) if route.next_hop.is_ipv4() == addr.is_ipv4() => {
            routed(node, addr, route).unwrap_or(vxlan::Vtep::unrouted(addr.into()))
        }
        _ => vxlan::Vtep::unrouted(addr.into()),
    };
    template.other = vtep.other.map_or(Ip16::ZERO, Ip16::from);
    if vtep.external {
        template.flags |= vxlan::Vtep::EXTERNAL;
    }
    template
}

fn routed(node: &NodeEntry, addr: IpAddr, route: vxlan::Route) -> Option<vxlan::Vtep> {
    match addr {
        IpAddr::V4(remote) => Some(vxlan::Vtep::v4(node.vtep_v4?, remote, node.udp_port, route)),
        IpAddr::V6(remote) => Some(vxlan::Vtep::v6(node.vtep_v6?, remote, node.udp_port, route)),
    }
}

fn route(hop: &NextHop) -> vxlan::Route {
    let NextHop { ifindex, via, mac, source_mac, inner_mtu } = *hop;
    vxlan::Route { ifindex: ifindex.0, next_hop: via, src_mac: source_mac, dst_mac: mac, inner_mtu }
}

pub(super) fn vtep_back(vtep: &vxlan::Vtep) -> Vtep {
    let (source_mac, dst) = vtep.macs();
    let mac = (vtep.flags & vxlan::Vtep::NEXT_HOP_MAC != 0).then_some(dst);
    let (ifindex, via) = (Ifindex(vtep.ifindex), vtep.next_hop().to_ip());
    let hop = NextHop { ifindex, via, mac, source_mac, inner_mtu: vtep.inner_mtu };
    Vtep {
        next_hop: vtep.is_routed().then_some(hop),
        other: (vtep.other != Ip16::ZERO).then(|| vtep.other.to_ip()),
        external: vtep.flags & vxlan::Vtep::EXTERNAL != 0,
    }
}

/// A port; `slice` is that of its network.
pub(super) fn port(port: &Port, slice: Slice) -> Result<map::Port, DatapathError> {
    let prefixes: Vec<_> = port.allowed.iter().map(|net| Prefix::new(net.addr(), net.prefix_len())).collect();
    let ra = if port.allow_ra { map::Port::ALLOW_RA } else { 0 };
    let dhcp = if port.allow_dhcp_server { map::Port::ALLOW_DHCP_SERVER } else { 0 };
    let mut value = map::Port::new(port.vni, &port.macs, &prefixes, ra | dhcp)
        .ok_or_else(|| unsupported("a port with more MAC addresses or prefixes than a port holds"))?;
    value.slice = slice;
    Ok(value)
}

/// What a port's value says; none where its VNI is none, which only a stray hand can have written.
pub(super) fn port_back(port: &map::Port) -> Option<Port> {
    let (macs, prefixes) = port.allowed();
    Some(Port {
        vni: Vni::new(port.vni()).ok()?,
        macs: macs.collect(),
        allowed: prefixes.filter_map(|prefix| IpNet::new(prefix.parts().0, prefix.parts().1).ok()).collect(),
        allow_ra: port.flags & map::Port::ALLOW_RA != 0,
        allow_dhcp_server: port.flags & map::Port::ALLOW_DHCP_SERVER != 0,
    })
}

/// An FDB value; `place` finds a VTEP's place in `VTEPS`.
pub(super) fn fdb(
    station: &Station,
    place: impl Fn(IpAddr) -> Option<u32>,
) -> Result<map::Fdb, DatapathError> {
    let ipv4 = if station.answers.ipv4 { map::Fdb::HAS_IPV4 } else { 0 };
    let link_local = if station.answers.link_local { map::Fdb::HAS_LINK_LOCAL } else { 0 };
    Ok(fdb_at(&station.at, place)?.with_flags(ipv4 | link_local))
}

fn fdb_at(at: &Fdb, place: impl Fn(IpAddr) -> Option<u32>) -> Result<map::Fdb, DatapathError> {
    match *at {
        Fdb::Local { ifindex, forwards } => {
            Ok(map::Fdb::local(ifindex.0).with_flags(if forwards { map::Fdb::FORWARDS } else { 0 }))
        }
        Fdb::Remote { vtep, encrypted } => {
            let place = place(vtep).ok_or_else(|| {
                unsupported(&format!("an endpoint behind VTEP {vtep}, which is not installed"))
            })?;
            Ok(map::Fdb::remote(place, if encrypted { map::Fdb::ENCRYPTED } else { 0 }))
        }
    }
}

/// What an FDB value says; none where it names a place that no VTEP has.
pub(super) fn fdb_back(fdb: map::Fdb, vtep: impl Fn(u32) -> Option<IpAddr>) -> Option<Station> {
    let has = |flag| fdb.flags() & flag != 0;
    let at = match fdb.delivery() {
        map::Fdb::PEER | map::Fdb::EGRESS => {
            Fdb::Local { ifindex: Ifindex(fdb.to()), forwards: has(map::Fdb::FORWARDS) }
        }
        _ => Fdb::Remote { vtep: vtep(fdb.to())?, encrypted: has(map::Fdb::ENCRYPTED) },
    };
    let answers = Answers { ipv4: has(map::Fdb::HAS_IPV4), link_local: has(map::Fdb::HAS_LINK_LOCAL) };
    Some(Station { at, answers })
}

/// The network and MAC address of an FDB key.
pub(super) fn fdb_key_back(key: map::FdbKey) -> Option<(Vni, MacAddr)> {
    Some((Vni::new(key.vni).ok()?, key.mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_as_it_was_written() {
        let (v4, v6) = (Ipv4Addr::new(10, 1, 0, 254), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe));
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(10, 1, 0, 0), 24);
        let slice = Slice { base: 1, len: 2, offset: 3 };
        for (gateway_v4, gateway_v6) in
            [(None, None), (Some(v4), None), (None, Some(v6)), (Some(v4), Some(v6))]
        {
            for (encrypted, subnet) in [(false, None), (true, Some(subnet))] {
                let desired = Net { encrypted, subnet, gateway_v4, gateway_v6 };
                let written = net(&desired, slice);
                assert_eq!((net_back(written), written.slice), (desired, slice));
            }
        }
    }
}
