//! Frames, built and read by `etherparse`.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, UdpHeader,
    checksum::Sum16BitWords,
};
use overlay_common::MacAddr;
pub(crate) use overlay_tests::family::OUTER_IP;
use overlay_tests::{
    Family,
    family::ETH,
    scene::{OUR_VTEP, OUR_VTEP_V6, OUTER_DST, Station, UDP_PORT},
};

use crate::scene::DEVICE_MAC;

/// Offsets in a VXLAN packet over IPv4 without options.
pub(crate) const OUTER_UDP: usize = Family::V4.udp();
pub(crate) const OUTER_VXLAN: usize = Family::V4.vxlan();
pub(crate) const INNER: usize = Family::V4.inner();
/// An EtherType for experiments (IEEE 802 local experimental).
pub(crate) const EXPERIMENTAL: u16 = 0x88b5;

/// An Ethernet frame.
pub(crate) fn eth(dst: MacAddr, src: MacAddr, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let header =
        Ethernet2Header { source: src.octets(), destination: dst.octets(), ether_type: EtherType(ethertype) };
    [&header.to_bytes()[..], payload].concat()
}

/// An IPv4 packet whose header `edit` may change before its checksum is made.
pub(crate) fn v4_with(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: IpNumber,
    payload: &[u8],
    edit: impl FnOnce(&mut Ipv4Header),
) -> Vec<u8> {
    let len = payload.len().try_into().expect("a short payload");
    let mut header = Ipv4Header::new(len, 64, protocol, src.octets(), dst.octets()).expect("a short payload");
    edit(&mut header);
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], payload].concat()
}

/// An IPv4 packet.
pub(crate) fn v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    v4_with(src, dst, protocol, payload, |_| {})
}

/// An IPv6 packet whose header `edit` may change.
pub(crate) fn v6_with(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    next_header: IpNumber,
    payload: &[u8],
    edit: impl FnOnce(&mut Ipv6Header),
) -> Vec<u8> {
    let mut header = Ipv6Header {
        payload_length: payload.len().try_into().expect("a short payload"),
        next_header,
        hop_limit: 64,
        source: src.octets(),
        destination: dst.octets(),
        ..Ipv6Header::default()
    };
    edit(&mut header);
    [&header.to_bytes()[..], payload].concat()
}

/// An IPv6 packet.
pub(crate) fn v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: IpNumber, payload: &[u8]) -> Vec<u8> {
    v6_with(src, dst, next_header, payload, |_| {})
}

/// A UDP datagram without a checksum.
pub(crate) fn udp(src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(src, dst, data.len()).expect("a short datagram");
    [&header.to_bytes()[..], data].concat()
}

/// A frame with UDP over IPv4 between two endpoints.
pub(crate) fn udp_v4(src: &Station, dst: &Station) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x0800, &v4(src.v4, dst.v4, IpNumber::UDP, &udp(1000, 2000, b"hello, four")))
}

/// A frame with UDP over IPv6 between two endpoints.
pub(crate) fn udp_v6(src: &Station, dst: &Station) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x86dd, &v6(src.v6, dst.v6, IpNumber::UDP, &udp(1000, 2000, b"hello, six")))
}

/// A frame between two endpoints that is not IP.
pub(crate) fn not_ip(src: &Station, dst: &Station) -> Vec<u8> {
    eth(dst.mac, src.mac, EXPERIMENTAL, &[0xa5; 46])
}

/// A frame of each kind between two endpoints.
pub(crate) fn each_kind(src: &Station, dst: &Station) -> [Vec<u8>; 3] {
    [udp_v4(src, dst), udp_v6(src, dst), not_ip(src, dst)]
}

/// An IPv6 extension header of options: what follows it, and padding to `8 * (len + 1)` bytes.
pub(crate) fn extension(next: IpNumber, len: u8) -> Vec<u8> {
    let mut header = vec![0; (usize::from(len) + 1) * 8];
    header[..2].copy_from_slice(&[next.0, len]);
    header[2..4].copy_from_slice(&[1, len * 8 + 4]);
    header
}

