//! The UDP source port that tells flows apart on the underlay.

use std::collections::HashSet;

use etherparse::IpNumber;
use overlay_common::MacAddr;

use crate::{
    frames::{EXPERIMENTAL, eth, extension, fragment_offset, read, udp, v4, v4_with, v6},
    harness::Kernel,
    scene::{EXTRA_MAC, OWN, REMOTE},
};

fn port(kernel: &Kernel, frame: &[u8]) -> u16 {
    let port = read(&kernel.sends(frame)).udp.source_port;
    assert!(port >= 49_152);
    port
}

fn four(payload: &[u8]) -> Vec<u8> {
    eth(REMOTE.mac, OWN.mac, 0x0800, &v4(OWN.v4, REMOTE.v4, IpNumber::UDP, payload))
}

fn six(next: IpNumber, payload: &[u8]) -> Vec<u8> {
    eth(REMOTE.mac, OWN.mac, 0x86dd, &v6(OWN.v6, REMOTE.v6, next, payload))
}

#[test]
fn a_flow_keeps_its_port_whatever_it_carries() {
    let kernel = Kernel::scene();
    let ports: HashSet<_> = (0..64).map(|byte| port(&kernel, &four(&udp(7, 9, &[byte; 200])))).collect();
    assert_eq!(ports.len(), 1);
    let ports: HashSet<_> =
        (0..64).map(|byte| port(&kernel, &six(IpNumber::UDP, &udp(7, 9, &[byte; 200])))).collect();
    assert_eq!(ports.len(), 1);
}

#[test]
fn flows_that_differ_in_one_port_spread() {
    let kernel = Kernel::scene();
    // 512 balls in 16384 bins: 504 are expected to be hit.
    for frame in [four, |payload: &[u8]| six(IpNumber::UDP, payload)] {
        let ports: HashSet<_> = (1000..1512).map(|src| port(&kernel, &frame(&udp(src, 9, b"x")))).collect();
        assert!(ports.len() > 480, "{} ports", ports.len());
        let ports: HashSet<_> = (1000..1512).map(|dst| port(&kernel, &frame(&udp(7, dst, b"x")))).collect();
        assert!(ports.len() > 480, "{} ports", ports.len());
    }
}

#[test]
fn flows_behind_an_extension_header_spread() {
    let kernel = Kernel::scene();
    let ports: HashSet<_> = (0..64)
        .map(|src| {
            let payload = [extension(IpNumber::UDP, 0), udp(src, 9, b"x")].concat();
            port(&kernel, &six(IpNumber::IPV6_DESTINATION_OPTIONS, &payload))
        })
        .collect();
    assert!(ports.len() > 56, "{} ports", ports.len());
}

#[test]
fn every_fragment_of_a_datagram_has_the_same_port() {
    let kernel = Kernel::scene();
    let fragment = |offset, more, payload: &[u8]| {
        let packet = v4_with(OWN.v4, REMOTE.v4, IpNumber::UDP, payload, |ip| {
            ip.fragment_offset = fragment_offset(offset);
            (ip.more_fragments, ip.dont_fragment) = (more, false);
        });
        port(&kernel, &eth(REMOTE.mac, OWN.mac, 0x0800, &packet))
    };
    let first = fragment(0, true, &udp(7, 9, &[0; 24]));
    assert_eq!(fragment(32, true, &[0xaa; 32]), first);
    assert_eq!(fragment(2048, true, &[0xbb; 32]), first);
    assert_eq!(fragment(64, false, &[0xcc; 3]), first, "shorter than two ports");
    // A whole datagram does show its ports.
    assert_ne!(port(&kernel, &four(&udp(7, 9, &[0; 24]))), first);
}

#[test]
fn every_ipv6_fragment_of_a_datagram_has_the_same_port() {
    let kernel = Kernel::scene();
    let fragment = |offset: u16, more: u16, payload: &[u8]| {
        let place = (offset | more).to_be_bytes();
        let header = [IpNumber::UDP.0, 0, place[0], place[1], 0, 0, 0, 1];
        port(&kernel, &six(IpNumber::IPV6_FRAGMENTATION_HEADER, &[&header, payload].concat()))
    };
    let first = fragment(0, 1, &udp(7, 9, &[0; 24]));
    assert_eq!(fragment(32, 1, &[0xaa; 32]), first);
    assert_eq!(fragment(64, 0, &[0xbb; 3]), first);
    assert_ne!(port(&kernel, &six(IpNumber::UDP, &udp(7, 9, &[0; 24]))), first);
}

#[test]
fn frames_that_are_not_ip_spread_by_their_stations() {
    let mut kernel = Kernel::scene();
    let between = |kernel: &Kernel, src, dst, byte| port(kernel, &eth(dst, src, EXPERIMENTAL, &[byte; 46]));
    let one = between(&kernel, OWN.mac, REMOTE.mac, 1);
    assert_eq!(between(&kernel, OWN.mac, REMOTE.mac, 2), one);
    assert_ne!(between(&kernel, EXTRA_MAC, REMOTE.mac, 1), one);
    let ports: HashSet<_> = (0..64)
        .map(|n| {
            let mac = MacAddr::new([2, 0, 0, 0, 9, n]);
            kernel.set_fdb(crate::scene::VNI, mac, overlay_common::map::Fdb::remote(0, 0));
            between(&kernel, OWN.mac, mac, 1)
        })
        .collect();
    assert!(ports.len() > 56, "{} ports", ports.len());
}
