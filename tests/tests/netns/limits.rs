//! What the network does not carry is counted, not lost without a trace.

use std::net::IpAddr;

use overlay_tests::{Capture, Container};

use crate::{
    frames::udp4,
    support::{
        BLUE, Drops, addresses, assert_connected, container, hosts, let_capture_see, mac, pair, start, v4,
        v6, wait_for,
    },
};

/// Whether a UDP datagram that makes an IP packet of `size` bytes arrives.
fn arrives(a: &Container, b: &Container, size: usize) -> bool {
    let mut capture = Capture::inbound(&b.netns, "eth0", "udp").expect("a capture");
    let mut frame = udp4((mac(1), mac(2)), v4(1), v4(2), 6001);
    // Lengths of IPv4 and UDP, and the sum of the header that changes with the first.
    let grown = size - (frame.len() - 14);
    frame.resize(frame.len() + grown, 0);
    frame[16..18].copy_from_slice(&(size as u16).to_be_bytes());
    frame[38..40].copy_from_slice(&(size as u16 - 20).to_be_bytes());
    let sum = !u16::from_be_bytes([frame[24], frame[25]]);
    let sum = u32::from(sum) + grown as u32;
    frame[24..26].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    // Without a checksum, which IPv4 allows.
    frame[40..42].fill(0);
    a.netns.inject("eth0", &[frame]).expect("sent");
    let_capture_see();
    !capture.fields("udp.dstport == 6001", &["frame.number"]).expect("tshark").is_empty()
}

#[test]
fn a_frame_beyond_the_underlays_mtu_is_counted_as_too_big() {
    let lab = pair("toobig");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let before = Drops::read(&lab.hosts[0]);
    assert!(arrives(a, b, 1450), "the largest that fits");
    before.since(&lab.hosts[0]).assert(&[], "the largest that fits");
    // Root in a container may do as it likes with its own end.
    a.netns.ip("link set eth0 mtu 9000").expect("set");
    assert!(!arrives(a, b, 1451), "one more");
    let moved = before.since(&lab.hosts[0]);
    moved.assert(&[("too_big", Some(BLUE), 1)], "one more");
}

#[test]
fn an_encrypted_network_crosses_no_underlay_in_clear() {
    let mut lab = hosts("clear", 2);
    for (name, number, host) in [("a", 1, 0), ("b", 2, 1), ("c", 3, 0)] {
        lab.declare_container(host, "red", name, &addresses(number)).expect("declared");
    }
    lab.write_cluster().expect("written");
    lab.start_agents().expect("agents");
    lab.bind_all().expect("bound");
    let (a, b, c) = (container(&lab, "a"), container(&lab, "b"), container(&lab, "c"));
    // The control: the same network in clear.
    assert_connected(a, b);
    let before = Drops::read(&lab.hosts[0]);
    let encrypted = lab.cluster.to_toml().replacen("name = \"red\"", "name = \"red\"\nencrypted = true", 1);
    lab.write_cluster_text(&encrypted).expect("written");
    let problem = || {
        lab.hosts
            .iter()
            .all(|host| host.status().expect("an answer")["problems"][0]["code"] == "not_encrypted")
    };
    wait_for("the problem", std::time::Duration::from_secs(2), problem);
    let mut capture = Capture::start(&lab.underlay.netns, "h1", "udp port 4789").expect("a capture");
    for ip in &b.ips {
        assert!(!a.netns.ping(*ip), "{ip}");
    }
    assert_connected(a, c);
    let_capture_see();
    assert_eq!(capture.fields("", &["frame.number"]).expect("tshark").len(), 0, "on the underlay");
    assert!(before.since(&lab.hosts[0]).count("not_encrypted", "red") >= 2);
}

#[test]
fn an_endpoint_of_ipv6_alone_works() {
    let mut lab = hosts("v6only", 2);
    lab.declare_container(0, BLUE, "a", &[IpAddr::V6(v6(1))]).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.declare_container(0, BLUE, "c", &[IpAddr::V6(v6(3))]).expect("c");
    start(&mut lab);
    let (a, b, c) = (container(&lab, "a"), container(&lab, "b"), container(&lab, "c"));
    for (from, to) in [(a, v6(2)), (b, v6(1)), (a, v6(3)), (c, v6(1))] {
        assert!(from.netns.ping(to.into()), "{} to {to}", from.name);
    }
}
