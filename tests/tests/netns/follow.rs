//! The agent follows the underlay while it changes.

use std::time::Duration;

use overlay_tests::{Capture, Container, Lab, Netns, Underlay};

use crate::support::{
    BLUE, Drops, assert_connected, container, dump, endpoint, let_capture_see, links, pair, v4, v6, wait_for,
};

/// How long the agent may take to follow.
const LIMIT: Duration = Duration::from_secs(2);
/// What an IPv4 underlay takes of the MTU.
const OVERHEAD: u64 = 50;

/// Sets the MTU of the hosts' ends and of what joins them.
pub(crate) fn set_underlay_mtu(lab: &Lab, mtu: u64) {
    let bridge = &lab.underlay.netns;
    for host in &lab.hosts {
        bridge.ip(&format!("link set {} mtu {mtu}", host.name)).expect("set");
        host.netns.ip(&format!("link set eth0 mtu {mtu}")).expect("set");
    }
    bridge.ip(&format!("link set {} mtu {mtu}", Underlay::BRIDGE)).expect("set");
}

/// The MTU of both ends of a container's veth.
pub(crate) fn mtus(lab: &Lab, container: &Container) -> [u64; 2] {
    let host = &lab.hosts[container.host];
    let ifname = endpoint(host, &container.name)["host_ifname"].as_str().expect("bound").to_owned();
    let mtu = |netns: &Netns, name: &str| links(netns)[name]["mtu"].as_u64().expect("a number");
    [mtu(&host.netns, &ifname), mtu(&container.netns, "eth0")]
}

/// Whether an echo request that makes an IP packet of `size` bytes comes back, unfragmented.
fn passes(from: &Container, to: std::net::IpAddr, size: u64) -> bool {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (data, to) = ((size - headers).to_string(), to.to_string());
    from.netns.run(&["ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do", "-s", &data, &to]).is_ok()
}

#[test]
fn both_ends_of_a_veth_follow_the_underlays_mtu() {
    let lab = pair("mtu");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_eq!(mtus(&lab, a), [1450; 2]);
    for mtu in [1500, 1400, 9000, 1500] {
        set_underlay_mtu(&lab, mtu);
        let inner = mtu - OVERHEAD;
        for container in [a, b] {
            wait_for(&format!("{} at {inner}", container.name), LIMIT, || {
                mtus(&lab, container) == [inner; 2]
            });
        }
        for ip in [v4(2).into(), v6(2).into()] {
            assert!(passes(a, ip, inner), "{inner} bytes to {ip} at an underlay of {mtu}");
            assert!(!passes(a, ip, inner + 1), "{} bytes to {ip} at an underlay of {mtu}", inner + 1);
        }
        for host in &lab.hosts {
            let status = host.status().expect("an answer");
            assert_eq!(
                (&status["state"], &status["node"]["mtu"]),
                (&"healthy".into(), &inner.into()),
                "{status}"
            );
        }
    }
}

#[test]
fn a_new_mac_address_of_the_next_hop_is_followed() {
    let lab = pair("hopmac");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_connected(a, b);
    // As a host announces that takes over an address.
    lab.hosts[1].netns.sysctl("net/ipv4/conf/eth0/arp_notify", "1").expect("set");
    lab.hosts[1].netns.ip("link set eth0 address 02:00:00:00:00:77").expect("set");
    wait_for("traffic to an announced MAC address", LIMIT, || a.netns.ping(v4(2).into()));
    assert_connected(a, b);
    // The kernel follows first; the agent is told by it.
    wait_for("the template", LIMIT, || dump(&lab.hosts[0], "vteps")[0]["mac"] == "02:00:00:00:00:77");
    // Unannounced: the kernel has to notice by probing.
    lab.hosts[1].netns.sysctl("net/ipv4/conf/eth0/arp_notify", "0").expect("set");
    lab.hosts[1].netns.ip("link set eth0 address 02:00:00:00:00:78").expect("set");
    wait_for("traffic to an unannounced MAC address", Duration::from_secs(20), || a.netns.ping(v4(2).into()));
    assert_connected(a, b);
}

