//! The cluster that the frames are about, as our tables have it and as the intended differences know it.

use std::net::{IpAddr, Ipv4Addr};

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
use overlay_tests::scene::{station, vtep};

pub(crate) use overlay_tests::scene::{
    EGRESS, FOREIGN_VNI, NAMED, NOBODY, OTHER_VNI, OUR_VTEP, OUR_VTEP_V6, OWN, PLAIN, REMOTE, SECRET_VNI,
    Station, UDP_PORT, VNI, over_v6,
};
/// The MAC address of the underlay device of both hosts, and that of who sends to them.
pub(crate) use overlay_tests::scene::{OUTER_DST, OUTER_SRC as DEVICE_MAC};

/// Each node has an address of IPv6 as well, by which it may send: that of its IPv4 address (see `over_v6`).
///
/// A node's VTEP; one that is a member of `OTHER_VNI` only; a plain VXLAN device; and no VTEP at all.
pub(crate) const VTEP: Ipv4Addr = vtep(2);
pub(crate) const OTHER_VTEP: Ipv4Addr = vtep(3);
pub(crate) const PLAIN_VTEP: Ipv4Addr = vtep(5);
pub(crate) const STRANGER: Ipv4Addr = vtep(77);
/// The way from our host to the kernel's: what our programs encapsulate goes there.
pub(crate) const WAY_OUT: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 1);
pub(crate) const KERNEL_VTEP: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 2);
/// The same over IPv6, by the IPv4 address that tells its own.
pub(crate) const KERNEL_VTEP_V6: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 3);
/// The MAC addresses of both ends of the way out.
pub(crate) const WAY_OUT_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x61]);
pub(crate) const KERNEL_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x62]);

/// Where an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind our port, by `bpf_redirect_peer`.
    Peer,
    /// Behind our port, through its device.
    Egress,
    /// Behind a VTEP.
    Behind(Ipv4Addr),
}

/// Another on this node, behind the port of `OWN`, as `EGRESS` and `NAMED` are.
pub(crate) const LOCAL: Station = station(2);
/// On other nodes, as `REMOTE` and `PLAIN` are.
pub(crate) const BESIDE: Station = station(4);
pub(crate) const ABROAD: Station = station(10);
pub(crate) const ABROAD_V6: Station = station(11);

/// The endpoints of `VNI`.
pub(crate) const STATIONS: [(Station, Place); 9] = [
    (OWN, Place::Peer),
    (LOCAL, Place::Peer),
    (EGRESS, Place::Egress),
    (NAMED, Place::Peer),
    (REMOTE, Place::Behind(VTEP)),
    (BESIDE, Place::Behind(VTEP)),
    (PLAIN, Place::Behind(PLAIN_VTEP)),
    (ABROAD, Place::Behind(KERNEL_VTEP)),
    (ABROAD_V6, Place::Behind(KERNEL_VTEP_V6)),
];

/// Places of `VTEPS`.
const VTEPS: [(u32, Ipv4Addr); 5] =
    [(0, VTEP), (1, OTHER_VTEP), (5, PLAIN_VTEP), (7, KERNEL_VTEP), (8, KERNEL_VTEP_V6)];

/// VTEPs that are members of networks.
pub(crate) const MEMBERS: [(u32, Ipv4Addr); 5] =
    [(VNI, VTEP), (VNI, PLAIN_VTEP), (SECRET_VNI, VTEP), (SECRET_VNI, PLAIN_VTEP), (OTHER_VNI, OTHER_VTEP)];

/// Our host's devices.
pub(crate) struct Devices {
    /// The underlay device.
    pub(crate) underlay: u32,
    /// The host side of the port.
    pub(crate) port: u32,
    /// The way to the kernel's host.
    pub(crate) way_out: u32,
}

