//! The hosts' network: a bridge in a namespace of its own.

use std::{
    net::IpAddr,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};

use crate::{Netns, command::run};

/// Gives a device an address, at once.
pub fn add_address(netns: &Netns, ifname: &str, address: IpAddr, length: u8) -> Result<()> {
    let dad = if address.is_ipv6() { " nodad" } else { "" };
    netns.ip(&format!("address add {address}/{length} dev {ifname}{dad}")).map(drop)
}

/// The bridge that joins the hosts of a lab.
#[derive(Debug)]
pub struct Underlay {
    /// The namespace of the bridge, for captures on a wire: port `h1` leads to host `h1`.
    pub netns: Netns,
    mtu: u32,
    /// Joined by a cable: the end of it that waits for a second host.
    cable: Option<Mutex<Option<String>>>,
}

impl Underlay {
    /// The bridge's name in its namespace.
    pub const BRIDGE: &str = "br0";

    /// Makes a namespace `name` with a bridge of that MTU; with a `cable`, two hosts are joined by one veth pair, and
    /// the namespace stays empty.
    pub fn new(name: &str, mtu: u32, cable: bool) -> Result<Self> {
        let netns = Netns::new(name)?;
        // The bridge only joins wires: no addresses of its own, no packet filter between the hosts.
        netns.sysctl("net/ipv6/conf/all/disable_ipv6", "1")?;
        netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        for table in ["arptables", "iptables", "ip6tables"] {
            // Absent where br_netfilter is not loaded, and then there is no filter to turn off.
            let _ = netns.sysctl(&format!("net/bridge/bridge-nf-call-{table}"), "0");
        }
        netns.ip(&format!("link add {} mtu {mtu} type bridge stp_state 0 mcast_snooping 0", Self::BRIDGE))?;
        netns.ip(&format!("link set {} up", Self::BRIDGE))?;
        Ok(Self { netns, mtu, cable: cable.then(Mutex::default) })
    }

    /// Puts `ifname` of `netns` on the underlay with this address; `port` names the bridge's end.
    pub fn attach(&self, netns: &Netns, ifname: &str, address: IpAddr, length: u8, port: &str) -> Result<()> {
        let waiting =
            self.cable.as_ref().and_then(|cable| cable.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(end) = &waiting {
            self.netns.ip(&format!("link set {end} netns {} name {ifname}", netns.name()))?;
        } else {
            self.lay(netns, ifname, port)?;
        }
        add_address(netns, ifname, address, length)?;
        netns.ip(&format!("link set {ifname} up"))?;
        Ok(())
    }

    /// Makes `ifname` of `netns`, and its other end `port` here.
    fn lay(&self, netns: &Netns, ifname: &str, port: &str) -> Result<()> {
        let mtu = self.mtu.to_string();
        run(Command::new("ip").args(["-n", netns.name(), "link", "add", ifname, "mtu", &mtu]).args([
            "type",
            "veth",
            "peer",
            "name",
            port,
            "mtu",
            &mtu,
            "netns",
            self.netns.name(),
        ]))
        .with_context(|| format!("cannot put {} on the underlay", netns.name()))?;
        if let Some(cable) = &self.cable {
            *cable.lock().unwrap_or_else(PoisonError::into_inner) = Some(port.to_owned());
        } else {
            self.netns.ip(&format!("link set {port} master {} up", Self::BRIDGE))?;
        }
        Ok(())
    }
}
