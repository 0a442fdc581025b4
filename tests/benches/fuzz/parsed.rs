//! A VXLAN packet as the intended differences see it, read by none of our programs' code.

use std::net::{Ipv4Addr, Ipv6Addr};

use overlay_common::MacAddr;

/// Lengths of headers.
pub(crate) const ETH: usize = 14;
pub(crate) const IPV4: usize = 20;
pub(crate) const UDP: usize = 8;
pub(crate) const VXLAN: usize = 8;

/// Reads parts of a frame; none where it ends before.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn mac_at(bytes: &[u8], at: usize) -> Option<MacAddr> {
    Some(MacAddr::new(bytes.get(at..at + 6)?.try_into().ok()?))
}

pub(crate) fn v4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into())
}

pub(crate) fn v6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into())
}

/// The complement of the sum of a header or a packet (RFC 1071).
pub(crate) fn checksum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum = words.fold(start, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The offset of the network header, behind the Ethernet header and tags.
fn network(frame: &[u8]) -> Option<usize> {
    let mut at = ETH;
    while matches!(u16_at(frame, at - 2)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    Some(at)
}

/// A frame that the kernel has found to be VXLAN for it: its outer headers hold.
pub(crate) struct Parsed<'a> {
    /// The outer Ethernet header has tags (IEEE 802.1Q).
    pub(crate) tagged: bool,
    /// The outer destination is a group's.
    pub(crate) to_group: bool,
    /// Bytes of IPv4 options.
    pub(crate) options: usize,
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) vni: u32,
    /// The inner frame.
    pub(crate) inner: &'a [u8],
    pub(crate) inner_dst: MacAddr,
    pub(crate) inner_src: MacAddr,
    pub(crate) ethertype: u16,
}

impl<'a> Parsed<'a> {
    /// Reads a frame; none where it is no VXLAN with an inner Ethernet header.
    pub(crate) fn read(frame: &'a [u8]) -> Option<Self> {
        let ip = network(frame)?;
        let header = usize::from(frame.get(ip)? & 0xf) * 4;
        let udp = ip + header;
        let end = udp + usize::from(u16_at(frame, udp + 4)?);
        let inner = frame.get(udp + UDP + VXLAN..end)?;
        let [a, b, c] = frame.get(udp + UDP + 4..udp + UDP + 7)?.try_into().ok()?;
        Some(Self {
            tagged: ip > ETH,
            to_group: frame[0] & 1 == 1,
            options: header.checked_sub(IPV4)?,
            src: v4_at(frame, ip + 12)?,
            dst: v4_at(frame, ip + 16)?,
            vni: u32::from_be_bytes([0, a, b, c]),
            inner,
            inner_dst: mac_at(inner, 0)?,
            inner_src: mac_at(inner, 6)?,
            ethertype: u16_at(inner, 12)?,
        })
    }
}

/// A frame whose outer UDP checksum is there and wrong: the same without one.
pub(crate) fn without_wrong_udp_checksum(frame: &[u8]) -> Option<Vec<u8>> {
    let ip = network(frame)?;
    let udp = ip + usize::from(frame.get(ip)? & 0xf) * 4;
    if u16_at(frame, udp + 6)? == 0 {
        return None;
    }
    let length = u16_at(frame, udp + 4)?;
    let datagram = frame.get(udp..udp + usize::from(length))?;
    let pseudo = frame.get(ip + 12..ip + 20)?;
    let start = u32::from(!checksum(pseudo, 17 + u32::from(length)));
    if checksum(datagram, start) == 0 {
        return None;
    }
    let mut without = frame.to_vec();
    without[udp + 6..udp + 8].fill(0);
    Some(without)
}

/// An inner IPv6 packet, as far as its headers can be followed.
pub(crate) struct Inner6<'a> {
    pub(crate) src: Ipv6Addr,
    pub(crate) hop_limit: u8,
    /// Whether any extension header makes it a part of a packet, even the only one.
    pub(crate) fragment: bool,
    /// What follows the extension headers.
    pub(crate) last: Last<'a>,
}

/// What follows the extension headers.
pub(crate) enum Last<'a> {
    /// They lead out of the frame, or there are too many.
    Lost,
    /// A later fragment: no header.
    Later,
    /// A protocol's header.
    Transport(u8, &'a [u8]),
}

impl<'a> Inner6<'a> {
    /// Extension headers that our programs follow.
    const EXTENSIONS: usize = 4;

    /// Reads the packet behind an inner Ethernet header; none where it is not one.
    pub(crate) fn read(inner: &'a [u8]) -> Option<Self> {
        let packet = inner.get(ETH..)?;
        if packet.len() < 40 || packet[0] >> 4 != 6 {
            return None;
        }
        let mut this =
            Self { src: v6_at(packet, 8)?, hop_limit: packet[7], fragment: false, last: Last::Lost };
        let (mut next, mut rest) = (packet[6], &packet[40..]);
        let mut met = 0;
        while matches!(next, 0 | 43 | 44 | 60) {
            met += 1;
            let known = if next == 44 { 8 } else { 2 };
            if rest.len() < known {
                return Some(this);
            }
            if next == 44 {
                this.fragment = true;
                if u16_at(rest, 2)? & 0xfff8 != 0 {
                    this.last = Last::Later;
                    return Some(this);
                }
            }
            if met > Self::EXTENSIONS {
                return Some(this);
            }
            let length = if next == 44 { 8 } else { (usize::from(rest[1]) + 1) * 8 };
            next = rest[0];
            rest = rest.get(length..).unwrap_or(&[]);
        }
        this.last = Last::Transport(next, rest);
        Some(this)
    }
}
