//! `Watch`: tells when the kernel's network configuration changed.

use super::{
    routes::{NeighbourKey, neighbour_of},
    socket::{Messages, RtnlError, subscribe},
};
use crate::tables::Ifindex;
use futures_util::StreamExt as _;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use overlay_common::MacAddr;
use rtnetlink::MulticastGroup;
use std::{collections::HashMap, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Changes come in bursts (a device goes down, and with it its addresses, routes and neighbours).
const DEBOUNCE: Duration = Duration::from_millis(20);

/// Enough for a burst of about a thousand messages; more is treated as `Change::Lost`.
const RECEIVE_BUFFER: u32 = 1 << 20;

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Neigh,
];

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something that `Host::underlay` reads may have changed. Comes once for a burst.
    Underlay,
    /// The device is gone from this namespace: deleted, or moved to another.
    LinkGone(Ifindex),
    /// Messages were lost: everything may have changed, and devices may be gone.
    Lost,
}

/// A subscription to changes in the agent's own namespace.
pub struct Watch {
    messages: Messages,
    connection: JoinHandle<()>,
    /// When to report the burst that is going on.
    due: Option<Instant>,
    /// The last usable MAC address of each neighbour: the kernel also tells of every probe of one.
    macs: HashMap<NeighbourKey, Option<MacAddr>>,
}

impl Watch {
    /// Subscribes. Read what you need *after* this, so that no change falls between.
    pub fn start() -> Result<Self, RtnlError> {
        let (messages, connection) = subscribe(&GROUPS, RECEIVE_BUFFER)?;
        Ok(Self { messages, connection, due: None, macs: HashMap::new() })
    }

    /// Waits for the next change; `None` when the subscription broke, and a new one must be started.
    ///
    /// May be dropped and called again without losing a change.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let due = self.due;
            let message = tokio::select! {
                biased;
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                    self.due = None;
                    return Some(Change::Underlay);
                }
                message = self.messages.next() => message?,
            };
            if let Some(change) = self.take_in(message) {
                return Some(change);
            }
        }
    }

    fn take_in(&mut self, message: NetlinkMessage<RouteNetlinkMessage>) -> Option<Change> {
        if let NetlinkPayload::Overrun(_) = message.payload {
            self.macs.clear();
            return Some(Change::Lost);
        }
        let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
        let matters = if let RouteNetlinkMessage::NewNeighbour(neighbour) = &message {
            neighbour_of(neighbour)
                .is_some_and(|(key, neighbour)| self.macs.insert(key, neighbour.mac) != Some(neighbour.mac))
        } else if let RouteNetlinkMessage::DelNeighbour(neighbour) = &message {
            neighbour_of(neighbour).is_some_and(|(key, _)| {
                self.macs.remove(&key);
                true
            })
        } else {
            true
        };
        if matters {
            self.due.get_or_insert_with(|| Instant::now() + DEBOUNCE);
        }
        let RouteNetlinkMessage::DelLink(link) = message else { return None };
        // Of family AF_BRIDGE, it means only that the device left a bridge.
        let gone = link.header.interface_family == AddressFamily::Unspec;
        gone.then_some(Change::LinkGone(Ifindex(link.header.index)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
