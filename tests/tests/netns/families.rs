//! The underlay over IPv6, and clusters in which some nodes have one family and some the other.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use overlay_tests::{Capture, Container, Endpoint, Host, Lab, Netns, Node, over_v4, over_v6};
use serde_json::Value;

use crate::{
    restart::{assert_none_lost, pinging},
    support::{
        BLUE, Drops, addresses, assert_connected, container, device_mac, dump, endpoint, hosts_at,
        let_capture_see, links, mac, pair_at, start, v4, v6, wait_for,
    },
};

const LIMIT: Duration = Duration::from_secs(5);
/// What an underlay of 1500 bytes leaves over IPv6.
const OVER_V6: u64 = 1430;

/// Addresses of both families, those of IPv4 first.
fn both(number: u8) -> Vec<IpAddr> {
    [over_v4(number), over_v6(number)].concat()
}

/// The first host prefers one family, the second the other.
fn crosswise(number: u8) -> Vec<IpAddr> {
    let mut vteps = both(number);
    if number == 2 {
        vteps.reverse();
    }
    vteps
}

/// The first host has IPv4, the second IPv6, the third both.
fn mixed(number: u8) -> Vec<IpAddr> {
    match number {
        1 => over_v4(number),
        2 => over_v6(number),
        _ => both(number),
    }
}

/// The codes of a host's problems.
fn problems(host: &Host) -> Vec<String> {
    let status = host.status().expect("an answer");
    let codes = status["problems"].as_array().expect("a list").iter();
    codes.map(|problem| problem["code"].as_str().expect("a word").to_owned()).collect()
}

/// Whether an echo request that makes an IP packet of `size` bytes comes back, unfragmented.
fn passes(from: &Netns, to: IpAddr, size: u64) -> bool {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (data, to) = ((size - headers).to_string(), to.to_string());
    from.run(&["ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do", "-s", &data, &to]).is_ok()
}

/// Panics unless both containers' ends of a veth have this MTU.
fn assert_mtu(lab: &Lab, container: &Container, expected: u64) {
    let host = &lab.hosts[container.host];
    let ifname = endpoint(host, &container.name)["host_ifname"].as_str().expect("bound").to_owned();
    assert_eq!(links(&host.netns)[&ifname]["mtu"], expected, "{}", container.name);
    assert_eq!(links(&container.netns)["eth0"]["mtu"], expected, "{}", container.name);
}

/// Frames that are not IP, of several lengths.
fn not_ip() -> Vec<Vec<u8>> {
    [46_usize, 47, 999, 1430]
        .into_iter()
        .map(|len| [&mac(2)[..], &mac(1), &[0x88, 0xb5], &vec![0xa5; len]].concat())
        .collect()
}

#[test]
fn both_families_of_containers_cross_an_underlay_of_ipv6() {
    let lab = pair_at("six", over_v6);
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    let mut capture = Capture::start(&lab.underlay.netns, "h1", "udp port 4789").expect("a capture");
    assert_connected(a, b);
    let mut inside = Capture::inbound(&b.netns, "eth0", "ether proto 0x88b5").expect("a capture");
    a.netns.inject("eth0", &not_ip()).expect("sent");
    let_capture_see();
    assert_eq!(inside.fields("", &["frame.number"]).expect("tshark").len(), not_ip().len(), "not IP");
    let rows = capture.fields("", &["ipv6.src", "ipv6.dst", "udp.checksum"]).expect("tshark");
    assert!(rows.len() >= 8 + not_ip().len(), "{} packets", rows.len());
    for row in rows {
        let outer: Vec<&str> = row.iter().map(|field| field.split(',').next().unwrap_or_default()).collect();
        assert!(
            matches!(outer[..], ["fd88::1", "fd88::2", "0x0000"] | ["fd88::2", "fd88::1", "0x0000"]),
            "{row:?}"
        );
    }
    for container in [a, b] {
        assert_mtu(&lab, container, OVER_V6);
    }
    for ip in addresses(2) {
        assert!(passes(&a.netns, ip, OVER_V6), "{ip}");
        assert!(!passes(&a.netns, ip, OVER_V6 + 1), "{ip}");
    }
    for (before, host) in before.iter().zip(&lab.hosts) {
        before.since(host).assert(&[], &host.name);
    }
    a.netns.ip("link set eth0 mtu 9000").expect("set");
    assert!(!passes(&a.netns, v4(2).into(), OVER_V6 + 1));
    before[0].since(&lab.hosts[0]).assert(&[("too_big", Some(BLUE), 1)], "one byte more");
}

