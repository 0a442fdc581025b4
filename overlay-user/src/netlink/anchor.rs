//! Our own vxlan devices, for the frames that `from_underlay` cannot deliver soundly by itself.
//!
//! There is one for each family of outer packets, because a vxlan device listens over one of them. They are of one VNI,
//! which no network has, so that they share the UDP port with other such devices. The port's socket also has network cards'
//! GRO look into VXLAN (`udp_gro_receive`). Nothing is sent by them, and they are deaf as the host's ends of veths are: what
//! the program on them does not take dies there.

use std::{collections::BTreeMap, io, net::Ipv6Addr};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage},
};
use overlay_common::Vni;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType},
};

use super::{
    Host, UnderlayError, ethtool,
    links::{Link, Vxlan, link_by_name},
    socket::{RtnlError, Verb},
    sysctl::{self, SysctlError},
    veth::{link_up, no_link_local},
};
use crate::tables::Ifindex;

/// One of the devices, by what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Outer packets of IPv4.
    V4,
    /// Outer packets of IPv6.
    V6,
}

impl Anchor {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "overlay-anchor",
            Self::V6 => "overlay-anchor6",
        }
    }

    /// Whether a vxlan device takes what this one is for. Of the family the kernel tells no more than whether checksums may
    /// be missing, which only one over IPv6 is asked to bear.
    fn is(self, vxlan: Vxlan, port: u16) -> bool {
        (vxlan.vni, vxlan.port, vxlan.zero_sums) == (Vni::ANCHOR, port, self == Self::V6)
    }

    /// What it is made with.
    fn values(self, port: u16) -> Vec<InfoVxlan> {
        let mut values = vec![InfoVxlan::Id(Vni::ANCHOR), InfoVxlan::Port(port), InfoVxlan::Learning(false)];
        if self == Self::V6 {
            // From any address: that says of which family it is.
            values.push(InfoVxlan::Local6(Ipv6Addr::UNSPECIFIED));
            values.push(InfoVxlan::UDPZeroCsumRX(true));
        }
        values
    }

    /// That another has its port. Sockets over IPv6 are shared only by devices that agree about checksums
    /// (`vxlan_find_sock`).
    fn held(self, port: u16) -> AnchorError {
        match self {
            Self::V4 => AnchorError::PortHeld(port),
            Self::V6 => AnchorError::PortHeldV6(port),
        }
    }
}

/// Their MTU, larger than any packet it unpacks, for the sake of those who look.
const MTU: u32 = 65_485;

/// Why the device cannot be as it should be.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// Another socket has the port.
    #[error("cannot listen on UDP port {0}, which is held by another process")]
    PortHeld(u16),
    /// Another socket has the port over IPv6.
    #[error(
        "cannot listen on UDP port {0} over IPv6, which is held by another process or a vxlan device without udp6zerocsumrx"
    )]
    PortHeldV6(u16),
    /// Netlink refused.
    #[error("cannot make the device: {0}")]
    Netlink(#[from] RtnlError),
    /// Its offload stays on.
    #[error("cannot turn GRO off: {0}")]
    Offload(io::Error),
    /// It cannot be made deaf.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
}

fn is_ours(link: &Link) -> bool {
    Anchor::ALL.iter().any(|anchor| link.name == anchor.name())
}

/// Whether other vxlan devices are on the UDP port. Refused is one that takes every VNI.
pub fn check_port(links: &BTreeMap<Ifindex, Link>, port: u16) -> Result<bool, UnderlayError> {
    let mut others = links
        .values()
        .filter(|link| !is_ours(link) && link.vxlan.is_some_and(|vxlan| vxlan.port == port))
        .peekable();
    let shared = others.peek().is_some();
    match others.find(|link| link.vxlan.is_some_and(|vxlan| vxlan.external)) {
        Some(link) => Err(UnderlayError::PortHeld { port, device: link.name.clone() }),
        None => Ok(shared),
    }
}

