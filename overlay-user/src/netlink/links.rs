//! Devices and their addresses: the underlay device, and what else the agent must know of devices.

use super::{
    Host, UnderlayError, UnderlaySelect,
    socket::{Rtnl, RtnlError, Verb},
    veth::host_end::has_arp,
};
use crate::{tables::Ifindex, vteps::Vteps};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{InfoData, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, State},
};
use overlay_common::MacAddr;
use rustix::io::Errno;
use std::{collections::BTreeMap, net::IpAddr};

/// What the agent reads of a network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: Ifindex,
    /// Its name.
    pub name: String,
    /// What it is where it is a virtual device, as `ip` names it; none for that of a driver for hardware.
    pub kind: Option<String>,
    /// Its MAC address, where it is an Ethernet device.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: u32,
    /// Whether it is set up (`IFF_UP`).
    pub up: bool,
    /// Whether it answers ARP (no `IFF_NOARP`).
    pub arp: bool,
    /// Whether it can send: set up, with carrier, and past what delays it.
    pub operational: bool,
    /// The index of its peer, where it is one end of a veth pair.
    pub peer: Option<Ifindex>,
    /// The bridge, or other device, that it is a port of (`IFLA_MASTER`).
    pub controller: Option<Ifindex>,
    /// What it is as a vxlan device, where it is one.
    pub vxlan: Option<Vxlan>,
}

/// A vxlan device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vxlan {
    /// The VNI that it is for.
    pub vni: u32,
    /// The UDP port that it listens on.
    pub port: u16,
    /// Whether it takes every VNI (`external`), and so shares its port with no device of one VNI.
    pub external: bool,
    /// Whether it takes datagrams over IPv6 that have no checksum.
    pub zero_sums: bool,
}

impl Link {
    /// Its MTU. Larger ones exist on loopback only; a packet cannot be longer than this anyway.
    pub fn short_mtu(&self) -> u16 {
        u16::try_from(self.mtu).unwrap_or(u16::MAX)
    }
}

/// The device that the node sends VXLAN from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderlayLink {
    /// The index of the device.
    pub ifindex: Ifindex,
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u16,
    /// The addresses that are the node's VTEP.
    pub vteps: Vteps,
}

impl Host {
    /// Finds the underlay device, and checks that it can carry the overlay. `declared` is what the cluster says of
    /// this node's addresses.
    pub async fn underlay_link(
        &self,
        select: &UnderlaySelect,
        declared: Option<Vteps>,
    ) -> Result<UnderlayLink, UnderlayError> {
        let links = self.links().await?;
        let addresses = addresses(&self.rtnl).await?;
        let (link, vteps) = match select {
            UnderlaySelect::Device(name) => {
                let link =
                    links.values().find(|link| link.name == *name).ok_or_else(|| missing(name, &links))?;
                (link, vteps_of(link, declared, &addresses)?)
            }
            UnderlaySelect::Addresses(vteps) => {
                let first = vteps.first();
                let address = addresses.iter().find(|address| address.ip == first);
                let link = address.and_then(|address| links.get(&address.ifindex));
                let link = link.ok_or(UnderlayError::AddressMissing(first))?;
                check_carries(link, vteps, &addresses)?;
                (link, *vteps)
            }
        };
        let name = link.name.clone();
        let Some(mac) = link.mac else { return Err(UnderlayError::NotEthernet { name }) };
        if !link.up {
            return Err(UnderlayError::Down { name });
        }
        Ok(UnderlayLink { ifindex: link.ifindex, name, mac, mtu: link.short_mtu(), vteps })
    }

    /// Reads all devices of the namespace.
    pub async fn links(&self) -> Result<BTreeMap<Ifindex, Link>, RtnlError> {
        let answers =
            self.rtnl.request(RouteNetlinkMessage::GetLink(LinkMessage::default()), Verb::Dump).await?;
        Ok(answers.into_iter().filter_map(link_of_answer).map(|link| (link.ifindex, link)).collect())
    }

    /// Deletes a device. It is no error if there is none.
    pub(super) async fn delete_link(&self, ifindex: Ifindex) -> Result<(), RtnlError> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex.0;
        match self.rtnl.request(RouteNetlinkMessage::DelLink(message), Verb::Plain).await {
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// Reads one device by its index; `None` if there is no such device.
    pub async fn link(&self, ifindex: Ifindex) -> Result<Option<Link>, RtnlError> {
        link_by_index(&self.rtnl, ifindex).await
    }
}

fn missing(name: &str, links: &BTreeMap<Ifindex, Link>) -> UnderlayError {
    let known: Vec<&str> =
        links.values().map(|link| link.name.as_str()).filter(|name| *name != "lo").collect();
    let known = if known.is_empty() { "(this host has no device)".to_owned() } else { known.join(", ") };
    UnderlayError::Missing { name: name.to_owned(), known }
}

/// Those of the declared addresses that a device has; without any, its first primary one, of IPv4 if it has one.
fn vteps_of(link: &Link, declared: Option<Vteps>, all: &[Address]) -> Result<Vteps, UnderlayError> {
    let own = || all.iter().filter(|address| address.ifindex == link.ifindex);
    let carried = declared.iter().flat_map(Vteps::iter).filter(|vtep| own().any(|own| own.ip == *vtep));
    let usable = |address: &&Address| {
        let link_local = matches!(address.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        address.primary && !link_local
    };
    let first = || {
        let v4 = own().filter(usable).find(|address| address.ip.is_ipv4());
        v4.or_else(|| own().find(usable)).map(|address| Vteps::from(address.ip))
    };
    Vteps::of(carried).or_else(first).ok_or_else(|| UnderlayError::NoAddress { name: link.name.clone() })
}

/// Checks that a device has all of these addresses.
fn check_carries(link: &Link, vteps: &Vteps, all: &[Address]) -> Result<(), UnderlayError> {
    let own: Vec<IpAddr> =
        all.iter().filter(|address| address.ifindex == link.ifindex).map(|address| address.ip).collect();
    match vteps.iter().find(|vtep| !own.contains(vtep)) {
        Some(vtep) => {
            let found = own.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(UnderlayError::OtherAddress { name: link.name.clone(), vtep, found })
        }
        None => Ok(()),
    }
}

/// Reads one device by its index; `None` if there is no such device.
pub(crate) async fn link_by_index(rtnl: &Rtnl, ifindex: Ifindex) -> Result<Option<Link>, RtnlError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    one_link(rtnl, message).await
}

/// Reads one device by its name; `None` if there is no such device.
pub(crate) async fn link_by_name(rtnl: &Rtnl, name: &str) -> Result<Option<Link>, RtnlError> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    one_link(rtnl, message).await
}

