//! VXLAN packets as VTEPs send them: inner frames of many kinds, and outer headers around them.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4Options, TcpHeader};
use overlay_common::MacAddr;
use overlay_tests::Random;

use crate::{
    build::{
        each_kind, eth, extension, fragment_offset, icmpv6, not_ip, udp, udp_v4, v4, v4_with, v6, v6_with,
    },
    family::{Family, IP},
    parsed::checksum,
    scene::{
        ABROAD, ABROAD_V6, BESIDE, DEVICE_MAC, EGRESS, FOREIGN_VNI, LOCAL, NAMED, NOBODY, OTHER_VNI,
        OTHER_VTEP, OUR_VTEP, OUTER_DST, OWN, PLAIN, PLAIN_VTEP, REMOTE, SECRET_VNI, STRANGER, Station,
        UDP_PORT, VNI, VTEP, over_v6,
    },
};

/// Inner frames.
pub(crate) struct Grammar {
    /// To stations on this node, of many kinds; from who stands behind each VTEP.
    local: Vec<(Vec<u8>, Ipv4Addr)>,
    /// To anybody else: other stations, groups, questions.
    other: Vec<(Vec<u8>, Ipv4Addr)>,
    /// From the container, for what our programs encapsulate.
    outbound: [Vec<Vec<u8>>; 2],
}

impl Grammar {
    pub(crate) fn new() -> Self {
        let mut this = Self {
            local: Vec::new(),
            other: Vec::new(),
            outbound: [ABROAD, ABROAD_V6].map(|dst| unicast(&OWN, &dst)),
        };
        for (src, vtep) in [(REMOTE, VTEP), (BESIDE, VTEP), (PLAIN, PLAIN_VTEP)] {
            for dst in [OWN, LOCAL, EGRESS, NAMED] {
                let frames = unicast(&src, &dst).into_iter().chain(neighbours(&src, &dst, dst.mac));
                this.local.extend(frames.map(|frame| (frame, vtep)));
            }
            for dst in [REMOTE, BESIDE, PLAIN, NOBODY, src] {
                let frames = each_kind(&src, &dst).into_iter().chain(neighbours(&src, &dst, dst.mac));
                this.other.extend(frames.map(|frame| (frame, vtep)));
            }
            for dst in [OWN, LOCAL, NAMED, REMOTE, NOBODY, src] {
                let frames = groups(&src, &dst).into_iter().chain(tagged(&src, &dst));
                this.other.extend(frames.map(|frame| (frame, vtep)));
            }
        }
        this
    }

    /// A valid packet, and what of: the same of the same numbers.
    pub(crate) fn packet(&self, family: Family, random: &mut Random) -> Vec<u8> {
        let from = if random.below(3) < 2 { &self.local } else { &self.other };
        let (inner, vtep) = pick(random, from);
        let src = if random.below(16) > 0 {
            *vtep
        } else {
            *pick(random, &[VTEP, OTHER_VTEP, PLAIN_VTEP, STRANGER, OUR_VTEP])
        };
        let vni = match random.below(32) {
            0 => *pick(random, &[0, OTHER_VNI, FOREIGN_VNI, 0x00ff_ffff]),
            1 => SECRET_VNI,
            _ => VNI,
        };
        let mut frame = wrap(family, inner, src, vni);
        if random.below(2) == 0 {
            vary(&mut frame, family, random);
        }
        fix_ip(&mut frame);
        let udp = family.udp();
        match random.below(8) {
            0 => sum_udp(&mut frame, family),
            1 => frame[udp + 6..udp + 8].copy_from_slice(&(random.next() as u16).to_be_bytes()),
            _ => {}
        }
        if family == Family::V6 && random.below(8) == 0 {
            extend(&mut frame, random);
        }
        frame
    }

    /// An inner frame of any kind.
    pub(crate) fn inner(&self, random: &mut Random) -> &[u8] {
        let from = if random.below(2) == 0 { &self.local } else { &self.other };
        &pick(random, from).0
    }

    /// A frame of the container to a station behind the kernel's VTEP of a family.
    pub(crate) fn outbound(&self, family: Family, random: &mut Random) -> Vec<u8> {
        let mut frame = pick(random, &self.outbound[family as usize]).clone();
        if random.below(2) == 0 {
            mark(&mut frame, 0, random);
        }
        frame
    }
}

