//! A container that sends more than the underlay carries is told so, and adapts.

use std::{net::IpAddr, time::Duration};

use overlay_tests::{Lab, Netns};

use crate::{
    stream::assert_carried,
    support::{BLUE, Drops, addresses, container, echo, forget_mtus, is_answered, is_told, pair, wait_for},
};

/// What the underlay carries of a container's packet.
const MTU: &str = "mtu 1450";

/// What a container's kernel has been told of the way to an address.
fn told(netns: &Netns, to: IpAddr) -> String {
    netns.ip(&format!("route get {to}")).expect("a route")
}

#[test]
fn a_stream_between_containers_with_larger_mtus_finds_the_one_of_the_path() {
    let lab = pair("pmtu");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    // Root in a container may do as it likes with its own end; both, since a peer's segment size limits one's own.
    for container in [a, b] {
        container.netns.ip("link set eth0 mtu 9000").expect("set");
    }
    for to in addresses(2) {
        assert!(!told(&a.netns, to).contains(MTU), "nothing known yet");
        let before = Drops::read(&lab.hosts[0]);
        assert_carried(a, b, to);
        assert!(told(&a.netns, to).contains(MTU), "{}", told(&a.netns, to));
        let moved = before.since(&lab.hosts[0]);
        assert!(moved.count("too_big", BLUE) >= 1);
    }
}

#[test]
fn an_echo_request_of_one_byte_too_many_is_answered_with_the_mtu() {
    let lab = pair("pmtuping");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for container in [a, b] {
        container.netns.ip("link set eth0 mtu 9000").expect("set");
    }
    for to in addresses(2) {
        let before = Drops::read(&lab.hosts[0]);
        assert!(is_answered(&echo(&a.netns, to, 1450, true)), "the largest that fits, to {to}");
        before.since(&lab.hosts[0]).assert(&[], "the largest that fits");
        let said = echo(&a.netns, to, 1451, true);
        assert!(is_told(&said, 1450), "one more, to {to}: {said}");
        before.since(&lab.hosts[0]).assert(&[("too_big", Some(BLUE), 1)], "one more");
    }
}

#[test]
fn a_packet_that_may_be_cut_is_cut_by_its_sender_or_dropped_without_a_word() {
    let lab = pair("pmtudf");
    let a = container(&lab, "a");
    let to = addresses(2)[0];
    let before = Drops::read(&lab.hosts[0]);
    assert!(is_answered(&echo(&a.netns, to, 3000, false)), "in fragments of the container's making");
    before.since(&lab.hosts[0]).assert(&[], "fragments");
    // Nobody cuts it up on the host: a VTEP must not (RFC 7348 section 4.3), and is no router.
    a.netns.ip("link set eth0 mtu 9000").expect("set");
    let said = echo(&a.netns, to, 1451, false);
    assert!(!is_answered(&said) && !said.contains("mtu"), "{said}");
    before.since(&lab.hosts[0]).assert(&[("too_big", Some(BLUE), 1)], "whole");
    let said = echo(&a.netns, to, 1451, true);
    assert!(is_told(&said, 1450), "the control: with DF, {said}");
    // Which its sender heeds from then on.
    assert!(is_answered(&echo(&a.netns, to, 1451, false)), "in fragments, once it knows");
    before.since(&lab.hosts[0]).assert(&[("too_big", Some(BLUE), 2)], "once it knows");
}

/// Gives the network gateways, and waits until a host has heard.
fn set_gateways(lab: &mut Lab, gateways: &[&str]) {
    lab.cluster.networks[0].options = format!("gateways = {gateways:?}\n");
    lab.write_cluster().expect("written");
    wait_for("the gateways", Duration::from_secs(5), || {
        lab.hosts[0].ask(&["network", "show", BLUE]).expect("blue")["gateways"] == serde_json::json!(gateways)
    });
}

#[test]
fn the_gateway_tells_it_while_the_network_has_one() {
    let mut lab = pair("pmtugw");
    let (four, six) = ("10.1.0.254", "fd00:1::fe");
    container(&lab, "a").netns.ip("link set eth0 mtu 9000").expect("set");
    for gateways in [&[][..], &[four, six], &[six], &["10.1.0.253", four], &[]] {
        set_gateways(&mut lab, gateways);
        let a = container(&lab, "a");
        forget_mtus(&a.netns);
        for to in addresses(2) {
            let said = echo(&a.netns, to, 1451, true);
            let of_family = |gateway: &&&str| gateway.contains(':') == to.is_ipv6();
            let from = gateways.iter().find(of_family).map_or(to.to_string(), ToString::to_string);
            assert!(is_told(&said, 1450) && said.contains(&format!("From {from} ")), "{gateways:?}: {said}");
        }
    }
    set_gateways(&mut lab, &[four, six]);
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    b.netns.ip("link set eth0 mtu 9000").expect("set");
    forget_mtus(&a.netns);
    for to in addresses(2) {
        assert_carried(a, b, to);
        assert!(told(&a.netns, to).contains(MTU), "{}", told(&a.netns, to));
    }
}
