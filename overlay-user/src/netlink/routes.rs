//! Next hops: the kernel's own routes and neighbours say how each remote VTEP is reached.
//!
//! The neighbour of each next hop is installed as *managed*: the kernel then keeps its MAC address resolved
//! without traffic of its own, which the frames that the programs send would not count as.

use super::{
    Host, UnderlayError, UnderlaySelect,
    links::{UnderlayLink, mac_of},
    socket::{RtnlError, Verb},
};
use crate::{
    event::{NextHop, Underlay},
    tables::{Anchors, Ifindex},
    vteps::Vteps,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteProtocol, RouteType},
};
use overlay_common::{MacAddr, vxlan};
use rustix::io::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Marks the neighbours that we installed (`NDA_PROTOCOL`); nothing else uses this number.
const OUR_PROTOCOL: RouteProtocol = RouteProtocol::Other(79);

/// A neighbour by the device it is on and its address.
pub(super) type NeighbourKey = (Ifindex, IpAddr);

/// What the kernel knows of one neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Its MAC address, while it may be used.
    pub(super) mac: Option<MacAddr>,
    fixed: bool,
    managed: bool,
    ours: bool,
}

pub(super) struct Route {
    ifindex: Ifindex,
    via: IpAddr,
    /// What the administrator, or a router on the way, says of it.
    mtu: Option<u16>,
}

impl Host {
    /// Reads the node's attachment to the underlay, and has the kernel keep its next hops resolved.
    ///
    /// A VTEP without a route to it has no entry in `next_hops`; one whose next hop is not resolved yet has an
    /// entry without MAC address, and the kernel is at work on it: `Watch` tells when it is done.
    ///
    /// `declared` is what the cluster says of this node's addresses, `remote` the VTEPs that it sends to from those
    /// it has.
    pub async fn underlay(
        &mut self,
        select: &UnderlaySelect,
        declared: Option<Vteps>,
        remote: impl FnOnce(Vteps) -> BTreeSet<IpAddr>,
    ) -> Result<Underlay, UnderlayError> {
        // Where it fails, the kernel may have flushed them: that is no alteration.
        let managed = std::mem::take(&mut self.managed);
        let link = self.underlay_link(select, declared).await?;
        self.managed = managed;
        let next_hops = self.next_hops(&link, &remote(link.vteps)).await?;
        let UnderlayLink { ifindex, mac, vteps, mtu, .. } = link;
        Ok(Underlay {
            ifindex,
            mac,
            vteps,
            mtu,
            next_hops,
            xdp: false,
            anchors: Anchors::default(),
            shared: false,
        })
    }

    /// Removes the neighbours that we installed.
    pub async fn release_neighbours(&self) -> Result<(), RtnlError> {
        let ours = self.neighbours().await?;
        for (key, _) in ours.into_iter().filter(|(_, neighbour)| neighbour.ours) {
            self.delete_neighbour(key).await?;
        }
        Ok(())
    }

    async fn next_hops(
        &mut self,
        link: &UnderlayLink,
        remote: &BTreeSet<IpAddr>,
    ) -> Result<BTreeMap<IpAddr, NextHop>, RtnlError> {
        let mut devices = BTreeMap::from([(link.ifindex, Some((link.mac, link.mtu)))]);
        let mut next_hops = BTreeMap::new();
        let neighbours = self.neighbours().await?;
        for vtep in remote {
            let Some(route) = self.route(*vtep).await? else { continue };
            let device = match devices.get(&route.ifindex) {
                Some(device) => *device,
                None => self.link(route.ifindex).await?.and_then(|link| Some((link.mac?, link.short_mtu()))),
            };
            devices.insert(route.ifindex, device);
            // A device without MAC address takes no Ethernet frame: such a VTEP is out of reach.
            let Some((source_mac, mtu)) = device else { continue };
            let mac = neighbours.get(&(route.ifindex, route.via)).and_then(|neighbour| neighbour.mac);
            let inner_mtu = vxlan::inner_mtu(*vtep, route.mtu.map_or(mtu, |route| route.min(mtu)));
            let Route { ifindex, via, .. } = route;
            next_hops.insert(*vtep, NextHop { ifindex, via, mac, source_mac, inner_mtu });
        }
        self.manage_neighbours(&next_hops, &neighbours).await?;
        Ok(next_hops)
    }