/// What VTEPs may say as they like: TOS, TTL, numbers and source ports; and marks of congestion inside.
fn vary(frame: &mut [u8], family: Family, random: &mut Random) {
    let any = random.next().to_be_bytes();
    let tos = if any[0] & 1 == 0 { any[1] & 3 } else { any[1] };
    match family {
        Family::V4 => {
            frame[IP + 1] = tos;
            frame[IP + 4..IP + 6].copy_from_slice(&any[2..4]);
            frame[IP + 6] = if any[4] & 1 == 0 { 0x40 } else { 0 };
            frame[IP + 8] = any[5];
        }
        Family::V6 => {
            frame[IP] = 0x60 | tos >> 4;
            frame[IP + 1] = tos << 4 | any[4] & 0xf;
            frame[IP + 2..IP + 4].copy_from_slice(&any[2..4]);
            frame[IP + 7] = any[5];
        }
    }
    frame[family.udp()..family.udp() + 2].copy_from_slice(&any[6..8]);
    if random.below(2) == 0 {
        mark(frame, family.inner(), random);
    }
}

/// Puts extension headers in front of what an outer IPv6 header is followed by, its length right.
pub(crate) fn extend(frame: &mut Vec<u8>, random: &mut Random) {
    let (mut chain, mut next) = (Vec::new(), frame[IP + 6]);
    for place in (0..=random.below(5)).rev() {
        let kind = match random.below(16) {
            0..=4 if place == 0 => 0,
            0 => 0,
            5..=7 => 44,
            8 => 43,
            _ => 60,
        };
        chain = [extension_of(kind, next, random), chain].concat();
        next = kind;
    }
    frame[IP + 6] = next;
    let length = u16::from_be_bytes([frame[IP + 4], frame[IP + 5]]).wrapping_add(chain.len() as u16);
    frame[IP + 4..IP + 6].copy_from_slice(&length.to_be_bytes());
    frame.splice(IP + 40..IP + 40, chain);
}

/// An extension header of a kind: nearly always one that the kernel bears.
fn extension_of(kind: u8, next: u8, random: &mut Random) -> Vec<u8> {
    let any = random.next().to_be_bytes();
    if kind == 44 {
        // Whole, the first part, or a later one.
        let offset = *pick(random, &[0, 0, 0, 0, 1, 1, 8, 9]);
        return vec![next, any[0], 0, offset, any[1], any[2], any[3], any[4]];
    }
    let words = *pick(random, &[0_u8, 0, 0, 1, 2, 6]);
    let mut header = vec![0; (usize::from(words) + 1) * 8];
    header[..2].copy_from_slice(&[next, words]);
    if kind == 43 {
        header[2..4].copy_from_slice(&[*pick(random, &[0, 2, 3, 4, 253]), any[0] & any[1] & 1]);
    } else if words == 0 && any[0] & 1 == 0 {
        // Padding.
        header[2..4].copy_from_slice(&[1, 4]);
    } else {
        // An option that is skipped by who does not know it (RFC 4727), or any.
        header[2] = if any[0] & 6 == 0 { any[1] } else { 0x1e };
        header[3] = words * 8 + 4;
    }
    header
}

/// Sets the ECN field of an inner IP packet, with its checksum.
fn mark(frame: &mut [u8], inner: usize, random: &mut Random) {
    let ecn = random.below(4) as u8;
    match frame.get(inner + 12..inner + 14) {
        Some([0x08, 0]) if frame.len() >= inner + 34 => {
            frame[inner + 15] = frame[inner + 15] & !3 | ecn;
            fix_ip_at(frame, inner + 14);
        }
        Some([0x86, 0xdd]) if frame.len() >= inner + 54 => {
            frame[inner + 15] = frame[inner + 15] & !0x30 | ecn << 4;
        }
        _ => {}
    }
}

