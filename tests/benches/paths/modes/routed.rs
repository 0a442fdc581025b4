//! Containers whose packets the hosts forward as they are: the cost of containers without any overlay.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::Result;
use overlay_tests::Netns;

use super::{Ends, Mode};
use crate::cable;

/// Two hosts that route, two containers on the first and one on the second.
pub(crate) struct Routed {
    // Containers before hosts: their veths go with them.
    containers: [Netns; 3],
    first: Netns,
    _second: Netns,
}

impl Routed {
    pub(crate) fn start() -> Result<Self> {
        let (first, second) = cable::pair("routed")?;
        first.ip(&format!("route add 10.91.2.0/24 via {}", cable::HOSTS[1]))?;
        second.ip(&format!("route add 10.91.1.0/24 via {}", cable::HOSTS[0]))?;
        let containers = [
            container(&first, "h1c1", [10, 91, 1, 1])?,
            container(&first, "h1c2", [10, 91, 1, 2])?,
            container(&second, "h2c1", [10, 91, 2, 1])?,
        ];
        for host in [&first, &second] {
            host.sysctl("net/ipv4/ip_forward", "1")?;
        }
        Ok(Self { containers, first, _second: second })
    }
}

/// A container with a route to its host by link, and its host's to it.
fn container(host: &Netns, name: &str, address: [u8; 4]) -> Result<Netns> {
    let netns = cable::container("routed", name, host, name, 1500)?;
    let address = Ipv4Addr::from(address);
    netns.ip(&format!("address add {address}/32 dev eth0"))?;
    netns.ip("route add 169.254.1.1 dev eth0")?;
    netns.ip("route add default via 169.254.1.1")?;
    // All containers may call their host by one address: it is no other's on this link.
    host.ip(&format!("address add 169.254.1.1/32 dev {name}"))?;
    host.ip(&format!("route add {address} dev {name}"))?;
    Ok(netns)
}

impl Mode for Routed {
    fn name(&self) -> &'static str {
        "routed"
    }

    fn across(&self) -> Ends {
        self.ends(2, [10, 91, 2, 1])
    }

    fn host(&self) -> Option<PathBuf> {
        Some(self.first.path())
    }

    fn local(&self) -> Option<Ends> {
        Some(self.ends(1, [10, 91, 1, 2]))
    }

    fn passed(&self) -> Result<u64> {
        cable::packets(&self.first, "eth0")
    }

    fn path(&self) -> String {
        "eth0 - h1c1, route, eth0 - eth0, route, h2c1 - eth0".to_owned()
    }
}

impl Routed {
    fn ends(&self, server: usize, to: [u8; 4]) -> Ends {
        let to = IpAddr::V4(Ipv4Addr::from(to));
        Ends { client: self.containers[0].path(), server: self.containers[server].path(), to }
    }
}