impl Host {
    /// The device, made or restored where it is not as it should be; and what was altered on it.
    pub async fn anchor(&self, anchor: Anchor, port: u16) -> Result<(Ifindex, Vec<String>), AnchorError> {
        let there = link_by_name(&self.rtnl, anchor.name()).await?;
        if let Some(link) = &there
            && link.vxlan.is_some_and(|vxlan| anchor.is(vxlan, port))
        {
            return Ok((link.ifindex, self.restore_anchor(anchor, link, port).await?));
        }
        if let Some(other) = &there {
            self.delete_link(other.ifindex).await?;
        }
        let data = InfoData::Vxlan(anchor.values(port));
        let infos = vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(data)];
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(anchor.name().to_owned()),
            LinkAttribute::Mtu(MTU),
            LinkAttribute::LinkInfo(infos),
        ];
        self.rtnl.request(RouteNetlinkMessage::NewLink(message), Verb::Create).await?;
        let made = link_by_name(&self.rtnl, anchor.name()).await?.ok_or(RtnlError::Kernel(Errno::NODEV))?;
        no_link_local(&self.rtnl, made.ifindex).await?;
        self.restore_anchor(anchor, &made, port).await?;
        Ok((made.ifindex, Vec::new()))
    }

    /// Makes the device deaf and sets it up; tells what was not so.
    async fn restore_anchor(
        &self,
        anchor: Anchor,
        link: &Link,
        port: u16,
    ) -> Result<Vec<String>, AnchorError> {
        // GRO merges what has the same headers, whatever network it is of.
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)
            .map_err(|error| AnchorError::Offload(error.into()))?;
        ethtool::turn_off(socket, anchor.name(), &["rx-gro"]).map_err(AnchorError::Offload)?;
        let settings = sysctl::deafen(anchor.name())?;
        let mut altered: Vec<String> =
            settings.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
        if !link.up || link.arp {
            match link_up(&self.rtnl, link.ifindex, true).await {
                Err(error) if error.errno() == Some(Errno::ADDRINUSE) => {
                    return Err(anchor.held(port));
                }
                result => result?,
            }
            altered.push("not up without ARP".to_owned());
        }
        Ok(altered)
    }

    /// Removes the device.
    pub async fn remove_anchor(&self, anchor: Anchor) -> Result<(), RtnlError> {
        match link_by_name(&self.rtnl, anchor.name()).await? {
            Some(link) => self.delete_link(link.ifindex).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: &str = Anchor::V4.name();
    const ANCHOR6: &str = Anchor::V6.name();

    fn links(vxlans: &[(&str, u16, bool)]) -> BTreeMap<Ifindex, Link> {
        let link = |(index, (name, port, external)): (u32, &(&str, u16, bool))| {
            let link = Link {
                ifindex: Ifindex(index),
                name: (*name).to_owned(),
                kind: None,
                mac: None,
                mtu: 1500,
                up: true,
                arp: true,
                operational: true,
                peer: None,
                controller: None,
                vxlan: Some(Vxlan { vni: 1, port: *port, external: *external, zero_sums: false }),
            };
            (link.ifindex, link)
        };
        (1..).zip(vxlans).map(link).collect()
    }

    #[test]
    fn devices_of_one_vni_share_the_port_and_others_do_not() {
        let shared =
            |vxlans: &[(&str, u16, bool)]| check_port(&links(vxlans), 4789).map_err(|e| e.to_string());
        assert_eq!(
            shared(&[(ANCHOR, 4789, false), (ANCHOR6, 4789, false), ("flannel.1", 8472, true)]),
            Ok(false)
        );
        assert_eq!(shared(&[(ANCHOR, 4789, false), ("vx0", 4789, false)]), Ok(true));
        let error = shared(&[("vx0", 4789, false), ("cilium_vxlan", 4789, true)]).expect_err("held");
        assert!(
            error.starts_with("port 4789 is held by vxlan device \"cilium_vxlan\", which takes every VNI;")
        );
    }
}
