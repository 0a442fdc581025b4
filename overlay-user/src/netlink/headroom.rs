//! Headroom: room before a container's frames for the outer header, so that the kernel need not move each of them.
//!
//! A UDP socket leaves only as much room as the container's device asks for, and veth asks for none: then
//! `bpf_skb_adjust_room` reallocates every datagram's buffer. Nothing sets what a veth asks for but being a port of a
//! bridge: it then has as much as the bridge's neediest port (`br_add_if`, `veth_set_rx_headroom`). So there is a bridge
//! that is never up, beside the veths on it a vxlan device that is never up either and needs a VXLAN header's room.
//!
//! The bridge forwards nothing: it is down, its ports are isolated from each other, and the programs take every frame
//! before it. What they let through while they are detached it drops (`br_handle_frame`: a disabled port).

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVxlan, LinkAttribute, LinkFlags,
        LinkInfo, LinkMessage,
    },
};
use rustix::io::Errno;

use super::{
    Host,
    links::{Link, link_by_name},
    socket::{RtnlError, Verb},
};
use crate::tables::Ifindex;

/// The bridge.
pub const BRIDGE: &str = "overlay-room";
/// The vxlan device on it.
pub const NEEDY: &str = "overlay-room-vx";
/// Its VNI, the last there is.
const VNI: u32 = 0xff_ffff;
/// Its UDP port, that of the discard service: it would be bound only if the device were up.
const PORT: u16 = 9;

impl Host {
    /// The bridge, made with the vxlan device on it where one of them is missing; none if it went just then.
    pub async fn headroom_bridge(&self) -> Result<Option<Ifindex>, RtnlError> {
        let bridge = match link_by_name(&self.rtnl, BRIDGE).await? {
            Some(bridge) => Some(bridge),
            None => self.make(BRIDGE, vec![LinkInfo::Kind(InfoKind::Bridge)], None).await?,
        };
        let Some(bridge) = bridge.map(|bridge| bridge.ifindex) else { return Ok(None) };
        let needy = link_by_name(&self.rtnl, NEEDY).await?;
        if needy.as_ref().and_then(|needy| needy.controller) != Some(bridge) {
            // One that is on no bridge any more is made anew: it may be anybody's.
            if let Some(needy) = needy {
                self.delete_link(needy.ifindex).await?;
            }
            let vxlan = InfoData::Vxlan(vec![InfoVxlan::Id(VNI), InfoVxlan::Port(PORT)]);
            let infos = vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(vxlan)];
            self.make(NEEDY, infos, Some(bridge)).await?;
        }
        Ok(Some(bridge))
    }

    /// Gives both ends of a veth headroom: makes it a port of the bridge that reaches no other port.
    pub async fn give_headroom(&self, veth: Ifindex, bridge: Ifindex) -> Result<(), RtnlError> {
        let mut message = LinkMessage::default();
        message.header.index = veth.0;
        message.attributes.push(LinkAttribute::Controller(bridge.0));
        self.rtnl.request(RouteNetlinkMessage::SetLink(message.clone()), Verb::Plain).await?;
        let isolated = InfoPortData::BridgePort(vec![
            InfoBridgePort::Isolated(true),
            InfoBridgePort::Learning(false),
            InfoBridgePort::UnicastFlood(false),
            InfoBridgePort::MulticastFlood(false),
            InfoBridgePort::BroadcastFlood(false),
        ]);
        let infos = vec![LinkInfo::PortKind(InfoPortKind::Bridge), LinkInfo::PortData(isolated)];
        message.attributes = vec![LinkAttribute::LinkInfo(infos)];
        // Of a new link by its kind: what is there already is changed (`rtnl_changelink`).
        self.rtnl.request(RouteNetlinkMessage::NewLink(message), Verb::Plain).await.map(|_| ())
    }

    /// Sets the bridge down.
    pub async fn set_bridge_down(&self, bridge: Ifindex) -> Result<(), RtnlError> {
        let mut message = LinkMessage::default();
        message.header.index = bridge.0;
        message.header.change_mask = LinkFlags::Up;
        self.rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await.map(|_| ())
    }

    /// Removes the bridge and the vxlan device.
    pub async fn remove_headroom(&self) -> Result<(), RtnlError> {
        for name in [NEEDY, BRIDGE] {
            if let Some(link) = link_by_name(&self.rtnl, name).await? {
                self.delete_link(link.ifindex).await?;
            }
        }
        Ok(())
    }

    /// Makes a device, which another call may have made meanwhile.
    async fn make(
        &self,
        name: &str,
        infos: Vec<LinkInfo>,
        bridge: Option<Ifindex>,
    ) -> Result<Option<Link>, RtnlError> {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::LinkInfo(infos)];
        message.attributes.extend(bridge.map(|bridge| LinkAttribute::Controller(bridge.0)));
        match self.rtnl.request(RouteNetlinkMessage::NewLink(message), Verb::Create).await {
            Err(error) if error.errno() != Some(Errno::EXIST) => Err(error),
            _ => link_by_name(&self.rtnl, name).await,
        }
    }
}
