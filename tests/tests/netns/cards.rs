//! The outer header taken off by the driver of a network card, which is what XDP is for: two cards of virtio on one cable,
//! which the machines of the tier vm have.

use std::{env, fs, net::IpAddr, process::Command, time::Duration};

use overlay_tests::{Lab, Netns, add_address, over_v4, over_v6, run, skip};
use serde_json::Value;

use crate::{
    support::{hosts_at, wait_for},
    xdp::{carries, carries_long_packets, come_and_go, pair},
};

/// The variable with the MAC addresses of the cards, which are nobody else's.
const CARDS: &str = "OVERLAY_TEST_CARDS";
/// Drivers tell that they run XDP (commit d3d854fd6a1d), and virtio's takes packets of several buffers (commit
/// fab89bafa95b).
const LINUX_6_3: (u32, u32) = (6, 3);

/// Two hosts with a card each for underlay device; none where the machine has no cards, which is told of `test`.
fn hosts(test: &str, name: &str, vteps: fn(u8) -> Vec<IpAddr>) -> Option<Lab> {
    let Ok(cards) = env::var(CARDS) else {
        left_out(test, &format!("{CARDS} names no two network cards on one cable: run cargo xtask test vm"));
        return None;
    };
    let lab = hosts_at(name, 2, vteps);
    let cards = cards.split_whitespace().collect::<Vec<_>>();
    assert_eq!(cards.len(), lab.hosts.len(), "one for each host");
    for (host, card) in lab.hosts.iter().zip(cards) {
        host.netns.ip("link del eth0").expect("the lab's veth");
        plug(card, &host.netns);
        add_address(&host.netns, "eth0", host.vtep, if host.vtep.is_ipv4() { 24 } else { 64 }).expect("set");
    }
    Some(lab)
}

fn left_out(test: &str, reason: &str) {
    skip(&format!("cards::{test}"), reason);
}

/// Makes a card `eth0` of a namespace. When the namespace goes, the kernel brings the card back, under whatever name.
fn plug(card: &str, netns: &Netns) {
    let mut name = None;
    wait_for("the card of the last lab", Duration::from_secs(5), || {
        let text = run(Command::new("ip").args(["-j", "link", "show"])).expect("links");
        let links: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let found = links.iter().find(|link| link["address"] == card);
        name = found.and_then(|link| link["ifname"].as_str()).map(str::to_owned);
        name.is_some()
    });
    let name = name.expect("found");
    run(Command::new("ip").args(["link", "set", &name, "netns", netns.name(), "name", "eth0"]))
        .expect("moved");
    netns.ip("link set eth0 mtu 1500 up").expect("set");
}

/// Whether the running kernel is of this version or a later one.
fn since(version: (u32, u32)) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse().ok());
    numbers.next().zip(numbers.next()).expect("two numbers") >= version
}

#[test]
fn what_tc_carries_a_cards_driver_carries_over_ipv4() {
    if let Some(lab) = hosts("what_tc_carries_a_cards_driver_carries_over_ipv4", "cards", over_v4) {
        carries(lab);
    }
}

#[test]
fn what_tc_carries_a_cards_driver_carries_over_ipv6() {
    if let Some(lab) = hosts("what_tc_carries_a_cards_driver_carries_over_ipv6", "cardsix", over_v6) {
        carries(lab);
    }
}

#[test]
fn auto_takes_xdp_of_a_card_where_the_kernel_tells_that_its_driver_runs_it() {
    let test = "auto_takes_xdp_of_a_card_where_the_kernel_tells_that_its_driver_runs_it";
    if let Some(lab) = hosts(test, "cardsmode", over_v4) {
        come_and_go(lab, since(LINUX_6_3));
    }
}

#[test]
fn a_long_packet_comes_from_a_card_in_several_buffers() {
    let test = "a_long_packet_comes_from_a_card_in_several_buffers";
    if !since(LINUX_6_3) {
        left_out(
            test,
            "before Linux 6.3, virtnet_xdp_set takes no XDP program for an MTU of more than a page",
        );
        return;
    }
    if let Some(lab) = hosts(test, "cardsjumbo", over_v4) {
        lab.hosts.iter().try_for_each(|host| host.netns.ip("link set eth0 mtu 9000").map(drop)).expect("set");
        carries_long_packets(&pair(lab, "xdp"));
    }
}
