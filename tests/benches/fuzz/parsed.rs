//! A VXLAN packet as the intended differences see it, read by none of our programs' code.

use std::net::{Ipv4Addr, Ipv6Addr};

use overlay_common::MacAddr;
pub(crate) use overlay_tests::family::{ETH, UDP, VXLAN};
use overlay_tests::{Family, scene::node_of};

/// Length of an IPv4 header without options.
pub(crate) const IPV4: usize = Family::V4.header();

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
    /// Of the outer IP header.
    pub(crate) family: Family,
    /// What lies between that and UDP.
    pub(crate) between: Between,
    /// The outer source is an IPv4 address mapped into IPv6.
    pub(crate) mapped: bool,
    /// The outer IPv6 header says that nothing follows it.
    pub(crate) no_length: bool,
    /// The nodes that it is from and to, by their IPv4 addresses.
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
        let v6 = u16_at(frame, ip - 2)? == 0x86dd;
        let between = Between::read(frame, ip)?;
        let udp = between.udp;
        let end = match usize::from(u16_at(frame, udp + 4)?) {
            // The rest of the packet (RFC 2675 section 4).
            0 if v6 => match usize::from(u16_at(frame, ip + 4)?) {
                0 => frame.len(),
                payload => ip + 40 + payload,
            },
            length => udp + length,
        };
        let inner = frame.get(udp + UDP + VXLAN..end)?;
        let [a, b, c] = frame.get(udp + UDP + 4..udp + UDP + 7)?.try_into().ok()?;
        Some(Self {
            tagged: ip > ETH,
            to_group: frame[0] & 1 == 1,
            family: if v6 { Family::V6 } else { Family::V4 },
            between,
            mapped: v6 && v6_at(frame, ip + 8)?.to_ipv4_mapped().is_some(),
            no_length: v6 && u16_at(frame, ip + 4)? == 0,
            src: if v6 { node_of(v6_at(frame, ip + 8)?) } else { v4_at(frame, ip + 12)? },
            dst: if v6 { node_of(v6_at(frame, ip + 24)?) } else { v4_at(frame, ip + 16)? },
            vni: u32::from_be_bytes([0, a, b, c]),
            inner,
            inner_dst: mac_at(inner, 0)?,
            inner_src: mac_at(inner, 6)?,
            ethertype: u16_at(inner, 12)?,
        })
    }
}

/// What lies between the outer IP header and UDP.
pub(crate) struct Between {
    /// Bytes of IPv4 options.
    pub(crate) options: usize,
    /// IPv6 extension headers: how many, where those of options are and how long, and whether one is of routing.
    pub(crate) extensions: usize,
    unread: Vec<(usize, usize)>,
    pub(crate) routing: bool,
    /// Offset of the UDP header.
    udp: usize,
}

impl Between {
    /// Reads it from the network header on; none where there is no UDP behind it.
    fn read(frame: &[u8], ip: usize) -> Option<Self> {
        let mut this = Self { options: 0, extensions: 0, unread: Vec::new(), routing: false, udp: 0 };
        if u16_at(frame, ip - 2)? != 0x86dd {
            let header = usize::from(frame.get(ip)? & 0xf) * 4;
            (this.options, this.udp) = (header.checked_sub(IPV4)?, ip + header);
            return Some(this);
        }
        let mut next = *frame.get(ip + 6)?;
        this.udp = ip + 40;
        while matches!(next, 0 | 43 | 44 | 60) {
            let length = if next == 44 { 8 } else { (usize::from(*frame.get(this.udp + 1)?) + 1) * 8 };
            if matches!(next, 0 | 60) {
                this.unread.push((this.udp, length));
            }
            this.routing |= next == 43;
            this.extensions += 1;
            next = *frame.get(this.udp)?;
            this.udp += length;
        }
        (next == 17).then_some(this)
    }
}

/// A frame that the kernel dropped, as it is without what our programs do not look at.
pub(crate) struct Mended {
    pub(crate) frame: Vec<u8>,
    /// Its outer UDP checksum was there and wrong; now there is none.
    pub(crate) unsummed: bool,
}

impl Mended {
    /// None where there is nothing to mend.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let ip = network(frame)?;
        let between = Between::read(frame, ip)?;
        let unsummed = udp_sum_is_wrong(frame, ip, between.udp).unwrap_or_default();
        if !unsummed && between.unread.is_empty() {
            return None;
        }
        let mut this = Self { frame: frame.to_vec(), unsummed };
        if unsummed {
            this.frame[between.udp + 6..between.udp + 8].fill(0);
        }
        for (at, length) in between.unread {
            skip(this.frame.get_mut(at + 2..at + length)?);
        }
        Some(this)
    }
}

/// Makes options such as are skipped by who does not know them (RFC 8200 section 4.2, RFC 4727).
fn skip(options: &mut [u8]) {
    const EXPERIMENTAL: u8 = 0x1e;
    for option in options.chunks_mut(257) {
        if let [kind, length, data @ ..] = option {
            (*kind, *length) = (EXPERIMENTAL, data.len() as u8);
        } else {
            option.fill(0);
        }
    }
}

/// Whether the outer datagram has a checksum that does not hold.
fn udp_sum_is_wrong(frame: &[u8], ip: usize, udp: usize) -> Option<bool> {
    if u16_at(frame, udp + 6)? == 0 {
        return Some(false);
    }
    let v6 = u16_at(frame, ip - 2)? == 0x86dd;
    let length = match u16_at(frame, udp + 4)? {
        0 if v6 => ((ip + 40 + usize::from(u16_at(frame, ip + 4)?)).checked_sub(udp)?) as u16,
        length => length,
    };
    let datagram = frame.get(udp..udp + usize::from(length))?;
    let pseudo = frame.get(if v6 { ip + 8..ip + 40 } else { ip + 12..ip + 20 })?;
    let start = u32::from(!checksum(pseudo, 17 + u32::from(length)));
    Some(checksum(datagram, start) != 0)
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
