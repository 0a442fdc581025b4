//! The veth pair of an endpoint: one end in the container, the other, deaf, on the host.

mod addresses;
mod error;
pub(super) mod host_end;

pub use error::VethError;
pub use host_end::host_mac;

use super::{
    Host, ethtool,
    links::{Link, link_by_index, link_by_name},
    socket::{Rtnl, RtnlError, Verb},
    sysctl,
};
use crate::{cluster::EndpointId, netns::NamespaceFds, tables::Ifindex};
use addresses::add_addresses;
use error::{CARRIER_TIMEOUT, MIN_IPV6_MTU, failed};
use ipnet::IpNet;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags,
        LinkInfo, LinkMessage,
    },
};
use overlay_common::{MacAddr, hash::fnv1a, vxlan};
use rustix::io::Errno;
use std::{
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

/// How the host's ends of our veth pairs begin.
pub const HOST_PREFIX: &str = "ov";

/// What follows `HOST_PREFIX`: digits of a hash, in base 32 (RFC 4648 section 6, in small letters).
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How many of them.
const DIGITS_IN_NAME: usize = 11;

/// The longest name of a device (`IFNAMSIZ` less the closing zero).
const MAX_NAME: usize = 15;

/// From this length a super-frame is cut up in the container: its outer lengths would not fit 16 bits
/// (`gso_features_check`).
const GSO_MAX_SIZE: u32 = vxlan::MAX_INNER as u32 + 1;

/// Offloads that the container's end goes without: super-frames of tunnels in the container and of SCTP, and lists of
/// packets. `bpf_skb_adjust_room` puts no header before those (`bpf_skb_net_grow`), so they must come as single packets.
const NO_OFFLOADS: [&str; 8] = [
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-sctp-segmentation",
    "tx-gso-list",
];

/// The veth pair to make.
#[derive(Clone, Debug)]
pub struct VethSpec {
    /// The name on the host; see `host_ifname`.
    pub host_name: String,
    /// The MAC address on the host; see `host_mac`.
    pub host_mac: MacAddr,
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

/// The name of an endpoint's veth on the host: `ov` and eleven letters and digits, always the same for one endpoint.
pub fn host_ifname(id: &EndpointId) -> String {
    let mut hash = fnv1a(id.to_string().bytes());
    let mut name = HOST_PREFIX.to_owned();
    for _ in 0..DIGITS_IN_NAME {
        // The upper bits are the better mixed ones.
        name.push(char::from(DIGITS[(hash >> 59) as usize]));
        hash <<= 5;
    }
    name
}

/// Makes a veth pair with one end in the container, and sets both ends up.
///
/// Returns when both ends can send. On an error nothing is left behind; dropped halfway, it leaves the pair.
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
    // Frames go without it too, only slower.
    let headroom = async {
        let bridge = host.headroom_bridge().await?;
        if let Some(bridge) = bridge { host.give_headroom(made.ifindex, bridge).await } else { Ok(()) }
    };
    if let Err(error) = headroom.await {
        tracing::warn!(device = spec.host_name, %error, "no headroom: datagrams of this container cost more");
    }
    if let Err(error) = ethtool::turn_off(fds.rtnl(), &spec.container_name, &NO_OFFLOADS) {
        tracing::warn!(device = spec.host_name, %error, "offloads stay on: super-frames of tunnels in this container are dropped");
    }
    let result = set_up(host, &container, spec, &made).await;
    if result.is_err()
        && let Err(error) = host.delete_veth(made.ifindex).await
    {
        tracing::warn!(device = spec.host_name, %error, "a half-made veth pair is left behind");
    }
    result
}

impl Host {
    /// Deletes a veth pair by its end on the host. It is no error if there is none.
    pub async fn delete_veth(&self, host_ifindex: Ifindex) -> Result<(), VethError> {
        self.delete_link(host_ifindex).await.map_err(failed("delete the veth pair"))
    }

    /// The veth devices on this host whose names are of our form.
    pub async fn our_veths(&self) -> Result<Vec<Link>, RtnlError> {
        let links = self.links().await?;
        let ours = |link: &Link| {
            let digits = link.name.strip_prefix(HOST_PREFIX).unwrap_or_default();
            digits.len() == DIGITS_IN_NAME
                && digits.bytes().all(|digit| DIGITS.contains(&digit))
                && link.peer.is_some()
        };
        Ok(links.into_values().filter(ours).collect())
    }

    /// Sets the MTU of the host's end of a veth pair.
    pub async fn set_host_mtu(&self, host_ifindex: Ifindex, mtu: u16) -> Result<(), VethError> {
        set_mtu(&self.rtnl, host_ifindex, mtu).await
    }
}

/// Sets the MTU of the container's end of a veth pair, if it is the peer of this host's end: the path of a
/// namespace may by now lead to another.
pub async fn set_container_mtu(
    fds: &NamespaceFds,
    ifname: &str,
    host_ifindex: Ifindex,
    mtu: u16,
) -> Result<(), VethError> {
    let container = fds.connect().map_err(failed("open the container's namespace"))?;
    let link = link_by_name(&container, ifname).await.map_err(failed("find the container's interface"))?;
    let link = link.filter(|link| link.peer == Some(host_ifindex));
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
        LinkAttribute::GsoMaxSize(GSO_MAX_SIZE),
    ];
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(spec.host_name.clone()),
        LinkAttribute::Address(spec.host_mac.octets().to_vec()),
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

pub(super) async fn no_link_local(rtnl: &Rtnl, ifindex: Ifindex) -> Result<(), RtnlError> {
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

pub(super) async fn link_up(rtnl: &Rtnl, ifindex: Ifindex, without_arp: bool) -> Result<(), RtnlError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    message.header.flags = if without_arp { LinkFlags::Up | LinkFlags::Noarp } else { LinkFlags::Up };
    message.header.change_mask = message.header.flags;
    rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await.map(|_| ())
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
                host_mac: MacAddr::new([2, 0, 0, 0, 0, 9]),
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
            host_mac: MacAddr::new([2, 0, 0, 0, 0, 9]),
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
