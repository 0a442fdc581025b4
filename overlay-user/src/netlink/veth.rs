//! The veth pair of an endpoint: one end in the container, the other, deaf, on the host.

use super::{
    Host,
    links::{Link, link_by_index, link_by_name},
    socket::{Rtnl, RtnlError, Verb},
    sysctl::{self, SysctlError},
};
use crate::{cluster::EndpointId, netns::NamespaceFds, tables::Ifindex};
use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{
        AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags,
        LinkInfo, LinkMessage,
    },
};
use overlay_common::MacAddr;
use rustix::io::Errno;
use std::{
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

/// How the host's ends of our veth pairs begin.
pub const HOST_PREFIX: &str = "ov";

/// The longest name of a device (`IFNAMSIZ` less the closing zero).
const MAX_NAME: usize = 15;

/// The smallest MTU that IPv6 works on (RFC 8200 section 5).
const MIN_IPV6_MTU: u16 = 1280;

/// How long the two ends may take to find each other; it is a few milliseconds.
const CARRIER_TIMEOUT: Duration = Duration::from_secs(3);

/// The veth pair to make.
#[derive(Clone, Debug)]
pub struct VethSpec {
    /// The name on the host; see `host_ifname`.
    pub host_name: String,
    /// The name in the container.
    pub container_name: String,
    /// The MAC address in the container.
    pub mac: MacAddr,
    /// The addresses in the container. The link-local address of the MAC address is added to them.
    pub ips: Vec<IpNet>,
    /// The MTU of both ends.
    pub mtu: u16,
}

/// The veth pair that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// The index of the end on the host.
    pub host_ifindex: Ifindex,
    /// The index of the end in the container, in the container's namespace.
    pub container_ifindex: Ifindex,
}

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

/// The name of an endpoint's veth on the host: `ov` and eleven letters and digits, always the same for one endpoint.
pub fn host_ifname(id: &EndpointId) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // FNV-1a: the name must not depend on the version of a library.
    let mut hash = id.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut name = HOST_PREFIX.to_owned();
    for _ in 0..11 {
        // The upper bits are the better mixed ones.
        name.push(char::from(DIGITS[(hash >> 59) as usize]));
        hash <<= 5;
    }
    name
}

/// Makes a veth pair with one end in the container, and sets both ends up.
///
/// Returns when both ends can send. On an error nothing is left behind.
pub async fn create(host: &Host, fds: &NamespaceFds, spec: &VethSpec) -> Result<Created, VethError> {
    check(spec)?;
    let container = fds.connect().map_err(failed("open the container's namespace"))?;
    if link_by_name(&container, &spec.container_name)
        .await
        .map_err(failed("list the container's interfaces"))?
        .is_some()
    {
        return Err(VethError::ContainerNameTaken(spec.container_name.clone()));
    }
    let doing = "make the veth pair";
    match host.rtnl.request(RouteNetlinkMessage::NewLink(pair(fds, spec)), Verb::Create).await {
        Ok(_) => {}
        Err(error) => return Err(creation_error(host, spec, error).await),
    }
    let made = link_by_name(&host.rtnl, &spec.host_name).await.map_err(failed(doing))?;
    let made = made.ok_or_else(|| VethError::Gone(spec.host_name.clone()))?;
    let guard = Undo { host, ifindex: made.ifindex };
    match set_up(host, &container, spec, &made).await {
        Ok(created) => Ok(created),
        Err(error) => {
            guard.undo().await;
            Err(error)
        }
    }
}

struct Undo<'a> {
    host: &'a Host,
    ifindex: Ifindex,
}

impl Undo<'_> {
    async fn undo(self) {
        if let Err(error) = self.host.delete_veth(self.ifindex).await {
            tracing::warn!(ifindex = %self.ifindex, %error, "a half-made veth pair is left behind");
        }
    }
}

impl Host {
    /// Deletes a veth pair by its end on the host. It is no error if there is none.
    pub async fn delete_veth(&self, host_ifindex: Ifindex) -> Result<(), VethError> {
        let mut message = LinkMessage::default();
        message.header.index = host_ifindex.0;
        match self.rtnl.request(RouteNetlinkMessage::DelLink(message), Verb::Plain).await {
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
            result => result.map(|_| ()).map_err(failed("delete the veth pair")),
        }
    }

    /// The veth devices on this host whose names are of our form.
    pub async fn our_veths(&self) -> Result<Vec<Link>, RtnlError> {
        let links = self.links().await?;
        let ours =
            |link: &Link| link.name.starts_with(HOST_PREFIX) && link.name.len() == 13 && link.peer.is_some();
        Ok(links.into_values().filter(ours).collect())
    }

