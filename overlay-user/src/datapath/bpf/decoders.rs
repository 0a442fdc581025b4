//! Values of maps, for the fuzz targets: each is read, and written again for what it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use overlay_common::{
    MacAddr,
    map::{self, Slice},
    vxlan,
};

use super::{codec, link, read};
use crate::tables::{Anchors, Ifindex, NodeEntry};

/// Of `CONFIG`.
pub fn node(config: map::NodeConfig) -> Option<map::NodeConfig> {
    codec::node_back(config).map(|entry| codec::node(&entry))
}

/// Of `NETS`.
pub fn net(net: map::Net) -> map::Net {
    codec::net(&codec::net_back(net), net.slice)
}

/// Of `PORTS`.
pub fn port(port: &map::Port) -> Option<map::Port> {
    codec::port_back(port).and_then(|back| codec::port(&back, Slice::NONE).ok())
}

/// Of `FDB`; the place of a VTEP is its address.
pub fn fdb(fdb: map::Fdb) -> Option<map::Fdb> {
    let back = codec::fdb_back(fdb, |place| Some(Ipv4Addr::from_bits(place).into()))?;
    let place = |vtep: IpAddr| if let IpAddr::V4(vtep) = vtep { Some(vtep.to_bits()) } else { None };
    codec::fdb(&back, place).ok()
}

/// Of `VTEPS`.
pub fn vtep(vtep: &vxlan::Vtep) -> vxlan::Vtep {
    let node = NodeEntry {
        vtep_v4: Some(Ipv4Addr::LOCALHOST),
        vtep_v6: Some(Ipv6Addr::LOCALHOST),
        underlay: Ifindex(1),
        mac: MacAddr::ZERO,
        udp_port: 4789,
        anchors: Anchors::default(),
        shared: false,
    };
    codec::vtep(&node, vtep.addr.to_ip(), &codec::vtep_back(vtep))
}

/// Of `NEIGH`: the address, and the MAC address that answers for it.
pub fn neigh(key: map::NeighKey, neigh: map::Neigh) -> Option<(IpAddr, MacAddr)> {
    read::neigh_of(key, neigh).map(|((_, ip), mac)| (ip, mac))
}

/// The device and the program of a tcx link, from the text of its entry in `/proc/self/fdinfo`.
pub fn link(fdinfo: &str) -> Option<(u32, u32)> {
    link::told(fdinfo, "tcx")
}
