//! Routed VXLAN as flannel sets it up: a subnet a host, a bridge `cni0` with its gateway, and a VXLAN device that is
//! the next hop to the other hosts' subnets. Without flannel's masquerading and Kubernetes' packet filter.

use anyhow::Result;
use overlay_common::MacAddr;
use overlay_tests::Netns;

use super::pair::{self, Joined, MTU, Pair};
use crate::cable::HOSTS;

/// The MAC addresses of the VXLAN devices.
const MACS: [MacAddr; 2] = [MacAddr::new([0x02, 0x42, 0, 0, 0, 1]), MacAddr::new([0x02, 0x42, 0, 0, 0, 2])];

/// On each host a bridge with the containers, and a route by a VXLAN device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("flannel", 24)?;
    for (index, host) in pair.hosts.iter().enumerate() {
        host.sysctl("net/ipv4/ip_forward", "1")?;
        add_vxlan(host, index)?;
        pair::bridge(host, "cni0")?;
        let gateway = format!("10.90.{}.254", index + 1);
        host.ip(&format!("address add {gateway}/24 dev cni0"))?;
        for own in pair.on(index) {
            host.ip(&format!("link set {} master cni0", own.ifname))?;
            own.netns.ip(&format!("route add default via {gateway}"))?;
        }
    }
    let path = "eth0 - v1 - cni0 - flannel.1 - eth0 - eth0 - flannel.1 - cni0 - v2 - eth0, without netfilter";
    Ok(Joined { name: "flannel", pair, counted: "flannel.1", path, _programs: Vec::new() })
}

/// `flannel.1`, with the other host's device as its only neighbour (`vxlan.Network.handleSubnetEvents` in flannel).
fn add_vxlan(host: &Netns, index: usize) -> Result<()> {
    let (own, far) = (index + 1, 2 - index);
    let far_mac = MACS[1 - index].to_string();
    host.ip(&format!(
        "link add flannel.1 address {} mtu {MTU} type vxlan id 1 dstport 8472 nolearning local {} dev eth0",
        MACS[index], HOSTS[index]
    ))?;
    host.ip(&format!("address add 10.90.{own}.0/32 dev flannel.1"))?;
    host.ip("link set flannel.1 up")?;
    host.ip(&format!("route add 10.90.{far}.0/24 via 10.90.{far}.0 dev flannel.1 onlink"))?;
    host.ip(&format!("neigh add 10.90.{far}.0 lladdr {far_mac} dev flannel.1 nud permanent"))?;
    let vtep = HOSTS[1 - index].to_string();
    host.run(&["bridge", "fdb", "add", &far_mac, "dev", "flannel.1", "self", "dst", &vtep])?;
    Ok(())
}
