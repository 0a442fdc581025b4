//! Underlays of 9000 bytes: all of it, a part of it, and one that changes under load.

use std::{net::IpAddr, time::Duration};

use overlay_tests::{Container, Host, Lab, Load, Options, over_v4, over_v6};

use crate::{
    follow::{mtus, set_underlay_mtu},
    stream::assert_carried,
    support::{
        BLUE, Drops, addresses, container, dump, echo, forget_mtus, hosts, hosts_of, is_answered, is_told,
        start, wait_for,
    },
};

/// How long the agent may take to follow.
const LIMIT: Duration = Duration::from_secs(2);
/// More than any underlay here carries.
const LONG: &str = "link set eth0 mtu 9200";
/// Datagrams in a second beside a stream.
const RATE: u32 = 2000;

/// A family of the underlay: addresses, and what encapsulation takes of its MTU.
type Family = (fn(u8) -> Vec<IpAddr>, usize);
const V4: Family = (over_v4, 50);
const V6: Family = (over_v6, 70);

/// Hosts on an underlay of 9000 bytes, and a container on each: `a` (1), `b` (2), `c` (3).
fn jumbo(name: &str, count: u8, vteps: fn(u8) -> Vec<IpAddr>) -> Lab {
    let options = Options::for_test(name, count).expect("options");
    let mut lab = hosts_of(&Options { underlay_mtu: 9000, vteps, ..options });
    for (host, name) in (0..count).zip(["a", "b", "c"]) {
        lab.declare_container(host.into(), BLUE, name, &addresses(host + 1)).expect("declared");
    }
    lab
}

/// Panics unless the way to each address carries `mtu` bytes, and the sender of one more, whose interface must allow it, is
/// told so.
#[track_caller]
fn assert_carries(host: &Host, from: &Container, number: u8, mtu: usize) {
    for to in addresses(number) {
        let before = Drops::read(host);
        assert!(is_answered(&echo(&from.netns, to, mtu, true)), "{mtu} bytes to {to}");
        before.since(host).assert(&[], "what fits");
        let said = echo(&from.netns, to, mtu + 1, true);
        assert!(is_told(&said, mtu), "{} bytes to {to}: {said}", mtu + 1);
        before.since(host).assert(&[("too_big", Some(BLUE), 1)], "what does not fit");
    }
}

#[test]
fn containers_have_the_mtu_of_the_underlay_less_the_headers() {
    for (name, (vteps, overhead)) in [("jumbo", V4), ("jumbosix", V6)] {
        let mut lab = jumbo(name, 2, vteps);
        start(&mut lab);
        let (a, b) = (container(&lab, "a"), container(&lab, "b"));
        let mtu = 9000 - overhead;
        for container in [a, b] {
            assert_eq!(mtus(&lab, container), [mtu as u64; 2]);
        }
        for (from, to) in [(a, b), (b, a)] {
            to.ips.iter().for_each(|ip| assert_carried(from, to, *ip));
        }
        for container in [a, b] {
            container.netns.ip(LONG).expect("set");
        }
        assert_carries(&lab.hosts[0], a, 2, mtu);
        for (from, to) in [(a, b), (b, a)] {
            to.ips.iter().for_each(|ip| assert_carried(from, to, *ip));
        }
    }
}

#[test]
fn each_way_has_its_own_mtu() {
    for (name, (vteps, overhead)) in [("jumbomix", V4), ("jumbomixsix", V6)] {
        let mut lab = jumbo(name, 3, vteps);
        // The third host is on a part of 1500 bytes, which the others know by a route.
        lab.underlay.netns.ip("link set h3 mtu 1500").expect("set");
        lab.hosts[2].netns.ip("link set eth0 mtu 1500").expect("set");
        start(&mut lab);
        let (wide, narrow) = (9000 - overhead, 1500 - overhead);
        let third = vteps(3)[0];
        let way = |host: &Host| {
            let ways = dump(host, "vteps");
            ways.iter().find(|way| way["vtep"] == third.to_string()).expect("a way")["mtu"].clone()
        };
        for host in &lab.hosts[..2] {
            host.netns.ip(&format!("route add {third} dev eth0 mtu 1500")).expect("added");
            wait_for("the route", LIMIT, || way(host) == narrow);
            let problems = host.status().expect("an answer")["problems"].clone();
            assert_eq!((&problems[0]["code"], problems[1].is_null()), (&"vtep_mtu".into(), true));
        }
        let [a, b, c] = ["a", "b", "c"].map(|name| container(&lab, name));
        for (container, mtu) in [(a, wide), (b, wide), (c, narrow)] {
            assert_eq!(mtus(&lab, container), [mtu as u64; 2], "{}", container.name);
            // A peer's segment size limits one's own: only so does a stream ask for too much.
            container.netns.ip(LONG).expect("set");
        }
        assert_carries(&lab.hosts[0], a, 2, wide);
        assert_carries(&lab.hosts[0], a, 3, narrow);
        assert_carries(&lab.hosts[2], c, 1, narrow);
        for container in [a, c] {
            forget_mtus(&container.netns);
        }
        for (from, to) in [(a, c), (c, a), (a, b)] {
            to.ips.iter().for_each(|ip| assert_carried(from, to, *ip));
        }
    }
}

#[test]
fn nothing_that_fits_is_lost_while_the_underlays_mtu_changes() {
    let mut lab = hosts("jumbolive", 2);
    for (host, name, number) in [(0, "a", 1), (1, "b", 2), (0, "c", 3)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    let load = Load::with_rate(&lab, "a", "b", RATE).expect("a load");
    let c = container(&lab, "c");
    for mtu in [1500, 9000, 1400, 1500] {
        set_underlay_mtu(&lab, mtu as u64);
        let inner = mtu - V4.1;
        for container in ["a", "b", "c"].map(|name| container(&lab, name)) {
            wait_for(&format!("{} at {inner}", container.name), LIMIT, || {
                mtus(&lab, container) == [inner as u64; 2]
            });
        }
        c.netns.ip(LONG).expect("set");
        forget_mtus(&c.netns);
        for to in addresses(2) {
            assert!(is_answered(&echo(&c.netns, to, inner, true)), "{inner} bytes to {to}");
            let said = echo(&c.netns, to, inner + 1, true);
            assert!(is_told(&said, inner), "{} bytes to {to}: {said}", inner + 1);
        }
    }
    load.stop().expect("counted").assert_clean();
}
