//! What a container's own kernel asks about addresses still works.

use std::{
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use overlay_tests::{Container, Lab};
use serde_json::Value;

use crate::{
    frames::icmpv6,
    support::{Drops, assert_connected, container, mac, pair, v6, wait_for},
};

/// How the kernel of a container sees one of its IPv6 addresses; `Null` without it.
fn address(container: &Container, ip: Ipv6Addr) -> Value {
    let text = container.netns.ip("-6 -j addr show dev eth0").expect("addresses");
    let devices: Value = serde_json::from_str(&text).expect("JSON");
    let addresses = devices[0]["addr_info"].as_array().expect("a list").clone();
    addresses.into_iter().find(|address| address["local"] == ip.to_string()).unwrap_or_default()
}

fn spoofed(before: &Drops, lab: &Lab) -> u64 {
    let moved = before.since(&lab.hosts[0]);
    ["spoofed_mac", "spoofed_ip", "spoofed_arp", "spoofed_nd"]
        .iter()
        .map(|reason| moved.count(reason, "blue"))
        .sum()
}

#[test]
fn duplicate_address_detection_lets_an_own_address_through_and_refuses_a_taken_one() {
    let lab = pair("dad");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let before = Drops::read(&lab.hosts[0]);
    a.netns.ip(&format!("addr del {}/64 dev eth0", v6(1))).expect("removed");
    a.netns.ip(&format!("addr add {}/64 dev eth0", v6(1))).expect("added");
    assert_eq!(address(a, v6(1))["tentative"], true, "DAD is on");
    wait_for("own address usable", Duration::from_secs(5), || {
        let address = address(a, v6(1));
        !address.is_null() && address["tentative"].is_null() && address["dadfailed"].is_null()
    });
    a.netns.ip(&format!("addr add {}/64 dev eth0", v6(2))).expect("added");
    wait_for("taken address refused", Duration::from_secs(5), || address(a, v6(2))["dadfailed"] == true);
    a.netns.ip(&format!("addr del {}/64 dev eth0", v6(2))).expect("removed");
    assert_eq!(spoofed(&before, &lab), 0);
    assert!(
        before.since(&lab.hosts[0]).count("own_neigh", "blue") >= 1,
        "the question about its own was counted"
    );
    assert_connected(a, b);
}

#[test]
fn multicast_listener_reports_are_no_lies() {
    let lab = pair("mld");
    let a = container(&lab, "a");
    let bum = |lab: &Lab| {
        let drops = lab.hosts[0].ask(&["drops"]).expect("drops");
        let rows = drops.as_array().expect("a list").clone();
        rows.iter().filter(|row| row["reason"] == "bum").filter_map(|row| row["count"].as_u64()).sum::<u64>()
    };
    let (before, multicast) = (Drops::read(&lab.hosts[0]), bum(&lab));
    let group = "ff05::1:1234".parse().expect("a group");
    let _member = a
        .netns
        .enter(|| {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a socket");
            socket.join_multicast_v6(&group, 0).expect("joined");
            socket
        })
        .expect("inside");
    // Before an address is assigned, reports come from `::` (RFC 3590). Hop-by-hop options are left out.
    let report = icmpv6(
        (mac(1), [0x33, 0x33, 0, 0, 0, 0x16]),
        Ipv6Addr::UNSPECIFIED,
        "ff02::16".parse().expect("a group"),
        (143, [0, 0, 0, 0]),
        &[],
    );
    a.netns.inject("eth0", &[report]).expect("sent");
    wait_for("the reports", Duration::from_secs(3), || bum(&lab) >= multicast + 2);
    before.since(&lab.hosts[0]).assert(&[], "no report is a lie");
}
