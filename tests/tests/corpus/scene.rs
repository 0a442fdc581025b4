//! The cluster that the cases play in, the same over both families: every node has an address of each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData},
};
use overlay_common::{
    MacAddr, Vni,
    map::{Fdb, FdbKey, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Port, Prefix, Slice},
    vxlan::{Route, Vtep},
};
use overlay_tests::{
    Family,
    scene::{OWN, over_v6, station, vtep},
};

pub(crate) use overlay_tests::scene::{
    ANCHOR_VNI, EGRESS, FOREIGN_VNI, NAMED, NOBODY, OTHER_VNI, OUR_VTEP, OUR_VTEP_V6, PLAIN, REMOTE,
    SECRET_VNI, Station, UDP_PORT, VNI,
};
/// The MAC address of this node's underlay device, and that of who sends to it.
pub(crate) use overlay_tests::scene::{OUTER_DST, OUTER_SRC as DEVICE_MAC};

/// Who may send to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
}

const fn node(number: u8) -> Node {
    let v4 = vtep(number);
    Node { v4, v6: over_v6(v4) }
}

impl Node {
    /// Its address of a family.
    pub(crate) const fn over(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(self.v4),
            Family::V6 => IpAddr::V6(self.v6),
        }
    }
}

/// This node, as a sender; another; one that is a member of `OTHER_VNI` only; a plain VXLAN device; no node at all.
pub(crate) const OURS: Node = node(1);
pub(crate) const FAR: Node = node(2);
pub(crate) const APART: Node = node(3);
pub(crate) const EXTERNAL: Node = node(5);
pub(crate) const STRANGER: Node = node(77);

/// Their places in `VTEPS`.
const VTEPS: [(u32, Node); 3] = [(0, FAR), (1, APART), (5, EXTERNAL)];
/// Who is a member of what.
const MEMBERS: [(u32, Node); 5] =
    [(VNI, FAR), (VNI, EXTERNAL), (SECRET_VNI, FAR), (OTHER_VNI, APART), (OTHER_VNI, EXTERNAL)];

/// On this node: whose port it is, and one that sends on what it gets.
pub(crate) const LOCAL: Station = OWN;
pub(crate) const FORWARDER: Station = station(6);

/// Our host's devices.
pub(crate) struct Devices {
    /// The underlay device.
    pub(crate) underlay: u32,
    /// The host side of the port.
    pub(crate) port: u32,
    /// Our vxlan devices over IPv4 and over IPv6.
    pub(crate) anchors: [u32; 2],
}

/// What `CONFIG` says of the node.
pub(crate) fn config(devices: &Devices) -> NodeConfig {
    let mut config = NodeConfig::new((Some(OUR_VTEP), Some(OUR_VTEP_V6)), devices.underlay, UDP_PORT);
    [config.anchor_v4, config.anchor_v6] = devices.anchors;
    config.mac = DEVICE_MAC;
    config
}

/// Writes all tables but `CONFIG`.
pub(crate) fn fill(ebpf: &mut Ebpf, devices: &Devices) -> Result<()> {
    let mut vteps: Array<MapData, Vtep> = take(ebpf, "VTEPS")?;
    for (place, node) in VTEPS {
        let route = Route {
            ifindex: devices.underlay,
            next_hop: node.v4.into(),
            src_mac: DEVICE_MAC,
            dst_mac: Some(OUTER_DST),
            inner_mtu: 1430,
        };
        let mut vtep = Vtep::v4(OUR_VTEP, node.v4, UDP_PORT, route);
        vtep.other = IpAddr::from(node.v6).into();
        if node == EXTERNAL {
            vtep.flags |= Vtep::EXTERNAL;
        }
        vteps.set(place, vtep, 0)?;
    }
    let mut nets: HashMap<MapData, u32, Net> = take(ebpf, "NETS")?;
    for (number, flags) in [(VNI, 0), (OTHER_VNI, 0), (SECRET_VNI, Net::ENCRYPTED)] {
        nets.insert(number, Net::new(flags), 0)?;
    }
    let mut members: HashMap<MapData, MemberKey, Member> = take(ebpf, "MEMBERS")?;
    for (number, node) in MEMBERS {
        let flags = if number == SECRET_VNI { Member::ENCRYPTED } else { 0 };
        for addr in [IpAddr::from(node.v4), node.v6.into()] {
            for (number, flags) in [(number, flags), (0, 0)] {
                let member = Member { flags, slice: Slice::NONE };
                members.insert(MemberKey::new(number, addr.into()), member, 0)?;
            }
        }
    }
    endpoints(ebpf, devices)?;
    let own = [Prefix::new(LOCAL.v4.into(), 32), Prefix::new(LOCAL.v6.into(), 128)];
    let number = Vni::new(VNI).map_err(|error| anyhow!("{error}"))?;
    let port = Port::new(number, &[LOCAL.mac], &own, 0).context("too much for a port")?;
    let mut ports: HashMap<MapData, u32, Port> = take(ebpf, "PORTS")?;
    Ok(ports.insert(devices.port, port, 0)?)
}

/// Writes what the tables say of the endpoints.
fn endpoints(ebpf: &mut Ebpf, devices: &Devices) -> Result<()> {
    let mut fdb: HashMap<MapData, FdbKey, Fdb> = take(ebpf, "FDB")?;
    let mut neigh: HashMap<MapData, NeighKey, Neigh> = take(ebpf, "NEIGH")?;
    let local = Fdb::local(devices.port);
    for (station, entry) in [
        (LOCAL, local),
        (EGRESS, local.by(Fdb::EGRESS)),
        (FORWARDER, local.with_flags(Fdb::FORWARDS)),
        (NAMED, local),
        (REMOTE, Fdb::remote(0, 0)),
        (PLAIN, Fdb::remote(5, 0)),
    ] {
        let derived = MacAddr::from_ipv4(station.v4) == station.mac;
        let entry = entry.with_flags(Fdb::HAS_LINK_LOCAL | if derived { Fdb::HAS_IPV4 } else { 0 });
        fdb.insert(FdbKey::new(VNI, station.mac), entry, 0)?;
        if !derived {
            neigh.insert(NeighKey::new(VNI, IpAddr::from(station.v4).into()), Neigh::new(station.mac), 0)?;
        }
        neigh.insert(NeighKey::new(VNI, IpAddr::from(station.v6).into()), Neigh::new(station.mac), 0)?;
    }
    // Here already, were the network not encrypted.
    Ok(fdb.insert(FdbKey::new(SECRET_VNI, LOCAL.mac), local, 0)?)
}

/// A map of the object, as its type.
pub(crate) fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T> {
    let map = ebpf.take_map(name).with_context(|| format!("no map {name}"))?;
    T::try_from(map).map_err(|_| anyhow!("map {name} is of another type"))
}
