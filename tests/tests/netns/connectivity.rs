//! Who reaches whom, and who does not.

use std::{collections::BTreeSet, net::IpAddr};

use overlay_tests::{Container, Lab, Who, map_parallel};

use crate::support::{BLUE, RED, addresses, container, hosts, start};

/// Three hosts with two containers each in blue. In red, with the same subnets, one on each host, and one more on
/// the last host with the addresses of blue's first.
fn grid(name: &str) -> Lab {
    let mut lab = hosts(name, 3);
    for host in 0..3_u8 {
        for number in 0..2 {
            let name = format!("b{}{}", host + 1, number + 1);
            let number = host * 2 + number + 1;
            lab.declare_container(host.into(), BLUE, &name, &addresses(number)).expect("blue");
        }
        let name = format!("r{}", host + 1);
        lab.declare_container(host.into(), RED, &name, &addresses(101 + host)).expect("red");
    }
    lab.declare_container(2, RED, "twin", &addresses(1)).expect("red");
    start(&mut lab);
    lab
}

fn members<'a>(lab: &'a Lab, network: &str) -> Vec<&'a Container> {
    lab.containers.iter().filter(|container| container.network == network).collect()
}

#[test]
fn every_member_reaches_every_other_and_no_other_network() {
    let lab = grid("grid");
    let all: BTreeSet<IpAddr> = lab.containers.iter().flat_map(|container| &container.ips).copied().collect();
    let mut pings = Vec::new();
    for from in &lab.containers {
        let own = members(&lab, &from.network);
        for ip in all.iter().filter(|ip| !from.ips.contains(ip)) {
            pings.push((from, *ip, own.iter().any(|to| to.ips.contains(ip))));
        }
    }
    // In blue 6 containers reach 5 others, in red 4 reach 3, by IPv4 and IPv6.
    assert_eq!(pings.iter().filter(|(.., expected)| *expected).count(), (6 * 5 + 4 * 3) * 2);
    // Red's three addresses of its own from 6 in blue; blue's, but the shared one, from 4 in red.
    assert_eq!(pings.iter().filter(|(.., expected)| !expected).count(), (6 * 3 + 4 * 5) * 2);
    let wrong = map_parallel(&pings, 16, |(from, to, expected)| {
        (from.netns.ping(*to) != *expected).then(|| format!("{} to {to}: not {expected}", from.name))
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    an_address_in_both_networks_is_that_of_the_askers_own(&lab);
}

fn an_address_in_both_networks_is_that_of_the_askers_own(lab: &Lab) {
    let shared = [container(lab, "b11"), container(lab, "twin")];
    assert_eq!(shared[0].ips, shared[1].ips);
    let _servers: Vec<Who> =
        shared.iter().map(|one| Who::serve(&one.netns, &one.name).expect("a server")).collect();
    for expected in shared {
        for asker in members(lab, &expected.network) {
            if asker.name == expected.name {
                continue;
            }
            for ip in &expected.ips {
                let answer = Who::ask(&asker.netns, *ip).expect("asked");
                assert_eq!(answer.as_ref(), Some(&expected.name), "{} asks {ip}", asker.name);
            }
        }
    }
}
