//! Two hosts and four containers, which most modes join each in its way.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use overlay_common::MacAddr;
use overlay_tests::Netns;

use super::Ends;
use crate::cable;

/// The hosts' addresses, as `cable::pair` gives them.
pub(super) const VTEPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2)];

/// The host of each container: the first two are the ends across, the last two are those on one host.
const HOSTS: [usize; 4] = [0, 1, 0, 0];

/// A container, and the device on its host that leads to it.
pub(super) struct Container {
    pub(super) netns: Netns,
    pub(super) ip: Ipv4Addr,
    pub(super) mac: MacAddr,
    /// The veth's end on the host.
    pub(super) ifname: String,
    /// The index of its host.
    host: usize,
}

/// Two hosts and their containers; all namespaces go when it is dropped.
pub(super) struct Pair {
    pub(super) hosts: [Netns; 2],
    pub(super) containers: Vec<Container>,
}

impl Pair {
    /// Containers `c1`, `c3` and `c4` on the first host, `c2` on the second. Container N of host H has the address
    /// 10.90.H.N with this prefix length.
    pub(super) fn new(mode: &str, mtu: u32, prefix_length: u8) -> Result<Self> {
        let (first, second) = cable::pair(mode)?;
        let mut pair = Self { hosts: [first, second], containers: Vec::new() };
        for (number, host) in (1..).zip(HOSTS) {
            let ifname = format!("v{number}");
            let netns = cable::container(mode, &format!("c{number}"), &pair.hosts[host], &ifname, mtu)?;
            let ip = Ipv4Addr::new(10, 90, host as u8 + 1, number);
            let mac = MacAddr::from_ipv4(ip);
            netns.ip(&format!("link set eth0 address {mac}"))?;
            netns.ip(&format!("address add {ip}/{prefix_length} dev eth0"))?;
            pair.containers.push(Container { netns, ip, mac, ifname, host });
        }
        Ok(pair)
    }

    /// The containers of a host.
    pub(super) fn on(&self, host: usize) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(move |container| container.host == host)
    }

    pub(super) fn across(&self) -> Ends {
        ends(&self.containers[0], &self.containers[1])
    }

    pub(super) fn local(&self) -> Ends {
        ends(&self.containers[2], &self.containers[3])
    }

    /// Lets every container send what is for the others to this MAC address, without a question.
    pub(super) fn settle_neighbours(&self, mac: MacAddr) -> Result<()> {
        for own in &self.containers {
            for other in self.containers.iter().filter(|other| other.ip != own.ip) {
                own.netns.ip(&format!("neigh add {} lladdr {mac} dev eth0 nud permanent", other.ip))?;
            }
        }
        Ok(())
    }
}

fn ends(client: &Container, server: &Container) -> Ends {
    Ends { client: client.netns.path(), server: server.netns.path(), to: IpAddr::V4(server.ip) }
}

/// A bridge without packet filter, spanning tree and multicast snooping, as fast as the kernel's can be.
pub(super) fn bridge(host: &Netns, name: &str, mtu: u32) -> Result<()> {
    // Absent where br_netfilter is not loaded, and then there is no filter to turn off.
    let _ = host.sysctl("net/bridge/bridge-nf-call-iptables", "0");
    host.ip(&format!("link add {name} mtu {mtu} type bridge stp_state 0 mcast_snooping 0"))?;
    host.ip(&format!("link set {name} up"))?;
    Ok(())
}
