//! What the agent reacts to.

use crate::tables::Ifindex;
use overlay_common::MacAddr;
use std::{collections::BTreeMap, net::IpAddr};

/// The node's attachment to the underlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The underlay device.
    pub ifindex: Ifindex,
    /// Its MAC address.
    pub mac: MacAddr,
    /// The address of this node's VTEP.
    pub vtep: IpAddr,
    /// The MTU of the device.
    pub mtu: u16,
    /// How each remote VTEP is reached.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
}

/// How a remote VTEP is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The output device.
    pub ifindex: Ifindex,
    /// The gateway, or the VTEP itself.
    pub via: IpAddr,
    /// The MAC address of `via`, while the kernel knows it.
    pub mac: Option<MacAddr>,
    /// The MAC address of the output device.
    pub source_mac: MacAddr,
}
