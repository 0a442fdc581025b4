//! The frames that are measured, built by `etherparse`.

use std::net::Ipv4Addr;

use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader,
    checksum::Sum16BitWords,
};
use overlay_common::MacAddr;

use crate::scene::{OUR_VTEP, Station, UDP_PORT, VNI};

/// What a datagram carries: with its headers a frame of 106 bytes, that of `pktgen` and of the figures.
const PAYLOAD: [u8; 64] = [0; 64];

fn eth(dst: MacAddr, src: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let header =
        Ethernet2Header { source: src.octets(), destination: dst.octets(), ether_type: EtherType(ethertype) };
    [&header.to_bytes()[..], payload].concat()
}

fn v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let mut header = Ipv4Header::new(payload.len() as u16, 64, protocol, src.octets(), dst.octets())
        .expect("a short payload");
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], payload].concat()
}

fn v6(src: &Station, dst: &Station, hop_limit: u8, next: IpNumber, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: payload.len() as u16,
        next_header: next,
        hop_limit,
        source: src.v6.octets(),
        destination: dst.v6.octets(),
        ..Ipv6Header::default()
    };
    [&header.to_bytes()[..], payload].concat()
}

fn udp(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(src, dst, data.len()).expect("a short datagram");
    [&header.to_bytes()[..], data].concat()
}

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
    eth(dst.mac, src.mac, 0x86dd, &v6(src, dst, 64, IpNumber::UDP, &udp(1000, 2000, &PAYLOAD)))
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
    let mut message = [&[135, 0, 0, 0], &body[..]].concat();
    let mut sum = Sum16BitWords::new().add_16bytes(src.v6.octets()).add_16bytes(dst.v6.octets());
    sum = sum.add_4bytes((message.len() as u32).to_be_bytes()).add_4bytes([0, 0, 0, IpNumber::IPV6_ICMP.0]);
    let checksum = sum.add_slice(&message).ones_complement().to_be().to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    eth(dst.mac, src.mac, 0x86dd, &v6(src, dst, 255, IpNumber::IPV6_ICMP, &message))
}

/// A VXLAN packet from a VTEP to ours, for the device that programs run on, which has MAC address zero.
pub(crate) fn vxlan(from: Ipv4Addr, inner: &[u8]) -> Vec<u8> {
    let header = [&[8, 0, 0, 0][..], &(VNI << 8).to_be_bytes()].concat();
    let datagram = udp(50_000, UDP_PORT, &[&header, inner].concat());
    eth(
        MacAddr::ZERO,
        MacAddr::new([2, 0, 0, 0, 0, 0x52]),
        0x0800,
        &v4(from, OUR_VTEP, IpNumber::UDP, &datagram),
    )
}