    /// Sets the MTU of the host's end of a veth pair.
    pub async fn set_host_mtu(&self, host_ifindex: Ifindex, mtu: u16) -> Result<(), VethError> {
        set_mtu(&self.rtnl, host_ifindex, mtu).await
    }
}

/// Sets the MTU of the container's end of a veth pair.
pub async fn set_container_mtu(fds: &NamespaceFds, ifname: &str, mtu: u16) -> Result<(), VethError> {
    let container = fds.connect().map_err(failed("open the container's namespace"))?;
    let link = link_by_name(&container, ifname).await.map_err(failed("find the container's interface"))?;
    set_mtu(&container, link.ok_or_else(|| VethError::Gone(ifname.to_owned()))?.ifindex, mtu).await
}

async fn set_mtu(rtnl: &Rtnl, ifindex: Ifindex, mtu: u16) -> Result<(), VethError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    message.attributes.push(LinkAttribute::Mtu(mtu.into()));
    match rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await {
        Err(error) if error.errno() == Some(Errno::NODEV) => Err(VethError::Gone(ifindex.to_string())),
        result => result.map(|_| ()).map_err(failed("set the MTU")),
    }
}

fn check(spec: &VethSpec) -> Result<(), VethError> {
    let name = &spec.container_name;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) || name == "." || name == ".." {
        return Err(VethError::BadName(name.clone()));
    }
    match spec.ips.iter().find(|ip| ip.addr().is_ipv6()) {
        Some(ip) if spec.mtu < MIN_IPV6_MTU => Err(VethError::MtuTooSmall { mtu: spec.mtu, ip: *ip }),
        _ => Ok(()),
    }
}

/// The message that makes the pair. The container's end is made in its namespace, under its final name, so
/// that it is never seen half-made nor collides with a name on the host.
fn pair(fds: &NamespaceFds, spec: &VethSpec) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(spec.container_name.clone()),
        LinkAttribute::Address(spec.mac.octets().to_vec()),
        LinkAttribute::Mtu(spec.mtu.into()),
        LinkAttribute::NetNsFd(fds.netns().as_raw_fd()),
    ];
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(spec.host_name.clone()),
        LinkAttribute::Mtu(spec.mtu.into()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    message
}

async fn creation_error(host: &Host, spec: &VethSpec, error: RtnlError) -> VethError {
    let doing = "make the veth pair";
    match error.errno() {
        Some(Errno::EXIST) => match link_by_name(&host.rtnl, &spec.host_name).await {
            Ok(Some(_)) => VethError::HostNameTaken(spec.host_name.clone()),
            _ => VethError::ContainerNameTaken(spec.container_name.clone()),
        },
        Some(Errno::INVAL | Errno::BADF) => VethError::NamespaceGone,
        _ => failed(doing)(error),
    }
}

async fn set_up(host: &Host, container: &Rtnl, spec: &VethSpec, made: &Link) -> Result<Created, VethError> {
    let container_ifindex = made.peer.ok_or_else(|| VethError::Gone(spec.container_name.clone()))?;
    // The container's end first: its link-local address must not come up by itself, with DAD.
    no_link_local(container, container_ifindex)
        .await
        .map_err(failed("configure the container's interface"))?;
    no_link_local(&host.rtnl, made.ifindex).await.map_err(failed("configure the host's interface"))?;
    sysctl::deafen(&spec.host_name)?;
    link_up(container, container_ifindex, false).await.map_err(failed("set the container's interface up"))?;
    add_addresses(container, container_ifindex, spec).await?;
    link_up(&host.rtnl, made.ifindex, true).await.map_err(failed("set the host's interface up"))?;
    let started = Instant::now();
    loop {
        let here =
            link_by_index(&host.rtnl, made.ifindex).await.map_err(failed("watch the host's interface"))?;
        let there =
            link_by_index(container, container_ifindex).await.map_err(failed("watch the container's"))?;
        let (Some(here), Some(there)) = (here, there) else {
            return Err(VethError::Gone(spec.host_name.clone()));
        };
        if here.operational && there.operational {
            return Ok(Created { host_ifindex: made.ifindex, container_ifindex });
        }
        if started.elapsed() > CARRIER_TIMEOUT {
            return Err(VethError::NoCarrier(spec.host_name.clone()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn no_link_local(rtnl: &Rtnl, ifindex: Ifindex) -> Result<(), RtnlError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![
        AfSpecInet6::AddrGenMode(In6AddrGenMode::None),
    ])]));
    match rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await {
        // A kernel without IPv6.
        Err(error) if error.errno() == Some(Errno::AFNOSUPPORT) => Ok(()),
        result => result.map(|_| ()),
    }
}

