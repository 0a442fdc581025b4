//! What can go wrong with a veth pair.

use super::super::{socket::RtnlError, sysctl::SysctlError};
use ipnet::IpNet;
use rustix::io::Errno;
use std::time::Duration;

/// The smallest MTU that IPv6 works on (RFC 8200 section 5).
pub(super) const MIN_IPV6_MTU: u16 = 1280;

/// How long the two ends may take to find each other; it is a few milliseconds.
pub(super) const CARRIER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a veth pair could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum VethError {
    /// A device cannot have this name.
    #[error("{0:?} is no interface name; use 1 to 15 letters, digits, '.', '_' or '-'")]
    BadName(String),
    /// The container has a device of this name.
    #[error(
        "interface name {0:?} is taken in the container; choose another with --ifname or delete that interface"
    )]
    ContainerNameTaken(String),
    /// The host has a device of this name.
    #[error("interface name {0:?} is taken on the host; delete that interface: ip link delete {0}")]
    HostNameTaken(String),
    /// The namespace cannot be used.
    #[error("the container's network namespace is gone; start the container again")]
    NamespaceGone,
    /// The kernel refused for want of a capability.
    #[error(
        "no permission to {0}; the agent needs CAP_NET_ADMIN, also over the container's network namespace"
    )]
    Permission(&'static str),
    /// IPv6 is turned off where an IPv6 address is wanted.
    #[error(
        "IPv6 is turned off in the container, so {0} cannot be set; turn it on (net.ipv6.conf.all.disable_ipv6=0) or remove the address"
    )]
    Ipv6Off(IpNet),
    /// The MTU is too small for IPv6.
    #[error(
        "MTU {mtu} is too small for {ip}: IPv6 needs {MIN_IPV6_MTU}; raise the underlay's MTU or remove the address"
    )]
    MtuTooSmall {
        /// The MTU asked for.
        mtu: u16,
        /// The IPv6 address asked for.
        ip: IpNet,
    },
    /// The two ends did not come up.
    #[error("the veth pair {0:?} did not come up within {CARRIER_TIMEOUT:?}; see the kernel log")]
    NoCarrier(String),
    /// There is no such device.
    #[error("interface {0} does not exist any more; remove the endpoint and add it again")]
    Gone(String),
    /// A kernel setting of the host's end could not be written.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// Netlink refused.
    #[error("cannot {doing}: {error}")]
    Netlink {
        /// What was asked.
        doing: &'static str,
        /// What the kernel answered.
        error: RtnlError,
    },
}

pub(super) fn failed(doing: &'static str) -> impl FnOnce(RtnlError) -> VethError {
    move |error| match error.errno() {
        Some(Errno::PERM) => VethError::Permission(doing),
        _ => VethError::Netlink { doing, error },
    }
}
