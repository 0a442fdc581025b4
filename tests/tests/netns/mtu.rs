//! The longest and the shortest packet between two hosts.

use overlay_tests::{over_v4, over_v6};

use crate::support::{BLUE, Drops, assert_connected, container, echo, is_answered, is_told, pair, pair_at};

/// What an underlay of 1500 bytes leaves for an inner packet.
const MTU: usize = 1450;

#[test]
fn an_echo_of_exactly_the_mtu_is_answered_and_one_byte_more_is_not_sent() {
    let lab = pair("mtu");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_connected(a, b);
    let before = Drops::read(&lab.hosts[0]);
    for ip in &b.ips {
        assert!(is_answered(&echo(&a.netns, *ip, MTU, true)), "{ip}: the largest that fits");
        let said = echo(&a.netns, *ip, MTU + 1, true);
        assert!(!is_answered(&said) && !is_told(&said, MTU), "{ip}: one byte more: {said}");
    }
    // The container's own stack refuses it, by the MTU of its interface.
    before.since(&lab.hosts[0]).assert(&[], "of the MTU");
    // The control: what does not fit is refused on the host, for a container that takes no notice.
    a.netns.ip("link set eth0 mtu 1500").expect("set");
    assert!(!is_answered(&echo(&a.netns, b.ips[0], MTU + 1, true)), "one byte more, sent");
    assert_eq!(before.since(&lab.hosts[0]).count("too_big", BLUE), 1);
}

#[test]
fn an_echo_without_data_is_answered_over_each_family() {
    for (name, vteps) in [("mtuleast", over_v4 as fn(u8) -> _), ("mtuleastsix", over_v6)] {
        let lab = pair_at(name, vteps);
        let (a, b) = (container(&lab, "a"), container(&lab, "b"));
        let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
        for ip in &b.ips {
            // Headers alone, and as much as a header over IPv6 has, and the byte before.
            let shortest = if ip.is_ipv4() { 28 } else { 48 };
            for size in [shortest, shortest + 1, shortest + 11, shortest + 12] {
                assert!(is_answered(&echo(&a.netns, *ip, size, true)), "{name}: {size} bytes to {ip}");
            }
        }
        for (before, host) in before.iter().zip(&lab.hosts) {
            before.since(host).assert(&[], name);
        }
    }
}
