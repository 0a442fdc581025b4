//! The cluster that the tests play in: a network, its endpoints, the nodes they are on.
//!
//! The port under test is the loopback device: the kernel runs a program as if the frame had come in there, so its
//! interface index is 1 and the underlay device's MAC address is zero.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use overlay_common::{
    Counter, DropReason, MacAddr, Vni,
    map::{Fdb, FdbKey, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Port, Prefix, Slice},
    vxlan::{Route, Vtep},
};
use overlay_tests::scene::{over_v6, station, vtep};

use crate::harness::{Event, Hook, Kernel, Meta, Verdict, family_is_told};

pub(crate) use overlay_tests::scene::{
    EGRESS, FOREIGN_VNI, LOOPBACK_MAC as DEVICE_MAC, NOBODY, OTHER_VNI, OUR_VTEP, OUR_VTEP_V6, OUTER_DST,
    OUTER_SRC, OWN, PLAIN, REMOTE, SECRET_VNI, Station, UDP_PORT, VNI,
};

/// Longest inner IP packet, over IPv4 and over IPv6.
pub(crate) const INNER_MTU: u16 = 1450;
pub(crate) const INNER_MTU_V6: u16 = 1430;
/// What a kernel that is not told the inner family leaves of a frame over IPv6 at least: Ethernet and IPv6 headers.
pub(crate) const SHORTEST_V6: usize = 14 + 40;
/// The device that the kernel runs programs on.
pub(crate) const DEVICE: u32 = 1;

/// The VTEP of the other node; of nodes without a route, and without a resolved next hop.
pub(crate) const VTEP: Ipv4Addr = vtep(2);
pub(crate) const UNROUTED_VTEP: Ipv4Addr = vtep(3);
pub(crate) const UNRESOLVED_VTEP: Ipv4Addr = vtep(4);
/// A plain VXLAN device, without programs of ours.
pub(crate) const PLAIN_VTEP: Ipv4Addr = vtep(5);
/// The VTEP of another node over IPv6.
pub(crate) const VTEP_V6: Ipv6Addr = over_v6(VTEP);
/// A node of two addresses, which is sent to by the first.
pub(crate) const DUAL_VTEP: Ipv4Addr = vtep(6);
pub(crate) const DUAL_VTEP_V6: Ipv6Addr = over_v6(DUAL_VTEP);
/// The router on the way to `VTEP_V6`.
pub(crate) const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Another on this node.
pub(crate) const LOCAL: Station = station(2);
/// One behind the VTEP without a route.
pub(crate) const UNROUTED: Station = station(4);
/// One behind the VTEP whose next hop has no known MAC address.
pub(crate) const UNRESOLVED: Station = station(5);
/// One whose frames would have to be encrypted.
pub(crate) const SECRET: Station = station(6);
/// One that the table has behind the port under test, too.
pub(crate) const BESIDE: Station = station(7);
/// One behind the VTEP over IPv6.
pub(crate) const REMOTE_V6: Station = station(10);
/// One of the node of two addresses.
pub(crate) const DUAL: Station = station(11);

/// What the port under test may send from besides: a MAC address, and `192.168.7.0/24` and `fd07::/64`.
pub(crate) const EXTRA_MAC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 7, 7]);

pub(crate) fn prefix(ip: impl Into<IpAddr>, len: u8) -> Prefix {
    Prefix::new(ip.into(), len)
}

/// A port of the network with the addresses of `OWN` and `allowed`.
pub(crate) fn port(allowed: &[Prefix], flags: u32) -> Port {
    let mut prefixes = vec![prefix(OWN.v4, 32), prefix(OWN.v6, 128), prefix(OWN.mac.link_local(), 128)];
    prefixes.extend(allowed);
    Port::new(vni(VNI), &[OWN.mac, EXTRA_MAC], &prefixes, flags).expect("fits a port")
}

