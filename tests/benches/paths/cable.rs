//! Two hosts and the cable between them.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use overlay_tests::Netns;
use serde_json::Value;

/// The hosts' addresses.
pub(crate) const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2)];

/// Two namespaces, `ovb-MODE-h1` and `ovb-MODE-h2`, whose devices `eth0` are the ends of one veth pair: an MTU of 1500,
/// `HOSTS` of a /24, no IPv6.
pub(crate) fn pair(mode: &str) -> Result<(Netns, Netns)> {
    let (first, second) = (host(mode, 1)?, host(mode, 2)?);
    first.ip(&format!("link add eth0 mtu 1500 type veth peer name eth0 mtu 1500 netns {}", second.name()))?;
    for (netns, address) in [&first, &second].into_iter().zip(HOSTS) {
        netns.ip(&format!("address add {address}/24 dev eth0"))?;
        netns.ip("link set eth0 up")?;
    }
    Ok((first, second))
}

fn host(mode: &str, number: u8) -> Result<Netns> {
    let name = format!("ovb-{mode}-h{number}");
    let netns = Netns::new_over(&name)?;
    netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
    Ok(netns)
}

/// A container's namespace `ovb-MODE-NAME`, whose `eth0` is the other end of `ifname` on its host.
pub(crate) fn container(mode: &str, name: &str, host: &Netns, ifname: &str, mtu: u32) -> Result<Netns> {
    let netns = Netns::new_over(&format!("ovb-{mode}-{name}"))?;
    netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
    host.ip(&format!(
        "link add {ifname} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}",
        netns.name()
    ))?;
    host.ip(&format!("link set {ifname} up"))?;
    netns.ip("link set eth0 up")?;
    Ok(netns)
}

/// The packets that a device of a namespace has sent.
pub(crate) fn packets(netns: &Netns, ifname: &str) -> Result<u64> {
    let text = netns.ip(&format!("-json -stats link show dev {ifname}"))?;
    sent(&text).with_context(|| format!("`ip` counts no packets of {ifname} in {}", netns.name()))
}

/// The packets sent, of the first device in what `ip -json -stats link` printed.
pub(crate) fn sent(text: &str) -> Result<u64> {
    let value: Value = serde_json::from_str(text).context("`ip` printed no JSON")?;
    value[0]["stats64"]["tx"]["packets"].as_u64().context("`ip` printed no count")
}