/// A router on the underlay that sends back out where it received.
fn gateway(lab: &Lab) -> Netns {
    let gateway = Netns::new("ovt-route-gw").expect("a namespace");
    lab.underlay
        .attach(&gateway, "eth0", "10.88.0.50".parse().expect("an address"), 24, "gw")
        .expect("attached");
    for (key, value) in
        [("ip_forward", "1"), ("conf/all/send_redirects", "0"), ("conf/eth0/send_redirects", "0")]
    {
        gateway.sysctl(&format!("net/ipv4/{key}"), value).expect("set");
    }
    gateway
}

#[test]
fn a_new_route_to_a_vtep_is_followed() {
    let lab = pair("route");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let gateway = gateway(&lab);
    let next_hop = || dump(&lab.hosts[0], "vteps")[0]["next_hop"].clone();
    let through_gateway = || {
        let mut capture = Capture::inbound(&gateway, "eth0", "udp port 4789").expect("a capture");
        assert_connected(a, b);
        let_capture_see();
        capture.fields("", &["ip.src"]).expect("tshark").len()
    };
    assert_eq!(next_hop(), "10.88.0.2");
    assert_eq!(through_gateway(), 0);
    lab.hosts[0].netns.ip("route add 10.88.0.2/32 via 10.88.0.50").expect("added");
    wait_for("the gateway", LIMIT, || next_hop() == "10.88.0.50" && a.netns.ping(v4(2).into()));
    assert!(through_gateway() >= 4, "the way there is by the gateway");
    lab.hosts[0].netns.ip("route del 10.88.0.2/32").expect("removed");
    wait_for("the direct way", LIMIT, || next_hop() == "10.88.0.2" && a.netns.ping(v4(2).into()));
    assert_eq!(through_gateway(), 0);
    lab.hosts[0].netns.ip("route add unreachable 10.88.0.2/32").expect("added");
    let unroutable = || lab.hosts[0].status().expect("an answer")["problems"][0]["code"] == "vtep_unroutable";
    wait_for("the problem", LIMIT, unroutable);
    let before = Drops::read(&lab.hosts[0]);
    assert!(!a.netns.ping(v4(2).into()));
    assert!(before.since(&lab.hosts[0]).count("no_route", BLUE) >= 1, "counted");
    lab.hosts[0].netns.ip("route del unreachable 10.88.0.2/32").expect("removed");
    wait_for("health", LIMIT, || lab.hosts[0].status().expect("an answer")["state"] == "healthy");
    assert_connected(a, b);
}

#[test]
fn an_underlay_that_goes_comes_back() {
    let lab = pair("comesback");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let host = &lab.hosts[0];
    let state = || host.status().expect("an answer")["state"].clone();
    host.netns.ip("link set eth0 down").expect("set");
    wait_for("degraded", LIMIT, || state() == "degraded");
    assert!(!a.netns.ping(v4(2).into()));
    host.netns.ip("link set eth0 up").expect("set");
    wait_for("healthy", LIMIT, || state() == "healthy");
    wait_for("traffic", LIMIT, || a.netns.ping(v4(2).into()));
    assert_connected(a, b);
    host.netns.ip("addr del 10.88.0.1/24 dev eth0").expect("removed");
    wait_for("degraded", LIMIT, || state() == "degraded");
    host.netns.ip("addr add 10.88.0.1/24 dev eth0").expect("added");
    wait_for("healthy", LIMIT, || state() == "healthy");
    wait_for("traffic", LIMIT, || a.netns.ping(v4(2).into()));
    assert_connected(a, b);
}

#[test]
fn an_underlay_device_of_another_number_is_followed() {
    let lab = pair("replaced");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let host = &lab.hosts[0];
    host.netns.ip("link del eth0").expect("removed");
    wait_for("degraded", LIMIT, || host.status().expect("an answer")["state"] == "degraded");
    lab.underlay.attach(&host.netns, "eth0", host.vtep, 24, "h1").expect("attached");
    wait_for("healthy", LIMIT, || host.status().expect("an answer")["state"] == "healthy");
    wait_for("traffic", LIMIT, || a.netns.ping(v4(2).into()));
    assert_connected(a, b);
}
