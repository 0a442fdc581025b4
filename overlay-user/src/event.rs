//! What can happen to the agent's state.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use overlay_common::MacAddr;

use crate::{
    cluster::{Cluster, EndpointId},
    membership::follow::Changes,
    tables::{Anchors, Ifindex},
    vteps::Vteps,
};

/// Something that changes the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The whole cluster, which replaces the last one.
    Cluster(Cluster),
    /// Some endpoints of it are others, or gone.
    Endpoints(Changes),
    /// The source has nothing valid; the last good cluster stays.
    SourceFailed(SourceError),
    /// The underlay as it is now, whole.
    Underlay(Underlay),
    /// The endpoint's veth exists.
    PortUp {
        /// The endpoint.
        id: EndpointId,
        /// The host side of its veth.
        ifindex: Ifindex,
    },
    /// The endpoint's veth is gone.
    PortDown {
        /// The endpoint.
        id: EndpointId,
    },
}

/// Why a source has nothing valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// One line for people, which names the file and the place in it where there is one.
    pub message: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The device that carries the outer packets, and the ways to the other VTEPs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The device.
    pub ifindex: Ifindex,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses that are this node's VTEP.
    pub vteps: Vteps,
    /// Its MTU.
    pub mtu: u16,
    /// The way to each remote VTEP that has a route.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
    /// Whether its driver runs XDP for us.
    pub xdp: bool,
    /// Our vxlan devices.
    pub anchors: Anchors,
    /// Whether other vxlan devices listen on our UDP port.
    pub shared: bool,
}

/// The next hop on the way to a VTEP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The device to send by.
    pub ifindex: Ifindex,
    /// The gateway, or the VTEP itself when it is on the link.
    pub via: IpAddr,
    /// The MAC address of `via`, while its neighbour entry is valid.
    pub mac: Option<MacAddr>,
    /// The MAC address of the device to send by.
    pub source_mac: MacAddr,
    /// The longest inner IP packet that the way carries.
    pub inner_mtu: u16,
}