async fn link_up(rtnl: &Rtnl, ifindex: Ifindex, without_arp: bool) -> Result<(), RtnlError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    message.header.flags = if without_arp { LinkFlags::Up | LinkFlags::Noarp } else { LinkFlags::Up };
    message.header.change_mask = message.header.flags;
    rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await.map(|_| ())
}

async fn add_addresses(rtnl: &Rtnl, ifindex: Ifindex, spec: &VethSpec) -> Result<(), VethError> {
    for ip in &spec.ips {
        match add_address(rtnl, ifindex, *ip).await {
            Ok(()) => {}
            Err(error) if ip.addr().is_ipv6() && error.errno().is_some_and(is_ipv6_off) => {
                return Err(VethError::Ipv6Off(*ip));
            }
            Err(error) => return Err(failed("set the container's addresses")(error)),
        }
    }
    let link_local = IpNet::new_assert(spec.mac.link_local().into(), 64);
    match add_address(rtnl, ifindex, link_local).await {
        // Where no IPv6 address was asked for, the endpoint does without.
        Err(error) if error.errno().is_some_and(is_ipv6_off) || spec.mtu < MIN_IPV6_MTU => {
            tracing::debug!(%error, "the endpoint has no link-local address");
            Ok(())
        }
        result => result.map_err(failed("set the container's link-local address")),
    }
}

fn is_ipv6_off(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::AFNOSUPPORT | Errno::OPNOTSUPP)
}

async fn add_address(rtnl: &Rtnl, ifindex: Ifindex, ip: IpNet) -> Result<(), RtnlError> {
    let mut message = AddressMessage::default();
    message.header.index = ifindex.0;
    message.header.prefix_len = ip.prefix_len();
    message.attributes = vec![AddressAttribute::Local(ip.addr()), AddressAttribute::Address(ip.addr())];
    match ip {
        IpNet::V4(net) => {
            message.header.family = AddressFamily::Inet;
            // /31 and /32 have no broadcast address (RFC 3021).
            if net.prefix_len() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
            }
        }
        IpNet::V6(net) => {
            message.header.family = AddressFamily::Inet6;
            if net.addr().is_unicast_link_local() {
                message.header.scope = AddressScope::Link;
            }
            // The table decides duplicates; asking the network would only delay the endpoint.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    match rtnl.request(RouteNetlinkMessage::NewAddress(message), Verb::Create).await {
        Err(error) if error.errno() == Some(Errno::EXIST) => Ok(()),
        result => result.map(|_| ()),
    }
}

fn failed(doing: &'static str) -> impl FnOnce(RtnlError) -> VethError {
    move |error| match error.errno() {
        Some(Errno::PERM) => VethError::Permission(doing),
        _ => VethError::Netlink { doing, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_short_stable_and_differ() {
        let name = |id: &str| host_ifname(&id.parse().expect("an endpoint id"));
        assert_eq!(name("blue.02420a010001"), name("blue.02420a010001"));
        assert_eq!(name("blue.02420a010001").len(), 13);
        let names: std::collections::BTreeSet<String> =
            (0..10_000).map(|n| name(&format!("blue.02420a01{n:04x}"))).collect();
        assert_eq!(names.len(), 10_000);
    }

    #[test]
    fn a_name_that_no_device_can_have_is_refused_before_anything_is_made() {
        for bad in ["", "0123456789abcdef", "a/b", "a b", "..", "eth0\n"] {
            let spec = VethSpec {
                host_name: "ovx".into(),
                container_name: bad.into(),
                mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
                ips: Vec::new(),
                mtu: 1450,
            };
            assert!(matches!(check(&spec), Err(VethError::BadName(_))), "{bad:?}");
        }
    }

    #[test]
    fn ipv6_needs_its_least_mtu() {
        let mut spec = VethSpec {
            host_name: "ovx".into(),
            container_name: "eth0".into(),
            mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
            ips: vec!["10.1.0.1/24".parse().expect("a network")],
            mtu: 1000,
        };
        assert!(check(&spec).is_ok());
        spec.ips.push("fd00::1/64".parse().expect("a network"));
        assert!(matches!(check(&spec), Err(VethError::MtuTooSmall { .. })));
    }
}
