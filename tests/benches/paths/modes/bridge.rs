//! The kernel's VXLAN device behind a bridge, as in Docker's overlay, but at its best: no packet filter, no learning,
//! no flooding, no second namespace.

use anyhow::Result;
use overlay_tests::Netns;

use super::pair::{self, Joined, MTU, Pair};
use crate::cable::HOSTS;

/// On each host a bridge with the containers and a VXLAN device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("bridge", 16)?;
    for (index, host) in pair.hosts.iter().enumerate() {
        pair::bridge(host, "br0")?;
        add_vxlan(host, index)?;
        for own in pair.on(index) {
            host.ip(&format!("link set {} master br0", own.ifname))?;
            settle(host, &own.ifname, &own.mac.to_string())?;
        }
        for far in pair.on(1 - index) {
            let mac = far.mac.to_string();
            settle(host, "vxlan0", &mac)?;
            let vtep = HOSTS[1 - index].to_string();
            host.run(&["bridge", "fdb", "add", &mac, "dev", "vxlan0", "self", "dst", &vtep])?;
            host.ip(&format!("neigh add {} lladdr {mac} dev vxlan0 nud permanent", far.ip))?;
        }
    }
    let path =
        "eth0 - v1 - br0 - vxlan0 - eth0 - eth0 - vxlan0 - br0 - v2 - eth0, without netfilter and learning";
    Ok(Joined { name: "bridge", pair, counted: "vxlan0", path, _programs: Vec::new() })
}

/// A device that answers ARP itself and knows every VTEP beforehand.
fn add_vxlan(host: &Netns, index: usize) -> Result<()> {
    let options = "id 42 dstport 4789 nolearning proxy noudpcsum";
    host.ip(&format!("link add vxlan0 mtu {MTU} type vxlan {options} local {} dev eth0", HOSTS[index]))?;
    host.ip("link set vxlan0 master br0 up")?;
    Ok(())
}

/// Tells the bridge once and for all behind which port a MAC address is.
fn settle(host: &Netns, port: &str, mac: &str) -> Result<()> {
    host.run(&["bridge", "link", "set", "dev", port, "learning", "off", "flood", "off"])?;
    host.run(&["bridge", "fdb", "add", mac, "dev", port, "master", "static"])?;
    Ok(())
}