/// Puts an outer header around an inner frame; its IPv4 checksum is still to be made.
pub(crate) fn wrap(family: Family, inner: &[u8], src: Ipv4Addr, vni: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(family.inner() + inner.len() + 64);
    frame.extend(DEVICE_MAC.octets());
    frame.extend(OUTER_DST.octets());
    match family {
        Family::V4 => {
            frame.extend([0x08, 0, 0x45, 0]);
            frame.extend((36 + inner.len() as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            frame.extend(src.octets());
            frame.extend(OUR_VTEP.octets());
        }
        Family::V6 => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((16 + inner.len() as u16).to_be_bytes());
            frame.extend([17, 64]);
            frame.extend(over_v6(src).octets());
            frame.extend(over_v6(OUR_VTEP).octets());
        }
    }
    frame.extend(50_000_u16.to_be_bytes());
    frame.extend(UDP_PORT.to_be_bytes());
    frame.extend((16 + inner.len() as u16).to_be_bytes());
    frame.extend([0, 0, 8, 0, 0, 0]);
    frame.extend((vni << 8).to_be_bytes());
    frame.extend(inner);
    frame
}

/// Makes the checksum of an outer IPv4 header anew.
pub(crate) fn fix_ip(frame: &mut [u8]) {
    if Family::of(frame) == Family::V4 {
        fix_ip_at(frame, IP);
    }
}

fn fix_ip_at(frame: &mut [u8], at: usize) {
    let Some(first) = frame.get(at) else { return };
    let length = usize::from(first & 0xf) * 4;
    if length >= 20 && frame.len() >= at + length {
        frame[at + 10..at + 12].fill(0);
        let sum = checksum(&frame[at..at + length], 0);
        frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Makes the checksum of the outer UDP datagram.
fn sum_udp(frame: &mut [u8], family: Family) {
    let udp = family.udp();
    frame[udp + 6..udp + 8].fill(0);
    let length = (frame.len() - udp) as u32;
    let addresses = if family == Family::V4 { IP + 12 } else { IP + 8 };
    let start = u32::from(!checksum(&frame[addresses..udp], 17 + length));
    let sum = match checksum(&frame[udp..], start) {
        0 => 0xffff,
        sum => sum,
    };
    frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
}

pub(crate) fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len() as u64) as usize]
}

/// Frames of many kinds from station to station.
fn unicast(src: &Station, dst: &Station) -> Vec<Vec<u8>> {
    let eth4 = |packet: &[u8]| eth(dst.mac, src.mac, 0x0800, packet);
    let eth6 = |packet: &[u8]| eth(dst.mac, src.mac, 0x86dd, packet);
    let datagram = udp(1000, 2000, b"hello");
    let segment = [&TcpHeader::new(1000, 2000, 1, 4096).to_bytes()[..], b"hello"].concat();
    let mut frames: Vec<Vec<u8>> = each_kind(src, dst).into();
    frames.push(eth4(&v4(src.v4, dst.v4, IpNumber::TCP, &segment)));
    frames.push(eth6(&v6(src.v6, dst.v6, IpNumber::TCP, &segment)));
    frames.push(eth4(&v4(src.v4, dst.v4, IpNumber::ICMP, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0])));
    frames.push(eth6(&v6(src.v6, dst.v6, IpNumber::IPV6_ICMP, &icmpv6(src.v6, dst.v6, 128, &[0; 8]))));
    frames.push(eth4(&v4(src.v4, dst.v4, IpNumber::UDP, &udp(1000, 2000, &[0xa5; 1350]))));
    frames.push(eth6(&v6(src.v6, dst.v6, IpNumber::UDP, &udp(1000, 2000, &[0xa5; 1300]))));
    frames.push(eth4(&v4_with(src.v4, dst.v4, IpNumber::UDP, &datagram, |header| {
        let options = Ipv4Options::try_from(&[1, 1, 1, 0][..]);
        header.options = options.unwrap_or_default();
        header.total_len += 4;
    })));
    for (offset, more) in [(0, true), (1280, false)] {
        frames.push(eth4(&v4_with(src.v4, dst.v4, IpNumber::UDP, &datagram, |header| {
            (header.fragment_offset, header.more_fragments, header.dont_fragment) =
                (fragment_offset(offset), more, false);
        })));
        let fragment = [&[17, 0][..], &(offset | u16::from(more)).to_be_bytes(), &[0; 4], &datagram];
        frames.push(eth6(&v6(src.v6, dst.v6, IpNumber::IPV6_FRAGMENTATION_HEADER, &fragment.concat())));
    }
    let options = IpNumber::IPV6_DESTINATION_OPTIONS;
    let mut chain = datagram.clone();
    let mut next = IpNumber::UDP;
    for length in 0..5 {
        chain = [extension(next, length), chain].concat();
        next = options;
        frames.push(eth6(&v6(src.v6, dst.v6, options, &chain)));
    }
    // A length in the place of an EtherType (IEEE 802.3), nothing but the header, nested VXLAN.
    frames.push(eth(dst.mac, src.mac, 3, &[0xaa, 0xaa, 3, 0, 0, 0]));
    frames.push(not_ip(src, dst)[..14].to_vec());
    frames.push(eth4(&v4(
        src.v4,
        dst.v4,
        IpNumber::UDP,
        &wrap(Family::V4, &udp_v4(src, dst), VTEP, VNI)[Family::V4.udp()..],
    )));
    frames
}