/// Writes the tables; `clear`: the encrypted network's as if it were not.
pub(crate) fn fill(ebpf: &mut Ebpf, devices: &Devices, clear: bool) -> Result<()> {
    let mut config: Array<MapData, NodeConfig> = take(ebpf, "CONFIG")?;
    let mut node = NodeConfig::new((Some(OUR_VTEP), Some(OUR_VTEP_V6)), devices.underlay, UDP_PORT);
    node.mac = DEVICE_MAC;
    config.set(0, node, 0)?;
    let mut vteps: Array<MapData, Vtep> = take(ebpf, "VTEPS")?;
    let route = Route {
        ifindex: devices.way_out,
        next_hop: ip(KERNEL_VTEP),
        src_mac: WAY_OUT_MAC,
        dst_mac: Some(KERNEL_MAC),
        inner_mtu: 1450,
    };
    for (place, addr) in VTEPS {
        let mut vtep = Vtep::v4(WAY_OUT, addr, UDP_PORT, route);
        vtep.other = IpAddr::from(over_v6(addr)).into();
        if addr == KERNEL_VTEP_V6 {
            let remote = over_v6(addr);
            let route = Route { next_hop: remote.into(), inner_mtu: 1430, ..route };
            vtep = Vtep::v6(over_v6(WAY_OUT), remote, UDP_PORT, route);
        }
        if addr == PLAIN_VTEP {
            vtep.flags |= Vtep::EXTERNAL;
        }
        vteps.set(place, vtep, 0)?;
    }
    // Addresses of stations that are derived from IPv4 addresses stand in the array, all but one.
    let slice = Slice { base: Ipv4Addr::new(10, 1, 0, 0).into(), len: 256, offset: 256 };
    let mut nets: HashMap<MapData, u32, Net> = take(ebpf, "NETS")?;
    for (number, flags) in [(VNI, 0), (OTHER_VNI, 0), (SECRET_VNI, Net::ENCRYPTED)] {
        nets.insert(number, Net::new(flags), 0)?;
    }
    let mut members: HashMap<MapData, MemberKey, Member> = take(ebpf, "MEMBERS")?;
    for (number, vtep) in MEMBERS {
        let flags = if number == SECRET_VNI && !clear { Member::ENCRYPTED } else { 0 };
        let slice = if number == VNI { slice } else { Slice::NONE };
        for address in [ip(vtep), over_v6(vtep).into()] {
            members.insert(MemberKey::new(number, address.into()), Member { flags, slice }, 0)?;
            members.insert(MemberKey::new(0, address.into()), Member { flags: 0, slice: Slice::NONE }, 0)?;
        }
    }
    endpoints(ebpf, devices, slice)?;
    let prefix = |addr: IpAddr, len| Prefix::new(addr, len);
    let own = [prefix(OWN.v4.into(), 32), prefix(OWN.v6.into(), 128)];
    let mut port = Port::new(vni(VNI)?, &[OWN.mac], &own, 0).context("too much for a port")?;
    port.slice = slice;
    let mut ports: HashMap<MapData, u32, Port> = take(ebpf, "PORTS")?;
    Ok(ports.insert(devices.port, port, 0)?)
}

/// Writes what the tables say of the endpoints.
fn endpoints(ebpf: &mut Ebpf, devices: &Devices, slice: Slice) -> Result<()> {
    let mut fdb: HashMap<MapData, FdbKey, Fdb> = take(ebpf, "FDB")?;
    let mut slots: Array<MapData, Fdb> = take(ebpf, "FDB_V4")?;
    let mut neigh: HashMap<MapData, NeighKey, Neigh> = take(ebpf, "NEIGH")?;
    for (station, place) in STATIONS {
        let entry = match place {
            Place::Peer => Fdb::local(devices.port),
            Place::Egress => Fdb::local(devices.port).by(Fdb::EGRESS),
            Place::Behind(vtep) => {
                let (at, _) = VTEPS.iter().find(|(_, addr)| *addr == vtep).context("no such VTEP")?;
                Fdb::remote(*at, 0)
            }
        };
        let derived = MacAddr::from_ipv4(station.v4) == station.mac;
        let entry = entry.with_flags(Fdb::HAS_LINK_LOCAL | if derived { Fdb::HAS_IPV4 } else { 0 });
        match slice.slot(station.mac) {
            Some(slot) if station.mac != BESIDE.mac => slots.set(slot, entry, 0)?,
            _ => fdb.insert(FdbKey::new(VNI, station.mac), entry, 0)?,
        }
        if !derived {
            neigh.insert(NeighKey::new(VNI, ip(station.v4).into()), Neigh::new(station.mac), 0)?;
        }
        neigh.insert(NeighKey::new(VNI, IpAddr::from(station.v6).into()), Neigh::new(station.mac), 0)?;
    }
    // Here already, were the network not encrypted.
    Ok(fdb.insert(FdbKey::new(SECRET_VNI, LOCAL.mac), Fdb::local(devices.port), 0)?)
}

fn ip(addr: Ipv4Addr) -> IpAddr {
    addr.into()
}

fn vni(number: u32) -> Result<Vni> {
    Vni::new(number).map_err(|error| anyhow!("{error}"))
}

/// A map of the object, as its type.
pub(crate) fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> Result<T> {
    let map = ebpf.take_map(name).with_context(|| format!("no map {name}"))?;
    T::try_from(map).map_err(|_| anyhow!("map {name} is of another type"))
}

/// Where the tables have a MAC address of `VNI`.
pub(crate) fn place_of(mac: MacAddr) -> Option<Place> {
    STATIONS.iter().find(|(station, _)| station.mac == mac).map(|(_, place)| *place)
}

/// Whose address the tables say an address of `VNI` is.
pub(crate) fn owner_of(addr: IpAddr) -> Option<MacAddr> {
    let has = |station: &Station| match addr {
        IpAddr::V4(v4) => station.v4 == v4,
        IpAddr::V6(v6) => station.v6 == v6 || station.mac.link_local() == v6,
    };
    STATIONS.iter().find(|(station, _)| has(station)).map(|(station, _)| station.mac)
}
