//! Inner frames from station to station.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, TcpHeader};
use overlay_common::MacAddr;

use crate::{
    build::{eth, icmpv6, udp, v4, v6, v6_with},
    scene::Station,
};

/// An IPv4 packet in a frame.
pub(crate) fn four(src: &Station, dst: &Station, protocol: u8, payload: &[u8]) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x0800, &v4(src.v4, dst.v4, IpNumber(protocol), payload))
}

/// An IPv6 packet in a frame.
pub(crate) fn six(src: &Station, dst: &Station, next: u8, payload: &[u8]) -> Vec<u8> {
    eth(dst.mac, src.mac, 0x86dd, &v6(src.v6, dst.v6, IpNumber(next), payload))
}

/// A UDP datagram.
pub(crate) fn datagram() -> Vec<u8> {
    udp(1000, 2000, b"hello, all")
}

/// A TCP segment.
pub(crate) fn segment() -> Vec<u8> {
    [&TcpHeader::new(1000, 2000, 1, 4096).to_bytes()[..], b"hello"].concat()
}

/// An ICMPv6 message in a frame to one station.
pub(crate) fn message(src: &Station, dst: &Station, kind: u8, body: &[u8]) -> Vec<u8> {
    six(src, dst, 58, &icmpv6(src.v6, dst.v6, kind, body))
}

/// ARP: MAC addresses of the frame, whether it is a request, who it names as its sender, what it asks for.
pub(crate) fn arp(
    (src, dst): (MacAddr, MacAddr),
    request: bool,
    sender: (MacAddr, Ipv4Addr),
    target: Ipv4Addr,
) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, 2 - u8::from(request)];
    let (mac, ip) = (sender.0.octets(), sender.1.octets());
    eth(dst, src, 0x0806, &[&head[..], &mac, &ip, &[0; 6], &target.octets()].concat())
}

/// The group of who is solicited for an address (RFC 4291 section 2.7.1, RFC 2464 section 7).
pub(crate) fn solicited(target: Ipv6Addr) -> (MacAddr, Ipv6Addr) {
    let [.., a, b, c] = target.octets();
    let ip = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    (MacAddr::new([0x33, 0x33, 0xff, a, b, c]), ip)
}

/// A neighbour message: what it is (135: solicitation, 136: advertisement), from whom and to whom, its target, and the
/// link-layer address that it claims.
#[derive(Clone, Copy)]
pub(crate) struct Neighbour {
    pub(crate) kind: u8,
    pub(crate) src: (MacAddr, Ipv6Addr),
    pub(crate) dst: (MacAddr, Ipv6Addr),
    pub(crate) target: Ipv6Addr,
    pub(crate) claims: Option<MacAddr>,
    pub(crate) hops: u8,
}

impl Neighbour {
    /// A question of a station to all who might have an address.
    pub(crate) fn question(from: &Station, target: Ipv6Addr) -> Self {
        let (src, claims) = ((from.mac, from.v6), Some(from.mac));
        Self { kind: 135, src, dst: solicited(target), target, claims, hops: 255 }
    }

    /// What a station says of itself to another.
    pub(crate) fn answer(from: &Station, to: &Station) -> Self {
        let (src, dst) = ((from.mac, from.v6), (to.mac, to.v6));
        Self { kind: 136, src, dst, target: from.v6, claims: Some(from.mac), hops: 255 }
    }

    /// The ICMPv6 message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut body = [&[0; 4][..], &self.target.octets()].concat();
        if let Some(mac) = self.claims {
            body.extend([if self.kind == 135 { 1 } else { 2 }, 1]);
            body.extend(mac.octets());
        }
        icmpv6(self.src.1, self.dst.1, self.kind, &body)
    }

    /// The frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        self.with(IpNumber::IPV6_ICMP, &self.message())
    }

    /// The frame with another payload of its IPv6 packet.
    pub(crate) fn with(&self, next: IpNumber, payload: &[u8]) -> Vec<u8> {
        let packet = v6_with(self.src.1, self.dst.1, next, payload, |ip| ip.hop_limit = self.hops);
        eth(self.dst.0, self.src.0, 0x86dd, &packet)
    }
}
