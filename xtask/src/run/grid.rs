//! Who is in the lab: network blue, and network red with the same subnets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use overlay_tests::{Container, Lab};

/// The network that is proved and measured.
pub(crate) const BLUE: &str = "blue";
/// The network that must be apart from it.
pub(crate) const RED: &str = "red";
/// Both networks have these: isolation must come from the VNI, not from the addresses.
const SUBNETS: [&str; 2] = ["10.1.0.0/24", "fd00:1::/64"];
/// Where the addresses begin that only red has; blue's end before.
const RED_FIRST: u8 = 101;

/// Refuses more containers than the subnet has addresses for.
pub(crate) fn check_size(hosts: u8, containers: u8) -> Result<()> {
    let blue = usize::from(hosts) * usize::from(containers);
    if blue >= usize::from(RED_FIRST) {
        bail!(
            "{hosts} hosts with {containers} containers each are {blue} containers: at most 100 fit the lab"
        );
    }
    Ok(())
}

/// Declares the networks and every container, and makes them known to the agents.
///
/// Red has one container on each host, and one more on the last host with the addresses, and so the MAC address,
/// of blue's first container.
pub(crate) fn declare(lab: &mut Lab, hosts: u8, containers: u8) -> Result<()> {
    lab.declare_network(BLUE, 42, &SUBNETS);
    lab.declare_network(RED, 43, &SUBNETS);
    for host in 0..hosts {
        for container in 0..containers {
            let name = format!("h{}c{}", host + 1, container + 1);
            lab.declare_container(host.into(), BLUE, &name, &addresses(host * containers + container + 1))?;
        }
        lab.declare_container(host.into(), RED, &format!("h{}r1", host + 1), &addresses(RED_FIRST + host))?;
    }
    lab.declare_container(usize::from(hosts) - 1, RED, &format!("h{hosts}r2"), &addresses(1))?;
    lab.write_cluster()
}

fn addresses(number: u8) -> [IpAddr; 2] {
    [Ipv4Addr::new(10, 1, 0, number).into(), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, number.into()).into()]
}

/// The containers of a network.
pub(crate) fn members<'a>(lab: &'a Lab, network: &str) -> Vec<&'a Container> {
    lab.containers.iter().filter(|container| container.network == network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_that_outgrows_its_subnet_is_refused() {
        assert!(check_size(3, 2).is_ok());
        assert!(check_size(50, 2).is_ok());
        assert!(check_size(51, 2).is_err());
    }
}
