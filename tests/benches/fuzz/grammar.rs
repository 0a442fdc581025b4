//! VXLAN packets as VTEPs send them: inner frames of many kinds, and outer headers around them.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4Options, TcpHeader};
use overlay_common::MacAddr;
use overlay_tests::{Family, Random};

use crate::{
    build::{
        each_kind, eth, extension, fragment_offset, icmpv6, not_ip, udp, udp_v4, v4, v4_with, v6, v6_with,
    },
    outer::{extend, fix_ip, mark, sum_udp, vary, wrap},
    scene::{
        ABROAD, ABROAD_V6, BESIDE, EGRESS, FOREIGN_VNI, LOCAL, NAMED, NOBODY, OTHER_VNI, OTHER_VTEP,
        OUR_VTEP, OWN, PLAIN, PLAIN_VTEP, REMOTE, SECRET_VNI, STRANGER, Station, VNI, VTEP,
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