#[test]
fn an_agent_over_ipv6_restarts_without_a_loss() {
    let mut lab = pair_at("sixrestart", over_v6);
    for crash in [false, true] {
        let ping = pinging(container(&lab, "a"));
        let host = &mut lab.hosts[0];
        if crash { host.kill_agent() } else { host.stop_agent() }.expect("ended");
        host.start_agent().expect("started");
        assert_none_lost(ping, if crash { "kill -9" } else { "SIGTERM" });
        wait_for("an audit", Duration::from_secs(12), || {
            host.status().expect("an answer")["audit"]["runs"] != 0
        });
        let status = host.status().expect("an answer");
        assert_eq!(
            (&status["state"], &status["audit"]["repaired"]),
            (&"healthy".into(), &0.into()),
            "{status}"
        );
    }
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn in_a_mixed_cluster_nodes_meet_over_the_family_they_share() {
    let mut lab = hosts_at("mixed", 3, mixed);
    for (host, name, number) in [(0, "a", 1), (1, "b", 2), (2, "c", 3)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    lab.write_cluster().expect("cluster.toml");
    lab.start_agents().expect("agents");
    lab.bind_all().expect("bound");
    let [a, b, c] = ["a", "b", "c"].map(|name| container(&lab, name));
    wait_for("the next hops", LIMIT, || a.netns.ping(v4(3).into()) && b.netns.ping(v4(3).into()));
    assert_connected(a, c);
    assert_connected(b, c);
    // Some nodes meet over IPv6, so nobody's containers send more than that carries.
    for container in [a, b, c] {
        assert_mtu(&lab, container, OVER_V6);
    }
    let before = Drops::read(&lab.hosts[0]);
    assert!(!a.netns.ping(v4(2).into()), "they have no family in common");
    assert!(before.since(&lab.hosts[0]).count("no_route", BLUE) >= 1);
    assert_eq!(
        [0, 1, 2].map(|host| problems(&lab.hosts[host])),
        [vec!["vtep_family"], vec!["vtep_family"], vec![]]
    );
    let nodes = lab.hosts[0].ask(&["node", "list"]).expect("nodes");
    let seen = |node: &Value| (node["vtep"].clone(), node["vteps"].clone(), node["state"].clone());
    let nodes: Vec<_> = nodes.as_array().expect("a list").iter().map(seen).collect();
    let json = |vtep: &str, vteps: &[&str], state: &str| (vtep.into(), vteps.to_vec().into(), state.into());
    assert_eq!(
        nodes,
        [
            json("10.88.0.1", &["10.88.0.1"], "self"),
            json("fd88::2", &["fd88::2"], "unroutable"),
            json("10.88.0.3", &["10.88.0.3", "fd88::3"], "known"),
        ]
    );
    // With an address of the other family, they meet.
    overlay_tests::add_address(&lab.hosts[0].netns, "eth0", over_v6(1)[0], 64).expect("added");
    lab.cluster.nodes[0].vteps = both(1);
    lab.write_cluster().expect("written");
    let [a, b, c] = ["a", "b", "c"].map(|name| container(&lab, name));
    wait_for("the other family", LIMIT, || a.netns.ping(v4(2).into()));
    for (one, other) in [(a, b), (b, c), (a, c)] {
        assert_connected(one, other);
    }
    for host in &lab.hosts {
        wait_for("health", LIMIT, || problems(host).is_empty());
    }
}

#[test]
fn nodes_that_prefer_different_families_answer_each_other() {
    let mut lab = pair_at("cross", crosswise);
    let ways = |lab: &Lab| [0, 1].map(|host| dump(&lab.hosts[host], "vteps")[0]["vtep"].clone());
    assert_eq!(ways(&lab), ["fd88::2", "10.88.0.1"]);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    for host in &mut lab.hosts {
        host.kill_agent().expect("killed");
        host.start_agent().expect("started");
        wait_for("an audit", Duration::from_secs(12), || {
            host.status().expect("an answer")["audit"]["runs"] != 0
        });
        assert_eq!(host.status().expect("an answer")["audit"]["repaired"], 0);
    }
    // An address that goes is told, and the cluster decides what follows.
    lab.hosts[1].netns.ip("address del fd88::2/64 dev eth0").expect("removed");
    wait_for("the problem", LIMIT, || problems(&lab.hosts[1]) == ["vtep_missing"]);
    lab.cluster.nodes[1].vteps = over_v4(2);
    lab.write_cluster().expect("written");
    wait_for("the other way", LIMIT, || ways(&lab) == ["10.88.0.2", "10.88.0.1"]);
    for host in &lab.hosts {
        wait_for("health", LIMIT, || problems(host).is_empty());
    }
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

/// A router on the underlay that sends back out where it received.
fn router(lab: &Lab) -> Netns {
    let router = Netns::new("ovt-sixroute-gw").expect("a namespace");
    let address = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 0x50).into();
    lab.underlay.attach(&router, "eth0", address, 64, "gw").expect("attached");
    router.sysctl("net/ipv6/conf/all/forwarding", "1").expect("set");
    lab.hosts[0].netns.sysctl("net/ipv6/conf/eth0/accept_redirects", "0").expect("set");
    router
}

#[test]
fn a_route_by_an_ipv6_router_is_followed_and_its_mtu_kept() {
    let lab = pair_at("sixroute", over_v6);
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let router = router(&lab);
    let host = &lab.hosts[0];
    let way = || dump(host, "vteps")[0].clone();
    let link_local = router.ip("-6 -o address show dev eth0 scope link").expect("shown");
    let link_local =
        link_local.split_whitespace().find(|word| word.starts_with("fe80:")).expect("an address");
    let link_local = link_local.split('/').next().expect("an address").to_owned();
    assert_eq!((&way()["next_hop"], &way()["mtu"]), (&"fd88::2".into(), &OVER_V6.into()));
    for via in ["fd88::50", &link_local] {
        host.netns.ip(&format!("-6 route replace fd88::2/128 via {via} dev eth0 mtu 1400")).expect("set");
        wait_for(via, LIMIT, || way()["next_hop"] == via && a.netns.ping(v4(2).into()));
        let mut capture = Capture::inbound(&router, "eth0", "udp port 4789").expect("a capture");
        assert_connected(a, b);
        let_capture_see();
        assert!(capture.fields("", &["ipv6.src"]).expect("tshark").len() >= 4, "by way of {via}");
        assert_eq!(way()["mtu"], 1330);
    }
    assert_eq!(problems(host), ["vtep_mtu"]);
    let before = Drops::read(host);
    assert!(passes(&a.netns, v4(2).into(), 1330));
    before.since(host).assert(&[], "the longest that fits");
    assert!(!passes(&a.netns, v4(2).into(), 1331));
    before.since(host).assert(&[("too_big", Some(BLUE), 1)], "one byte more");
    host.netns.ip("-6 route del fd88::2/128").expect("removed");
    wait_for("the direct way", LIMIT, || way()["next_hop"] == "fd88::2" && problems(host).is_empty());
    assert_connected(a, b);
    // What it was told of the longer way it would keep for ten minutes (`net.ipv4.route.mtu_expires`).
    a.netns.ip("route flush cache").expect("flushed");
    assert!(passes(&a.netns, v4(2).into(), OVER_V6));
}

/// A host whose only means is a vxlan device over IPv6, declared as a node with one endpoint (9).
fn peer(lab: &mut Lab, name: &str, options: &str) -> Netns {
    let vtep: IpAddr = "fd88::9".parse().expect("an address");
    let netns = Netns::new(&format!("ovt-{name}-peer")).expect("a namespace");
    lab.underlay.attach(&netns, "eth0", vtep, 64, "peer").expect("attached");
    netns
        .ip(&format!("link add vxlan0 type vxlan id 42 local {vtep} remote fd88::1 dstport 4789 udp6zerocsumrx {options}"))
        .expect("a vxlan device");
    let mac = device_mac(&netns, "vxlan0").map(|byte| format!("{byte:02x}")).join(":");
    lab.cluster.nodes.push(Node { name: "peer".to_owned(), vteps: vec![vtep], external: true });
    lab.cluster.endpoints.push(Endpoint {
        network: BLUE.to_owned(),
        node: "peer".to_owned(),
        ips: addresses(9).to_vec(),
        mac: Some(mac),
        ..Endpoint::default()
    });
    netns
}

#[test]
fn a_plain_vxlan_device_over_ipv6_is_a_peer() {
    // With and without checksums in what it sends.
    for (name, options) in [("sixpeer", "udp6zerocsumtx"), ("sixpeersum", "noudp6zerocsumtx")] {
        let mut lab = hosts_at(name, 1, over_v6);
        lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
        let netns = peer(&mut lab, name, options);
        start(&mut lab);
        netns.ip("link set vxlan0 mtu 1430 up").expect("set");
        netns.ip(&format!("address add {}/24 dev vxlan0", v4(9))).expect("set");
        netns.ip(&format!("address add {}/64 dev vxlan0 nodad", v6(9))).expect("set");
        let a = container(&lab, "a");
        for (from, number) in [(&netns, 1), (&a.netns, 9)] {
            for ip in addresses(number) {
                wait_for("the peer", LIMIT, || from.ping(ip));
                assert!(passes(from, ip, OVER_V6), "{ip}");
                assert!(!passes(from, ip, OVER_V6 + 1), "{ip}");
            }
        }
    }
}
