//! A packet of exactly the MTU between two hosts.

use std::net::IpAddr;

use overlay_tests::Container;

use crate::support::{BLUE, Drops, assert_connected, container, pair};

/// What an underlay of 1500 bytes leaves for an inner packet.
const MTU: usize = 1450;

/// Whether an echo request that makes an IP packet of `size` bytes is answered, with fragmentation forbidden.
fn answered(from: &Container, to: IpAddr, size: usize) -> bool {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (payload, to) = ((size - headers).to_string(), to.to_string());
    from.netns.run(&["ping", "-n", "-q", "-c", "1", "-W", "2", "-M", "do", "-s", &payload, &to]).is_ok()
}

#[test]
fn an_echo_of_exactly_the_mtu_is_answered_and_one_byte_more_is_not_sent() {
    let lab = pair("mtu");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_connected(a, b);
    let before = Drops::read(&lab.hosts[0]);
    for ip in &b.ips {
        assert!(answered(a, *ip, MTU), "{ip}: the largest that fits");
        assert!(!answered(a, *ip, MTU + 1), "{ip}: one byte more");
    }
    // The container's own stack refuses it, by the MTU of its interface.
    before.since(&lab.hosts[0]).assert(&[], "of the MTU");
    // The control: what does not fit is refused on the host, for a container that takes no notice.
    a.netns.ip("link set eth0 mtu 1500").expect("set");
    assert!(!answered(a, b.ips[0], MTU + 1), "one byte more, sent");
    assert_eq!(before.since(&lab.hosts[0]).count("too_big", BLUE), 1);
}
