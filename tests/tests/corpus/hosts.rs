//! Namespaces, veths and packet sockets, for our host and for the one that shows what the kernel does.

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use overlay_common::MacAddr;
use overlay_tests::Netns;

use crate::{
    scene::{OUR_VTEP, OUR_VTEP_V6},
    wire::Wire,
};

/// A namespace that says nothing by itself.
pub(crate) fn silent(role: &str) -> Result<Netns> {
    let netns = made(role)?;
    for scope in ["all", "default"] {
        netns.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
    }
    Ok(netns)
}

/// A namespace that takes packets of both families in, and keeps no fragment of one case for another's.
pub(crate) fn receiving(role: &str) -> Result<Netns> {
    let netns = made(role)?;
    for family in ["ipv4/ip", "ipv6/ip6"] {
        for bound in ["low", "high"] {
            netns.sysctl(&format!("net/{family}frag_{bound}_thresh"), "0")?;
        }
    }
    Ok(netns)
}

fn made(role: &str) -> Result<Netns> {
    let netns = Netns::new_over(&format!("ovt-corpus-{role}"))?;
    for scope in ["all", "default"] {
        netns.sysctl(&format!("net/ipv6/conf/{scope}/addr_gen_mode"), "1")?;
        netns.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
    }
    Ok(netns)
}

/// The node's addresses, without a route to anywhere, so that no ICMP error can be sent.
pub(crate) fn address(netns: &Netns) -> Result<()> {
    netns.ip(&format!("address add {OUR_VTEP}/32 dev eth1"))?;
    netns.ip(&format!("address add {OUR_VTEP_V6}/128 dev eth1 nodad noprefixroute"))?;
    Ok(())
}

/// A veth pair without queues and offloads.
pub(crate) fn cable(
    (near, near_name, near_mac): (&Netns, &str, MacAddr),
    (far, far_name, far_mac): (&Netns, &str, MacAddr),
) -> Result<()> {
    near.ip(&format!(
        "link add {near_name} mtu 9000 address {near_mac} type veth \
         peer name {far_name} mtu 9000 address {far_mac} netns {}",
        far.name()
    ))?;
    for (netns, name) in [(near, near_name), (far, far_name)] {
        netns.run(&["ethtool", "-K", name, "gro", "off", "tx", "off", "tso", "off"])?;
        netns.ip(&format!("link set {name} arp off up"))?;
    }
    Ok(())
}

/// The number of a device.
pub(crate) fn index(netns: &Netns, name: &'static str) -> Result<u32> {
    netns.enter(|| if_nametoindex(name))?.with_context(|| format!("no device {name}"))
}

/// What sends frames from a device.
pub(crate) fn sender(netns: &Netns, name: &'static str) -> Result<Wire> {
    let ifindex = index(netns, name)?;
    netns.enter(|| Wire::sender(ifindex))?
}

/// What takes in the frames that come in at a device.
pub(crate) fn receiver(netns: &Netns, name: &'static str) -> Result<Wire> {
    let ifindex = index(netns, name)?;
    netns.enter(|| Wire::receiver(ifindex))?
}
