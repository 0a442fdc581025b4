//! Two hosts and four containers, and the modes that join them each in its way.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Result;
use overlay_common::MacAddr;
use overlay_tests::Netns;

use super::{Ends, Mode};
use crate::{cable, reference::Reference};

/// The containers' MTU: that of ours, also where there are no outer headers. So the price of the headers is not mixed
/// with that of shorter packets, which the comparison with plain hosts has in it.
pub(super) const MTU: u32 = 1450;

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
    pub(super) fn new(mode: &str, prefix_length: u8) -> Result<Self> {
        let (first, second) = cable::pair(mode)?;
        let mut pair = Self { hosts: [first, second], containers: Vec::new() };
        for (number, host) in (1..).zip(HOSTS) {
            let ifname = format!("v{number}");
            let netns = cable::container(mode, &format!("c{number}"), &pair.hosts[host], &ifname, MTU)?;
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

/// A mode that joins a pair.
pub(super) struct Joined {
    pub(super) name: &'static str,
    pub(super) pair: Pair,
    /// The device of the first host that sends only what goes the mode's way to the other.
    pub(super) counted: &'static str,
    pub(super) path: &'static str,
    /// Hold the programs where they are.
    pub(super) _programs: Vec<Reference>,
}

impl Mode for Joined {
    fn name(&self) -> &'static str {
        self.name
    }

    fn across(&self) -> Ends {
        ends(&self.pair.containers[0], &self.pair.containers[1])
    }

    fn host(&self) -> Option<PathBuf> {
        Some(self.pair.hosts[0].path())
    }

    fn local(&self) -> Option<Ends> {
        Some(ends(&self.pair.containers[2], &self.pair.containers[3]))
    }

    fn passed(&self) -> Result<u64> {
        cable::packets(&self.pair.hosts[0], self.counted)
    }

    fn path(&self) -> String {
        self.path.to_owned()
    }
}

fn ends(client: &Container, server: &Container) -> Ends {
    Ends { client: client.netns.path(), server: server.netns.path(), to: IpAddr::V4(server.ip) }
}

/// A bridge without packet filter, spanning tree and multicast snooping, as fast as the kernel's can be.
pub(super) fn bridge(host: &Netns, name: &str) -> Result<()> {
    // Absent where br_netfilter is not loaded, and then there is no filter to turn off.
    let _ = host.sysctl("net/bridge/bridge-nf-call-iptables", "0");
    host.ip(&format!("link add {name} mtu {MTU} type bridge stp_state 0 mcast_snooping 0"))?;
    host.ip(&format!("link set {name} up"))?;
    Ok(())
}