/// An FDB entry of another delivery.
pub(crate) fn by(delivery: u8, fdb: Fdb) -> Fdb {
    fdb.by(delivery)
}

/// An FDB entry with flags.
pub(crate) fn has(flags: u8, fdb: Fdb) -> Fdb {
    fdb.with_flags(flags)
}

fn vni(number: u32) -> Vni {
    Vni::new(number).expect("a VNI")
}

impl Kernel {
    /// The programs over the tables of the scene.
    pub(crate) fn scene() -> Self {
        let mut kernel = Self::new();
        kernel.fill();
        kernel
    }

    /// Writes the tables of the scene.
    pub(crate) fn fill(&mut self) {
        let node = NodeConfig::new((Some(OUR_VTEP), Some(OUR_VTEP_V6)), 9, UDP_PORT);
        self.config.set(0, node, 0).expect("CONFIG");
        let (v4, v6) = (Ipv4Addr::new(192, 168, 7, 0), Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 0));
        self.set_port(&port(&[prefix(v4, 24), prefix(v6, 64)], 0));
        self.fill_vteps();
        for (number, flags) in [(VNI, 0), (OTHER_VNI, 0), (SECRET_VNI, Net::ENCRYPTED)] {
            self.nets.insert(number, Net::new(flags), 0).expect("NETS");
        }
        let (vtep_v6, dual, dual_v6) = (VTEP_V6.into(), DUAL_VTEP.into(), DUAL_VTEP_V6.into());
        for (number, vtep, flags) in [
            (0, IpAddr::from(VTEP), 0),
            (VNI, VTEP.into(), 0),
            (SECRET_VNI, VTEP.into(), Member::ENCRYPTED),
            (0, PLAIN_VTEP.into(), 0),
            (VNI, PLAIN_VTEP.into(), 0),
            (0, UNROUTED_VTEP.into(), 0),
            (OTHER_VNI, UNROUTED_VTEP.into(), 0),
            (0, vtep_v6, 0),
            (VNI, vtep_v6, 0),
            (SECRET_VNI, vtep_v6, Member::ENCRYPTED),
            (0, dual, 0),
            (VNI, dual, 0),
            (0, dual_v6, 0),
            (VNI, dual_v6, 0),
        ] {
            let key = MemberKey::new(number, vtep.into());
            self.members.insert(key, Member { flags, slice: Slice::NONE }, 0).expect("MEMBERS");
        }
        let egress = by(Fdb::EGRESS, Fdb::local(78));
        for (station, fdb) in [
            (OWN, Fdb::local(DEVICE)),
            (LOCAL, Fdb::local(77)),
            (REMOTE, Fdb::remote(0, 0)),
            (UNROUTED, Fdb::remote(1, 0)),
            (UNRESOLVED, Fdb::remote(2, 0)),
            (SECRET, Fdb::remote(0, Fdb::ENCRYPTED)),
            (BESIDE, Fdb::local(DEVICE)),
            (EGRESS, egress),
            (PLAIN, Fdb::remote(5, 0)),
            (REMOTE_V6, Fdb::remote(6, 0)),
            (DUAL, Fdb::remote(7, 0)),
        ] {
            self.set_fdb(VNI, station.mac, has(Fdb::HAS_IPV4 | Fdb::HAS_LINK_LOCAL, fdb));
            self.set_neigh(station.v6, station.mac);
        }
        self.set_fdb(SECRET_VNI, LOCAL.mac, Fdb::local(77));
    }

    fn fill_vteps(&mut self) {
        let (src_mac, dst_mac) = (OUTER_SRC, Some(OUTER_DST));
        let route = Route { ifindex: 9, next_hop: VTEP.into(), src_mac, dst_mac, inner_mtu: INNER_MTU };
        let route_v6 = Route { next_hop: ROUTER.into(), inner_mtu: INNER_MTU_V6, ..route };
        let mut plain = Vtep::v4(OUR_VTEP, PLAIN_VTEP, UDP_PORT, route);
        plain.flags |= Vtep::EXTERNAL;
        let mut dual = Vtep::v4(OUR_VTEP, DUAL_VTEP, UDP_PORT, route);
        dual.other = IpAddr::from(DUAL_VTEP_V6).into();
        for (place, vtep) in [
            (0, Vtep::v4(OUR_VTEP, VTEP, UDP_PORT, route)),
            (1, Vtep::unrouted(IpAddr::from(UNROUTED_VTEP).into())),
            (2, Vtep::v4(OUR_VTEP, UNRESOLVED_VTEP, UDP_PORT, Route { dst_mac: None, ..route })),
            (5, plain),
            (6, Vtep::v6(OUR_VTEP_V6, VTEP_V6, UDP_PORT, route_v6)),
            (7, dual),
        ] {
            self.vteps.set(place, vtep, 0).expect("VTEPS");
        }
    }

    pub(crate) fn set_port(&mut self, port: &Port) {
        self.ports.insert(DEVICE, port, 0).expect("PORTS");
    }

    pub(crate) fn set_neigh(&mut self, ip: impl Into<IpAddr>, mac: MacAddr) {
        let key = NeighKey::new(VNI, ip.into().into());
        self.neigh.insert(key, Neigh::new(mac), 0).expect("NEIGH");
    }

    pub(crate) fn set_fdb(&mut self, number: u32, mac: MacAddr, fdb: Fdb) {
        self.fdb.insert(FdbKey::new(number, mac), fdb, 0).expect("FDB");
    }

    /// Asserts that a container's frame is dropped and counted under the network and this reason.
    #[track_caller]
    pub(crate) fn refuses(&self, frame: &[u8], reason: DropReason) {
        self.drops(Hook::FromContainer, frame, VNI, reason);
    }

    /// Asserts that a container's frame goes to a VTEP; the encapsulated frame.
    #[track_caller]
    pub(crate) fn sends(&self, frame: &[u8]) -> Vec<u8> {
        let back = self.run(Hook::FromContainer, frame);
        if !back.moved.is_empty() {
            return self.redirects(Hook::FromContainer, frame, Counter::ToUnderlay);
        }
        // One that is not IP comes back to the device, with its outer header, and goes from there as it is.
        assert_eq!(back.verdict, Verdict::Redirect, "frame {frame:02x?}");
        let sent =
            self.run_with(Hook::FromContainer, &back.frame, Meta { mark: back.mark, ..Meta::default() });
        let expected = BTreeMap::from([(Event::Count(Counter::ToUnderlay.name()), 1)]);
        assert_eq!((sent.verdict, sent.moved), (Verdict::Redirect, expected), "frame {frame:02x?}");
        assert_eq!((sent.frame.as_slice(), sent.mark), (back.frame.as_slice(), back.mark));
        sent.frame
    }

    /// Asserts that a frame of the underlay is dropped and counted under this VNI and reason.
    #[track_caller]
    pub(crate) fn rejects(&self, frame: &[u8], number: u32, reason: DropReason) {
        self.drops(Hook::FromUnderlay, frame, number, reason);
    }

    /// Asserts that a frame of the underlay is delivered; the frame that the container gets, but for what a kernel that
    /// is not told its family leaves behind a short IPv4 packet.
    #[track_caller]
    pub(crate) fn delivers(&self, frame: &[u8]) -> Vec<u8> {
        let mut delivered = self.redirects(Hook::FromUnderlay, frame, Counter::FromUnderlay);
        if !family_is_told() && delivered.len() == SHORTEST_V6 && delivered[12..14] == [8, 0] {
            let end = 14 + usize::from(u16::from_be_bytes([delivered[16], delivered[17]]));
            assert_eq!(delivered.split_off(end), vec![0; SHORTEST_V6 - end], "what fills a frame up");
        }
        delivered
    }
}
