//! The frames that are measured, built by `etherparse`.

#[expect(dead_code, reason = "the tests of the programs build and read more of them")]
#[path = "../../tests/prog/frames.rs"]
mod build;

use std::net::Ipv4Addr;

use etherparse::{IpNumber, TcpHeader};
use overlay_common::MacAddr;

use self::build::{eth, icmpv6, udp, v4, v6, v6_with};
use crate::scene::{Station, VNI};

/// What a datagram carries: with its headers a frame of 106 bytes.
const PAYLOAD: [u8; 64] = [0; 64];

/// UDP over IPv4.
pub(crate) fn udp_v4(src: &Station, dst: &Station) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x0800, &v4(src.v4, dst.v4, IpNumber::UDP, &udp(1000, 2000, &PAYLOAD)))
}

/// TCP over IPv4.
pub(crate) fn tcp_v4(src: &Station, dst: &Station) -> Vec<u8> {
    let segment = [&TcpHeader::new(1000, 2000, 1, 4096).to_bytes()[..], &PAYLOAD].concat();
    eth(dst.mac, src.mac, 0x0800, &v4(src.v4, dst.v4, IpNumber::TCP, &segment))
}

/// UDP over IPv6.
pub(crate) fn udp_v6(src: &Station, dst: &Station) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x86dd, &v6(src.v6, dst.v6, IpNumber::UDP, &udp(1000, 2000, &PAYLOAD)))
}

/// ARP: who has the address of `dst`?
pub(crate) fn arp(src: &Station, dst: &Station) -> Vec<u8> {
    let mac = src.mac.octets();
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let body = [&fixed[..], &mac, &src.v4.octets(), &[0; 6], &dst.v4.octets()].concat();
    eth(MacAddr::BROADCAST, src.mac, 0x0806, &body)
}

/// A neighbour solicitation to `dst`, of one that has asked before (RFC 4861 section 7.2.2, unicast).
pub(crate) fn solicitation(src: &Station, dst: &Station) -> Vec<u8> {
    let body = [&[0; 4][..], &dst.v6.octets(), &[1, 1], &src.mac.octets()].concat();
    let message = icmpv6(src.v6, dst.v6, 135, &body);
    let packet = v6_with(src.v6, dst.v6, IpNumber::IPV6_ICMP, &message, |header| header.hop_limit = 255);
    eth(dst.mac, src.mac, 0x86dd, &packet)
}

/// A VXLAN packet from a VTEP to ours.
pub(crate) fn vxlan(from: Ipv4Addr, inner: &[u8]) -> Vec<u8> {
    build::vxlan(from, VNI, inner)
}