async fn one_link(rtnl: &Rtnl, message: LinkMessage) -> Result<Option<Link>, RtnlError> {
    match rtnl.request(RouteNetlinkMessage::GetLink(message), Verb::Plain).await {
        Ok(answers) => Ok(answers.into_iter().find_map(link_of_answer)),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn link_of_answer(answer: RouteNetlinkMessage) -> Option<Link> {
    if let RouteNetlinkMessage::NewLink(message) = answer { Some(link_of(message)) } else { None }
}

pub(super) fn link_of(message: LinkMessage) -> Link {
    let flags = message.header.flags;
    let ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    let mut link = Link {
        ifindex: Ifindex(message.header.index),
        name: String::new(),
        kind: None,
        mac: None,
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        arp: has_arp(flags),
        operational: false,
        peer: None,
        controller: None,
        vxlan: None,
    };
    let mut lower = None;
    for attribute in message.attributes {
        // Of some eighty kinds of attributes, these matter here.
        if let LinkAttribute::IfName(name) = attribute {
            link.name = name;
        } else if let LinkAttribute::Mtu(mtu) = attribute {
            link.mtu = mtu;
        } else if let LinkAttribute::Address(address) = attribute {
            link.mac = mac_of(&address).filter(|_| ethernet);
        } else if let LinkAttribute::OperState(state) = attribute {
            // Devices without a notion of it say Unknown.
            link.operational = link.up && matches!(state, State::Up | State::Unknown);
        } else if let LinkAttribute::Link(index) = attribute {
            lower = Some(Ifindex(index));
        } else if let LinkAttribute::Controller(index) = attribute {
            link.controller = Some(Ifindex(index));
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            link.kind = infos
                .iter()
                .find_map(|info| if let LinkInfo::Kind(kind) = info { Some(kind.to_string()) } else { None });
            link.vxlan = vxlan(&infos);
        }
    }
    link.peer = lower.filter(|_| link.kind.as_deref() == Some("veth"));
    link
}

fn vxlan(infos: &[LinkInfo]) -> Option<Vxlan> {
    let values = infos.iter().find_map(|info| {
        if let LinkInfo::Data(InfoData::Vxlan(values)) = info { Some(values) } else { None }
    })?;
    let mut vxlan = Vxlan { vni: 0, port: 0, external: false, zero_sums: false };
    for value in values {
        if let InfoVxlan::Id(vni) = value {
            vxlan.vni = *vni;
        } else if let InfoVxlan::Port(port) = value {
            vxlan.port = *port;
        } else if let InfoVxlan::CollectMetadata(external) = value {
            vxlan.external = *external;
        } else if let InfoVxlan::UDPZeroCsumRX(zero_sums) = value {
            vxlan.zero_sums = *zero_sums;
        }
    }
    Some(vxlan)
}

/// The MAC address of a link-layer address, if it has six bytes.
pub(super) fn mac_of(address: &[u8]) -> Option<MacAddr> {
    <[u8; 6]>::try_from(address).ok().map(MacAddr::new)
}

/// An address of a device.
pub(super) struct Address {
    pub(super) ifindex: Ifindex,
    pub(super) ip: IpAddr,
    primary: bool,
    /// As the kernel tells it.
    pub(super) message: AddressMessage,
}

pub(super) async fn addresses(rtnl: &Rtnl) -> Result<Vec<Address>, RtnlError> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Unspec;
    let answers = rtnl.request(RouteNetlinkMessage::GetAddress(message), Verb::Dump).await?;
    Ok(answers.into_iter().filter_map(address_of_answer).collect())
}

pub(super) fn address_of_answer(answer: RouteNetlinkMessage) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    let mut local = None;
    let mut address = None;
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            address = Some(*ip);
        }
    }
    Some(Address {
        ifindex: Ifindex(message.header.index),
        // On a point-to-point device `Address` is the peer's; IPv6 has no `Local` elsewhere.
        ip: local.or(address)?,
        primary: !message.header.flags.contains(AddressHeaderFlags::Secondary)
            && message.header.scope != AddressScope::Host,
        message,
    })
}
