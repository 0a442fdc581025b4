//! Neither side knows the other, and they reach each other.

use std::net::IpAddr;

use overlay_tests::{Netns, figure};

use crate::{
    peer::{DEVICE, NUMBER, Peer},
    support::{BLUE, Drops, addresses},
};

/// Whether echo requests that make IP packets of `size` bytes all come back, unfragmented.
fn passes(from: &Netns, to: IpAddr, size: u64) -> bool {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (data, to) = ((size - headers).to_string(), to.to_string());
    from.run(&["ping", "-n", "-q", "-c", "5", "-i", "0.01", "-W", "1", "-M", "do", "-s", &data, &to]).is_ok()
}

#[test]
fn each_side_finds_the_other_cold() {
    let peer = Peer::new("pcold");
    let before = Drops::read(&peer.lab.hosts[0]);
    let mut answered = 0;
    for (from, to, side) in [(&peer.netns, 1, "the peer"), (peer.a(), NUMBER, "the container")] {
        for ip in addresses(to) {
            peer.forget();
            assert!(from.ping(ip), "{side} does not reach {ip}");
            answered += 1;
            // Whoever began, the peer had to ask, and the container answered itself.
            let asked =
                addresses(1).into_iter().find(|own| own.is_ipv4() == ip.is_ipv4()).expect("one of each");
            let known = peer.netns.ip(&format!("neigh show {asked} dev {DEVICE}")).expect("shown");
            assert!(known.contains("02:42:0a:01:00:01"), "{asked} after {side} began: {known}");
        }
    }
    figure("each_side_finds_the_other_cold", "first pings answered, IPv4 and IPv6 from each side", answered);
    peer.assert_nothing_dropped(&before);
}

#[test]
fn a_packet_of_the_mtu_passes_and_a_longer_one_does_not() {
    let peer = Peer::new("pmtu");
    for (from, to) in [(&peer.netns, 1), (peer.a(), NUMBER)] {
        for ip in addresses(to) {
            assert!(passes(from, ip, 1450), "1450 bytes to {ip}");
            assert!(!passes(from, ip, 1451), "1451 bytes to {ip}");
        }
    }
    figure("a_packet_of_the_mtu_passes", "bytes of the longest IP packet, each way", 1450);
}

#[test]
fn a_question_for_a_container_of_another_node_is_not_passed_on() {
    let peer = Peer::new("psplit");
    let before = Drops::read(&peer.lab.hosts[0]);
    for ip in addresses(2) {
        assert!(!peer.netns.ping(ip), "{ip} is on the other host, and the peer sends to the first");
    }
    let moved = before.since(&peer.lab.hosts[0]);
    assert!(moved.count("split_horizon", BLUE) >= 2, "{moved:?}");
    for ip in addresses(1) {
        assert!(peer.netns.ping(ip), "the control");
    }
}
