//! The tables of the data plane in terms of meaning: what the kernel should hold, and what it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net};
use overlay_common::{MacAddr, Vni};

use crate::event::NextHop;

/// The kernel's number of a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ifindex(pub u32);

impl fmt::Display for Ifindex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All tables; the same type for the desired and for the installed ones, so that they can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// This node; none when nothing is installed.
    pub node: Option<NodeEntry>,
    /// The networks by VNI.
    pub nets: BTreeMap<Vni, Net>,
    /// The VTEPs of the other nodes, by the addresses that they are sent to.
    pub vteps: BTreeMap<IpAddr, Vtep>,
    /// Which VTEP may send into which network.
    pub members: BTreeSet<(Vni, IpAddr)>,
    /// The answers to ARP and neighbour solicitations that `Station::answers` does not give.
    pub neigh: BTreeMap<(Vni, IpAddr), MacAddr>,
    /// Where a MAC address is, and what it answers for.
    pub fdb: BTreeMap<(Vni, MacAddr), Station>,
    /// The local endpoints by the host side of their veth.
    pub ports: BTreeMap<Ifindex, Port>,
    /// The attached programs.
    pub hooks: BTreeSet<Hook>,
}

impl Tables {
    /// What of these tables is where others have an entry, whatever that says.
    #[must_use]
    pub fn where_in(&self, others: &[&Self]) -> Self {
        let all = || others.iter();
        Self {
            node: self.node.clone().filter(|_| all().any(|other| other.node.is_some())),
            nets: at(&self.nets, all().flat_map(|other| other.nets.keys())),
            vteps: at(&self.vteps, all().flat_map(|other| other.vteps.keys())),
            members: among(&self.members, all().flat_map(|other| &other.members)),
            neigh: at(&self.neigh, all().flat_map(|other| other.neigh.keys())),
            fdb: at(&self.fdb, all().flat_map(|other| other.fdb.keys())),
            ports: at(&self.ports, all().flat_map(|other| other.ports.keys())),
            hooks: among(&self.hooks, all().flat_map(|other| &other.hooks)),
        }
    }
}

fn at<'k, K: Ord + Clone + 'k, V: Clone>(
    map: &BTreeMap<K, V>,
    keys: impl Iterator<Item = &'k K>,
) -> BTreeMap<K, V> {
    keys.filter_map(|key| Some((key.clone(), map.get(key)?.clone()))).collect()
}

fn among<'k, K: Ord + Clone + 'k>(set: &BTreeSet<K>, keys: impl Iterator<Item = &'k K>) -> BTreeSet<K> {
    keys.filter(|key| set.contains(key)).cloned().collect()
}

/// This node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its IPv4 address on the underlay.
    pub vtep_v4: Option<Ipv4Addr>,
    /// Its IPv6 address on the underlay.
    pub vtep_v6: Option<Ipv6Addr>,
    /// Its underlay device.
    pub underlay: Ifindex,
    /// The MAC address of that.
    pub mac: MacAddr,
    /// The UDP port of VXLAN.
    pub udp_port: u16,
    /// Our vxlan devices.
    pub anchors: Anchors,
    /// Whether other vxlan devices listen on the UDP port, too: what is of no network of ours may be theirs.
    pub shared: bool,
}

/// Our vxlan devices, while they are there: one for each family that the node has an address of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// That for what comes over IPv4.
    pub v4: Option<Ifindex>,
    /// That for what comes over IPv6.
    pub v6: Option<Ifindex>,
}

impl Anchors {
    /// Those that are there.
    pub fn iter(&self) -> impl Iterator<Item = Ifindex> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Net {
    /// Whether its frames may cross the underlay only encrypted.
    pub encrypted: bool,
    /// Its first IPv4 subnet: most MAC addresses of the network are derived from addresses of it.
    pub subnet: Option<Ipv4Net>,
    /// Where its endpoints are told from, over IPv4, that a packet is too big.
    pub gateway_v4: Option<Ipv4Addr>,
    /// The same over IPv6.
    pub gateway_v6: Option<Ipv6Addr>,
}

/// The VTEP of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vtep {
    /// The way there; without one it is unroutable, and its frames are dropped and counted.
    pub next_hop: Option<NextHop>,
    /// The other address of its node, which it may send from.
    pub other: Option<IpAddr>,
    /// Whether it is a plain VXLAN device, whose stations nobody checks but who receives from them.
    pub external: bool,
}

/// A MAC address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// Where it is.
    pub at: Fdb,
    /// Which of the addresses that tell it by themselves its endpoint has.
    pub answers: Answers,
}

/// The addresses that a MAC address follows from. They need no entry of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The IPv4 address of `MacAddr::from_ipv4`.
    pub ipv4: bool,
    /// The link-local one of `MacAddr::link_local`.
    pub link_local: bool,
}

impl Answers {
    /// Those that an endpoint with this MAC address and these addresses has; every endpoint has the link-local one.
    pub fn of(mac: MacAddr, ips: &[IpAddr]) -> Self {
        Self { ipv4: mac.ipv4().is_some_and(|ip| ips.contains(&ip.into())), link_local: true }
    }

    /// The addresses, of this MAC address.
    pub fn ips(self, mac: MacAddr) -> impl Iterator<Item = IpAddr> {
        let ipv4 = mac.ipv4().filter(|_| self.ipv4).map(IpAddr::from);
        ipv4.into_iter().chain(self.link_local.then(|| mac.link_local().into()))
    }
}

/// Where a MAC address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fdb {
    /// Behind a port of this node.
    Local {
        /// The host side of the endpoint's veth.
        ifindex: Ifindex,
        /// Whether the endpoint sends on what it gets.
        forwards: bool,
    },
    /// On another node.
    Remote {
        /// The VTEP of that node.
        vtep: IpAddr,
        /// Whether the frame may leave only encrypted.
        encrypted: bool,
    },
}

/// A local endpoint as the guard of its veth knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The network.
    pub vni: Vni,
    /// The MAC addresses it may send from, its own first.
    pub macs: Vec<MacAddr>,
    /// The addresses it may send from: its own, the link-local one of its MAC, then what is allowed on top.
    pub allowed: Vec<IpNet>,
    /// Whether it may send router advertisements.
    pub allow_ra: bool,
    /// Whether it may answer as a DHCP server.
    pub allow_dhcp_server: bool,
}

/// A program at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hook {
    /// The program.
    pub program: Program,
    /// The device.
    pub ifindex: Ifindex,
}

/// A program that is attached to devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// At the host side of an endpoint's veth.
    FromContainer,
    /// Behind `FromContainer`, for what that does not take while it is detached.
    Unguarded,
    /// At our vxlan devices, for what `FromUnderlay` left to it; and so attached before that.
    FromAnchor,
    /// At the underlay device, for what comes in.
    FromUnderlay,
    /// At the underlay device, for what leaves.
    ToUnderlay,
    /// At the underlay device, before `FromUnderlay`, which must know what it does: attached after that.
    XdpUnderlay,
}

impl Program {
    /// The name of the program in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FromContainer => "from_container",
            Self::Unguarded => "unguarded",
            Self::FromUnderlay => "from_underlay",
            Self::FromAnchor => "from_anchor",
            Self::ToUnderlay => "to_underlay",
            Self::XdpUnderlay => "xdp_underlay",
        }
    }

    /// The side of a device that the program is attached to.
    pub const fn side(self) -> &'static str {
        match self {
            Self::FromContainer
            | Self::Unguarded
            | Self::FromUnderlay
            | Self::FromAnchor
            | Self::XdpUnderlay => "ingress",
            Self::ToUnderlay => "egress",
        }
    }
}