/// An ICMPv6 message with its checksum; `body` is what follows the checksum.
pub(crate) fn icmpv6(src: Ipv6Addr, dst: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0], body].concat();
    let checksum = icmpv6_sum(src, dst, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// The complement of the sum of an ICMPv6 message and its pseudo-header; 0 where the checksum in it holds.
pub(crate) fn icmpv6_sum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> u16 {
    let mut sum = Sum16BitWords::new();
    sum = sum.add_16bytes(src.octets()).add_16bytes(dst.octets());
    sum = sum.add_4bytes(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    sum.add_4bytes([0, 0, 0, IpNumber::IPV6_ICMP.0]).add_slice(message).ones_complement().to_be()
}

/// A VXLAN packet from a VTEP to ours over IPv6.
pub(crate) fn vxlan_v6(from: Ipv6Addr, vni: u32, inner: &[u8]) -> Vec<u8> {
    vxlan_v6_with(from, vni, inner, |_| {})
}

/// A VXLAN packet from a VTEP to ours, whose outer IPv6 header `edit` may change.
pub(crate) fn vxlan_v6_with(
    from: Ipv6Addr,
    vni: u32,
    inner: &[u8],
    edit: impl FnOnce(&mut Ipv6Header),
) -> Vec<u8> {
    let header = [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat();
    let datagram = udp(50_000, UDP_PORT, &[&header, inner].concat());
    eth(DEVICE_MAC, OUTER_DST, 0x86dd, &v6_with(from, OUR_VTEP_V6, IpNumber::UDP, &datagram, edit))
}

/// A frame over IPv6 with these extension headers in front of what it carries; each gives its own bytes for what
/// follows it, and its number.
pub(crate) fn extended(frame: &[u8], headers: &[(IpNumber, Vec<u8>)]) -> Vec<u8> {
    let (next_header, udp) = (Family::V6.protocol(), Family::V6.udp());
    let (mut next, mut chain) = (IpNumber(frame[next_header]), Vec::new());
    for (number, header) in headers.iter().rev() {
        let mut header = header.clone();
        header[0] = next.0;
        chain = [header, chain].concat();
        next = *number;
    }
    let mut frame = [&frame[..udp], &chain, &frame[udp..]].concat();
    let payload = u16::from_be_bytes([frame[OUTER_IP + 4], frame[OUTER_IP + 5]]);
    let payload = payload + u16::try_from(chain.len()).expect("short headers");
    frame[OUTER_IP + 4..OUTER_IP + 6].copy_from_slice(&payload.to_be_bytes());
    frame[next_header] = next.0;
    frame
}

/// What a container's frame became on the way to a VTEP.
pub(crate) struct Encapsulated {
    pub(crate) eth: Ethernet2Header,
    pub(crate) ip: Ipv4Header,
    pub(crate) udp: UdpHeader,
    pub(crate) vxlan: [u8; 8],
    pub(crate) inner: Vec<u8>,
}

/// Reads a VXLAN packet.
pub(crate) fn read(frame: &[u8]) -> Encapsulated {
    let (eth, rest) = Ethernet2Header::from_slice(frame).expect("an Ethernet header");
    let (ip, rest) = Ipv4Header::from_slice(rest).expect("an IPv4 header");
    let (udp, rest) = UdpHeader::from_slice(rest).expect("a UDP header");
    let (vxlan, inner) = rest.split_at(8);
    Encapsulated { eth, ip, udp, vxlan: vxlan.try_into().expect("8 bytes"), inner: inner.to_vec() }
}

/// A VXLAN packet from a VTEP to ours.
pub(crate) fn vxlan(from: Ipv4Addr, vni: u32, inner: &[u8]) -> Vec<u8> {
    vxlan_with(from, vni, inner, |_| {})
}

/// A VXLAN packet from a VTEP to ours, whose outer IPv4 header `edit` may change before its checksum is made.
pub(crate) fn vxlan_with(
    from: Ipv4Addr,
    vni: u32,
    inner: &[u8],
    edit: impl FnOnce(&mut Ipv4Header),
) -> Vec<u8> {
    let header = [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat();
    let datagram = udp(50_000, UDP_PORT, &[&header, inner].concat());
    eth(DEVICE_MAC, OUTER_DST, 0x0800, &v4_with(from, OUR_VTEP, IpNumber::UDP, &datagram, edit))
}

/// The shortest part of a frame that the kernel runs programs on: what `eth_type_trans` and the socket's family need.
pub(crate) fn shortest(frame: &[u8]) -> usize {
    let said = u16::from_be_bytes([frame[ETH - 2], frame[ETH - 1]]);
    let family = Family::ALL.into_iter().find(|family| family.ethertype() == said);
    ETH + family.map_or(1, Family::header)
}

/// A place among fragments, in bytes.
pub(crate) fn fragment_offset(bytes: u16) -> IpFragOffset {
    IpFragOffset::try_new(bytes / 8).expect("a fragment offset")
}

/// Makes the checksum of the IPv4 header at an offset anew, over as many bytes as it says it has.
pub(crate) fn fix_checksum(frame: &mut [u8], at: usize) {
    let len = usize::from(frame[at] & 0xf) * 4;
    frame[at + 10..at + 12].fill(0);
    let sum = Sum16BitWords::new().add_slice(&frame[at..at + len]).ones_complement();
    frame[at + 10..at + 12].copy_from_slice(&sum.to_ne_bytes());
}
