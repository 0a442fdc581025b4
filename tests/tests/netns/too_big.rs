//! A container that sends more than the underlay carries is told so, and adapts.

use std::net::IpAddr;

use overlay_tests::Netns;

use crate::{
    stream::assert_carried,
    support::{BLUE, Drops, container, pair, v4, v6},
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
    for to in [IpAddr::from(v4(2)), v6(2).into()] {
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
    for (to, headers) in [(IpAddr::from(v4(2)), 20 + 8), (v6(2).into(), 40 + 8)] {
        let ping = |size: usize| {
            let size = (size - headers).to_string();
            let mut command = a.netns.command("ping");
            let output =
                command.args(["-n", "-c", "1", "-W", "1", "-M", "do", "-s", &size, &to.to_string()]).output();
            String::from_utf8_lossy(&output.expect("ping runs").stdout).into_owned()
        };
        let before = Drops::read(&lab.hosts[0]);
        assert!(ping(1450).contains(" 1 received"), "the largest that fits, to {to}");
        before.since(&lab.hosts[0]).assert(&[], "the largest that fits");
        let said = ping(1451);
        assert!(said.contains("mtu = 1450") || said.contains("mtu=1450"), "one more, to {to}: {said}");
        before.since(&lab.hosts[0]).assert(&[("too_big", Some(BLUE), 1)], "one more");
    }
}
