//! The edge to the kernel's network configuration: devices, addresses, routes and neighbours, over rtnetlink.
//!
//! Nothing here decides anything about the overlay; it reads what is, makes and removes veth pairs, and says
//! when something changed.

pub mod anchor;
#[cfg(feature = "decoders")]
pub mod decoders;
mod ethtool;
pub mod headroom;
pub mod links;
pub mod routes;
pub mod socket;
pub mod sysctl;
pub(crate) mod tc;
pub mod veth;
pub mod watch;
mod xdp;

use crate::{tables::Ifindex, vteps::Vteps};
use routes::NeighbourKey;
use rustix::net::{AddressFamily, SocketType};
use socket::{Rtnl, RtnlError};
use std::{collections::BTreeSet, net::IpAddr};

/// The network configuration of the agent's own namespace.
#[derive(Debug)]
pub struct Host {
    rtnl: Rtnl,
    /// The neighbours that are to be managed.
    managed: BTreeSet<NeighbourKey>,
    /// Those of them that were found unmanaged.
    lost: BTreeSet<NeighbourKey>,
}

impl Host {
    /// Connects to the network configuration of the namespace that the calling thread is in.
    ///
    /// Needs a tokio runtime.
    pub fn open() -> Result<Self, RtnlError> {
        Ok(Self { rtnl: Rtnl::open()?, managed: BTreeSet::new(), lost: BTreeSet::new() })
    }
}

/// Where the agent's VTEP is, as its configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnderlaySelect {
    /// The device of this name; its addresses are those that the cluster says, as far as it has them, else its first
    /// primary one.
    Device(String),
    /// The device that carries these addresses.
    Addresses(Vteps),
}

/// Why the underlay device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnderlayError {
    /// No device has the name.
    #[error("underlay device {name:?} does not exist; set node.underlay to one of: {known}")]
    Missing {
        /// The name asked for.
        name: String,
        /// The devices that do exist.
        known: String,
    },
    /// The device is not up.
    #[error("underlay device {name:?} is down; set it up: ip link set {name} up")]
    Down {
        /// The name of the device.
        name: String,
    },
    /// The device has no address.
    #[error("underlay device {name:?} has no address; give it one: ip addr add ADDRESS/LENGTH dev {name}")]
    NoAddress {
        /// The name of the device.
        name: String,
    },
    /// The device does not carry the address.
    #[error("underlay device {name:?} does not carry {vtep}; its addresses are: {found}")]
    OtherAddress {
        /// The name of the device.
        name: String,
        /// The address asked for.
        vtep: IpAddr,
        /// The addresses it has.
        found: String,
    },
    /// No device carries the address.
    #[error(
        "no device carries the address {0}; add it to a device, or set node.vtep to an address of this host"
    )]
    AddressMissing(IpAddr),
    /// The device has no MAC address, so it is no Ethernet device.
    #[error("underlay device {name:?} is not an Ethernet device; set node.underlay to one that is")]
    NotEthernet {
        /// The name of the device.
        name: String,
    },
    /// The driver of the device does not run XDP, which is asked for.
    #[error(
        "the driver of underlay device {name:?} does not run XDP, and generic XDP is slower than none; set node.underlay_mode = \"auto\" or \"tc\""
    )]
    NoNativeXdp {
        /// The name of the device.
        name: String,
    },
    /// The VXLAN port belongs to a device that shares it with none.
    #[error(
        "port {port} is held by vxlan device {device:?}, which takes every VNI; delete that device or set vxlan.port to another port on every node"
    )]
    PortHeld {
        /// The UDP port.
        port: u16,
        /// The device that holds it.
        device: String,
    },
    /// Netlink itself failed.
    #[error("cannot read the network configuration: {0}")]
    Netlink(#[from] RtnlError),
}

/// The name of a device of the calling thread's namespace; `None` if there is no such device.
pub fn device_name(ifindex: Ifindex) -> Option<String> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(socket, ifindex.0).ok()
}

/// The index of a device of the calling thread's namespace; `None` if there is no such device.
pub fn device_index(name: &str) -> Option<Ifindex> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::name_to_index(socket, name).ok().map(Ifindex)
}
