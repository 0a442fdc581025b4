//! Our own vxlan device, for the frames that `from_underlay` cannot deliver soundly by itself.
//!
//! It is of one VNI, which no network has, so that it shares the UDP port with other such devices. The port's socket also
//! has network cards' GRO look into VXLAN (`udp_gro_receive`). Nothing is sent by it, and it is deaf as the host's ends of
//! veths are: what the program on it does not take dies there.

use std::{collections::BTreeMap, io};

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
    links::{Link, link_by_name},
    socket::{RtnlError, Verb},
    sysctl::{self, SysctlError},
    veth::{link_up, no_link_local},
};
use crate::tables::Ifindex;

/// The device.
pub const ANCHOR: &str = "overlay-anchor";
/// Its MTU, larger than any packet it unpacks, for the sake of those who look.
const MTU: u32 = 65_485;

/// Why the device cannot be as it should be.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// Another socket has the port.
    #[error("UDP port {0} is held by another process, so the device {ANCHOR} cannot listen on it")]
    PortHeld(u16),
    /// Netlink refused.
    #[error("cannot make the device {ANCHOR}: {0}")]
    Netlink(#[from] RtnlError),
    /// Its offload stays on.
    #[error("cannot turn GRO off on {ANCHOR}: {0}")]
    Offload(io::Error),
    /// It cannot be made deaf.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
}

/// Whether other vxlan devices are on the UDP port. Refused is one that takes every VNI.
pub fn check_port(links: &BTreeMap<Ifindex, Link>, port: u16) -> Result<bool, UnderlayError> {
    let mut others = links
        .values()
        .filter(|link| link.name != ANCHOR && link.vxlan.is_some_and(|vxlan| vxlan.port == port))
        .peekable();
    let shared = others.peek().is_some();
    match others.find(|link| link.vxlan.is_some_and(|vxlan| vxlan.external)) {
        Some(link) => Err(UnderlayError::PortHeld { port, device: link.name.clone() }),
        None => Ok(shared),
    }
}

impl Host {
    /// The device, made or restored where it is not as it should be; and what was altered on it.
    pub async fn anchor(&self, port: u16) -> Result<(Ifindex, Vec<String>), AnchorError> {
        let there = link_by_name(&self.rtnl, ANCHOR).await?;
        if let Some(link) = &there
            && link.vxlan.is_some_and(|vxlan| (vxlan.vni, vxlan.port) == (Vni::ANCHOR, port))
        {
            return Ok((link.ifindex, self.restore_anchor(link, port).await?));
        }
        if let Some(other) = &there {
            self.delete_link(other.ifindex).await?;
        }
        let values = vec![InfoVxlan::Id(Vni::ANCHOR), InfoVxlan::Port(port), InfoVxlan::Learning(false)];
        let infos = vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(InfoData::Vxlan(values))];
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(ANCHOR.to_owned()),
            LinkAttribute::Mtu(MTU),
            LinkAttribute::LinkInfo(infos),
        ];
        self.rtnl.request(RouteNetlinkMessage::NewLink(message), Verb::Create).await?;
        let made = link_by_name(&self.rtnl, ANCHOR).await?.ok_or(RtnlError::Kernel(Errno::NODEV))?;
        no_link_local(&self.rtnl, made.ifindex).await?;
        self.restore_anchor(&made, port).await?;
        Ok((made.ifindex, Vec::new()))
    }

    /// Makes the device deaf and sets it up; tells what was not so.
    async fn restore_anchor(&self, link: &Link, port: u16) -> Result<Vec<String>, AnchorError> {
        // GRO merges what has the same headers, whatever network it is of.
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)
            .map_err(|error| AnchorError::Offload(error.into()))?;
        ethtool::turn_off(socket, ANCHOR, &["rx-gro"]).map_err(AnchorError::Offload)?;
        let settings = sysctl::deafen(ANCHOR)?;
        let mut altered: Vec<String> =
            settings.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
        if !link.up || link.arp {
            match link_up(&self.rtnl, link.ifindex, true).await {
                Err(error) if error.errno() == Some(Errno::ADDRINUSE) => {
                    return Err(AnchorError::PortHeld(port));
                }
                result => result?,
            }
            altered.push("not up without ARP".to_owned());
        }
        Ok(altered)
    }

    /// Removes the device.
    pub async fn remove_anchor(&self) -> Result<(), RtnlError> {
        match link_by_name(&self.rtnl, ANCHOR).await? {
            Some(link) => self.delete_link(link.ifindex).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::links::Vxlan;

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
                vxlan: Some(Vxlan { vni: 1, port: *port, external: *external }),
            };
            (link.ifindex, link)
        };
        (1..).zip(vxlans).map(link).collect()
    }

    #[test]
    fn devices_of_one_vni_share_the_port_and_others_do_not() {
        let shared =
            |vxlans: &[(&str, u16, bool)]| check_port(&links(vxlans), 4789).map_err(|e| e.to_string());
        assert_eq!(shared(&[(ANCHOR, 4789, false), ("flannel.1", 8472, true)]), Ok(false));
        assert_eq!(shared(&[(ANCHOR, 4789, false), ("vx0", 4789, false)]), Ok(true));
        let error = shared(&[("vx0", 4789, false), ("cilium_vxlan", 4789, true)]).expect_err("held");
        assert!(
            error.starts_with("port 4789 is held by vxlan device \"cilium_vxlan\", which takes every VNI;")
        );
    }
}