/// ARP and neighbour discovery about a station, to a MAC address.
fn neighbours(src: &Station, about: &Station, to: MacAddr) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (kind, sender) in [(1, src.v4), (1, Ipv4Addr::UNSPECIFIED), (2, src.v4), (1, about.v4)] {
        let start = [0, 1, 8, 0, 6, 4, 0, kind];
        let arp = [&start[..], &src.mac.octets(), &sender.octets(), &[0; 6], &about.v4.octets()];
        frames.push(eth(to, src.mac, 0x0806, &arp.concat()));
    }
    let (link_local, no) = (src.mac.link_local(), Ipv6Addr::UNSPECIFIED);
    for (kind, from, target) in [
        (135, src.v6, about.v6),
        (135, link_local, about.mac.link_local()),
        (135, no, about.v6),
        (135, about.v6, about.v6),
        (136, src.v6, src.v6),
        (136, src.v6, about.v6),
    ] {
        let option = [if kind == 135 { 1 } else { 2 }, 1];
        let body = [&[0; 4][..], &target.octets(), &option, &src.mac.octets()].concat();
        let packet =
            v6_with(from, about.v6, IpNumber::IPV6_ICMP, &icmpv6(from, about.v6, kind, &body), |header| {
                header.hop_limit = 255;
            });
        frames.push(eth(to, src.mac, 0x86dd, &packet));
    }
    let hidden = [extension(IpNumber::IPV6_ICMP, 0), icmpv6(src.v6, about.v6, 135, &[0; 20])].concat();
    frames.push(eth(to, src.mac, 0x86dd, &v6(src.v6, about.v6, IpNumber::IPV6_HEADER_HOP_BY_HOP, &hidden)));
    frames
}

/// Frames to groups.
fn groups(src: &Station, about: &Station) -> Vec<Vec<u8>> {
    let [.., a, b, c] = about.v6.octets();
    let solicited = MacAddr::new([0x33, 0x33, 0xff, a, b, c]);
    let mut frames = neighbours(src, about, MacAddr::BROADCAST);
    frames.extend(neighbours(src, about, solicited));
    let all = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);
    let all_v6 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    for kind in [133, 134, 143] {
        frames.push(eth(
            all,
            src.mac,
            0x86dd,
            &v6(src.v6, all_v6, IpNumber::IPV6_ICMP, &icmpv6(src.v6, all_v6, kind, &[0; 12])),
        ));
    }
    let datagram = udp(5353, 5353, b"hello, all");
    let group = MacAddr::new([0x01, 0, 0x5e, 0, 0, 251]);
    frames.push(eth(
        group,
        src.mac,
        0x0800,
        &v4(src.v4, Ipv4Addr::new(224, 0, 0, 251), IpNumber::UDP, &datagram),
    ));
    frames.push(eth(
        MacAddr::BROADCAST,
        src.mac,
        0x0800,
        &v4(src.v4, Ipv4Addr::BROADCAST, IpNumber::UDP, &datagram),
    ));
    frames
}

/// Frames with VLAN tags, and from stations that cannot be.
fn tagged(src: &Station, dst: &Station) -> Vec<Vec<u8>> {
    let frame = udp_v4(src, dst);
    let with = |tag: &[u8]| [&frame[..12], tag, &frame[12..]].concat();
    let from = |mac: MacAddr| [&frame[..6], &mac.octets(), &frame[12..]].concat();
    vec![
        with(&[0x81, 0, 0, 5]),
        with(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6]),
        from(MacAddr::ZERO),
        from(MacAddr::BROADCAST),
        from(MacAddr::new([1, 0, 0x5e, 0, 0, 1])),
    ]
}
