//! What a container may send only if its endpoint says so: router advertisements and a DHCP server's messages.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use overlay_tests::{Capture, Lab};

use crate::{
    frames::{Macs, icmpv6, udp4},
    support::{BLUE, Drops, addresses, container, hosts, let_capture_see, mac, start, v4, v6},
};

const MACS: Macs = ([0x02, 0x42, 10, 1, 0, 1], [0x02, 0x42, 10, 1, 0, 2]);

/// The link-local address of a MAC address (RFC 4291 appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::new(0xfe80, 0, 0, 0, word(a ^ 2, b), word(c, 0xff), word(0xfe, d), word(e, f))
}

/// A router advertisement of container 1 to container 2.
fn advertisement() -> Vec<u8> {
    // Hop limit 64, no flags, a router for half an hour; then two timers that are not set.
    icmpv6(MACS, link_local(mac(1)), v6(2), (134, [64, 0, 7, 8]), &[0; 8])
}

/// A datagram of container 1 from the port of a DHCP server, for IPv4 and for IPv6.
fn dhcp() -> [Vec<u8>; 2] {
    let mut frames = [Vec::new(), Vec::new()];
    let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4(v4(1).octets(), v4(2).octets(), 64);
    builder.udp(67, 68).write(&mut frames[0], b"offer").expect("a Vec takes everything");
    let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv6(v6(1).octets(), v6(2).octets(), 64);
    builder.udp(547, 546).write(&mut frames[1], b"offer").expect("a Vec takes everything");
    frames
}

/// `a` with further lines in its endpoint, and `b` on the other host.
fn lab(name: &str, options: &str) -> Lab {
    let mut lab = hosts(name, 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    options.clone_into(&mut lab.cluster.endpoints[0].options);
    start(&mut lab);
    lab
}

/// How many router advertisements and DHCP messages of `a` reach `b`, after a frame that must.
fn delivered(lab: &Lab) -> [usize; 2] {
    let (a, b) = (container(lab, "a"), container(lab, "b"));
    let mut capture = Capture::inbound(&b.netns, "eth0", "").expect("a capture");
    let control = udp4(MACS, v4(1), Ipv4Addr::new(10, 1, 0, 2), 6999);
    let frames = [&[advertisement()], &dhcp()[..], &[control]].concat();
    a.netns.inject("eth0", &frames).expect("sent");
    let_capture_see();
    let mut count = |filter: &str| capture.fields(filter, &["frame.number"]).expect("tshark").len();
    assert_eq!(count("udp.dstport == 6999"), 1, "the control");
    [count("icmpv6.type == 134"), count("udp.srcport == 67 || udp.srcport == 547")]
}

#[test]
fn no_container_is_a_router_or_dhcp_server_by_itself() {
    let lab = lab("norouter", "");
    let before = Drops::read(&lab.hosts[0]);
    assert_eq!(delivered(&lab), [0, 0]);
    let expected = [("rogue_ra", Some(BLUE), 1), ("rogue_dhcp", Some(BLUE), 2)];
    before.since(&lab.hosts[0]).assert(&expected, "each under its reason");
}

#[test]
fn an_endpoint_may_be_a_router_and_a_dhcp_server() {
    let lab = lab("router", "allow_ra = true\nallow_dhcp_server = true\n");
    let before = Drops::read(&lab.hosts[0]);
    assert_eq!(delivered(&lab), [1, 2]);
    before.since(&lab.hosts[0]).assert(&[], "nothing is dropped");
}