    /// Asks the kernel's FIB for the route to `vtep`; `None` if it has none that leads off this host.
    async fn route(&self, vtep: IpAddr) -> Result<Option<Route>, RtnlError> {
        let mut message = RouteMessage::default();
        (message.header.address_family, message.header.destination_prefix_length) = match vtep {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        message.attributes.push(RouteAttribute::Destination(vtep.into()));
        match self.rtnl.request(RouteNetlinkMessage::GetRoute(message), Verb::Plain).await {
            Ok(answers) => Ok(answers.into_iter().find_map(|answer| route_of_answer(answer, vtep))),
            Err(error) if error.errno().is_some_and(is_unroutable) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn neighbours(&self) -> Result<BTreeMap<NeighbourKey, Neighbour>, RtnlError> {
        let dump = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
        let answers = self.rtnl.request(dump, Verb::Dump).await?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| {
                if let RouteNetlinkMessage::NewNeighbour(message) = answer {
                    neighbour_of(&message)
                } else {
                    None
                }
            })
            .collect())
    }

    /// Installs the neighbours of `next_hops` as managed, and removes those of ours that none needs any more.
    async fn manage_neighbours(
        &mut self,
        next_hops: &BTreeMap<IpAddr, NextHop>,
        neighbours: &BTreeMap<NeighbourKey, Neighbour>,
    ) -> Result<(), RtnlError> {
        let wanted: BTreeSet<NeighbourKey> = next_hops.values().map(|hop| (hop.ifindex, hop.via)).collect();
        let lost = self.lost(neighbours);
        self.lost.extend(lost.into_iter().filter(|key| wanted.contains(key)));
        for key in &wanted {
            // An entry that the administrator fixed has its MAC address; managing it would unfix it.
            if neighbours.get(key).is_some_and(|neighbour| neighbour.fixed || neighbour.managed) {
                continue;
            }
            self.manage(*key).await?;
        }
        for (key, neighbour) in neighbours {
            if neighbour.ours && !wanted.contains(key) {
                self.delete_neighbour(*key).await?;
            }
        }
        self.managed = wanted;
        Ok(())
    }

    /// Those of the managed neighbours that are managed no more.
    fn lost(&self, neighbours: &BTreeMap<NeighbourKey, Neighbour>) -> Vec<NeighbourKey> {
        let holds = |key| neighbours.get(key).is_some_and(|neighbour| neighbour.fixed || neighbour.managed);
        self.managed.iter().filter(|key| !holds(key)).copied().collect()
    }

    /// Has the kernel manage again what another deleted or altered.
    pub async fn restore_neighbours(&mut self) -> Result<(), RtnlError> {
        let neighbours = self.neighbours().await?;
        for key in self.lost(&neighbours) {
            self.manage(key).await?;
            self.lost.insert(key);
        }
        Ok(())
    }

    /// The neighbours that were deleted or altered by another since this was last asked.
    pub fn take_lost_neighbours(&mut self) -> BTreeSet<(Ifindex, IpAddr)> {
        std::mem::take(&mut self.lost)
    }

    async fn manage(&self, key: NeighbourKey) -> Result<(), RtnlError> {
        match self.rtnl.request(RouteNetlinkMessage::NewNeighbour(managed(key)), Verb::Replace).await {
            // The device went down or away meanwhile, which the watch tells; or the kernel is older than 5.16 and
            // knows no managed neighbours, and resolves this one when the host itself talks to it.
            Err(error) if error.errno().is_some() => {
                tracing::debug!(via = %key.1, device = %key.0, %error, "cannot have the neighbour kept resolved");
                Ok(())
            }
            result => result.map(|_| ()),
        }
    }

    async fn delete_neighbour(&self, key: NeighbourKey) -> Result<(), RtnlError> {
        match self.rtnl.request(RouteNetlinkMessage::DelNeighbour(message_for(key)), Verb::Plain).await {
            // Gone already, or its device is.
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV | Errno::NXIO)) => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

fn is_unroutable(errno: Errno) -> bool {
    // INVAL and ACCESS are what blackhole and prohibit routes answer.
    matches!(errno, Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::INVAL | Errno::ACCESS | Errno::NETDOWN)
}

pub(super) fn route_of_answer(answer: RouteNetlinkMessage, vtep: IpAddr) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    // A local route means that the VTEP is an address of this very host.
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let mut ifindex = None;
    let mut via = vtep;
    let mut mtu = None;
    for attribute in message.attributes {
        if let RouteAttribute::Oif(index) = attribute {
            ifindex = Some(Ifindex(index));
        } else if let RouteAttribute::Gateway(gateway) = attribute {
            via = ip_of(&gateway).unwrap_or(via);
        } else if let RouteAttribute::Metrics(metrics) = attribute {
            mtu = metrics.iter().find_map(mtu_of);
        } else if let RouteAttribute::Via(_) = attribute {
            // By way of a gateway of the other family (RFC 8950): the outer header is built for one of its own.
            return None;
        }
    }
    Some(Route { ifindex: ifindex?, via, mtu })
}

fn mtu_of(metric: &RouteMetric) -> Option<u16> {
    let RouteMetric::Mtu(mtu) = metric else { return None };
    // Zero where nobody has said any.
    u16::try_from(*mtu).ok().filter(|mtu| *mtu > 0)
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(ip) = address {
        Some((*ip).into())
    } else if let RouteAddress::Inet6(ip) = address {
        Some((*ip).into())
    } else {
        None
    }
}

/// Reads a neighbour entry; `None` for those of bridges and proxies.
pub(super) fn neighbour_of(message: &NeighbourMessage) -> Option<(NeighbourKey, Neighbour)> {
    if message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let mut ip = None;
    let mut mac = None;
    let mut ours = false;
    let mut managed = false;
    for attribute in &message.attributes {
        if let NeighbourAttribute::Destination(NeighbourAddress::Inet(destination)) = attribute {
            ip = Some(IpAddr::from(*destination));
        } else if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(destination)) = attribute {
            ip = Some(IpAddr::from(*destination));
        } else if let NeighbourAttribute::LinkLayerAddress(address) = attribute {
            mac = mac_of(address);
        } else if let NeighbourAttribute::Protocol(protocol) = attribute {
            ours = *protocol == OUR_PROTOCOL;
        } else if let NeighbourAttribute::ExtFlags(flags) = attribute {
            managed = flags.contains(NeighbourExtFlags::Managed);
        }
    }
    let state = message.header.state;
    let valid = matches!(
        state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    let fixed = matches!(state, NeighbourState::Permanent | NeighbourState::Noarp);
    let key = (Ifindex(message.header.ifindex), ip?);
    Some((key, Neighbour { mac: mac.filter(|_| valid), fixed, managed, ours }))
}

fn managed(key: NeighbourKey) -> NeighbourMessage {
    let mut message = message_for(key);
    // Without a state of our own the kernel keeps what it has, or starts to resolve.
    message.header.state = NeighbourState::None;
    message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    message.attributes.push(NeighbourAttribute::Protocol(OUR_PROTOCOL));
    message
}

fn message_for((ifindex, ip): NeighbourKey) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = ifindex.0;
    let (family, destination) = match ip {
        IpAddr::V4(ip) => (AddressFamily::Inet, NeighbourAddress::Inet(ip)),
        IpAddr::V6(ip) => (AddressFamily::Inet6, NeighbourAddress::Inet6(ip)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(destination));
    message
}
