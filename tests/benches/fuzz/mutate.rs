//! Changes of a packet: small ones, that get past the outer headers, and lies about lengths.

use std::net::Ipv6Addr;

use overlay_tests::{Family, Random, family::OUTER_IP as IP};

use crate::{
    grammar::{Grammar, pick},
    outer::{extend, fix_ip},
    parsed::{Inner6, Last},
    scene::{DEVICE_MAC, OTHER_VTEP, OUR_VTEP, UDP_PORT, over_v6},
};

/// Bytes that lengths, types and counts turn on.
const TELLING: [u8; 14] = [0, 1, 2, 4, 5, 6, 17, 44, 58, 0x3f, 0x40, 0x7f, 0x80, 0xff];
/// Shortest frame that is sent: the Ethernet header, and something.
const SHORTEST: usize = 15;

/// A packet of the grammar and what a seed makes of it.
pub(crate) fn packet(grammar: &Grammar, family: Family, seed: u64, index: u64) -> Vec<u8> {
    let mut random = Random::new(of(seed, index));
    let mut frame = grammar.packet(family, &mut random);
    if random.below(3) == 0 {
        return frame;
    }
    for _ in 0..=random.below(3) {
        mutate(&mut frame, family, grammar, &mut random);
    }
    // Most changes of an outer header only break its checksum: they are to be met behind it, too.
    if random.below(8) > 0 {
        fix_ip(&mut frame);
    }
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// The packet before it was mutated.
pub(crate) fn unmutated(grammar: &Grammar, family: Family, seed: u64, index: u64) -> Vec<u8> {
    grammar.packet(family, &mut Random::new(of(seed, index)))
}

/// A frame of the container.
pub(crate) struct Outbound {
    pub(crate) frame: Vec<u8>,
    /// Whether our programs must send it on: nothing is wrong with it.
    pub(crate) must: bool,
}

/// A container's frame of a seed.
pub(crate) fn outbound(grammar: &Grammar, family: Family, seed: u64, index: u64) -> Outbound {
    let mut random = Random::new(of(!seed, index));
    let mut frame = grammar.outbound(family, &mut random);
    let mutations = random.below(3);
    // More extension headers than are followed are no mutation.
    let followed = !Inner6::read(&frame).is_some_and(|packet| matches!(packet.last, Last::Lost));
    for _ in 0..mutations {
        match random.below(3) {
            0 => flip(&mut frame, 12, &mut random),
            1 => tell(&mut frame, 12, &mut random),
            _ => cut(&mut frame, 14, &mut random),
        }
    }
    Outbound { frame, must: mutations == 0 && followed }
}

/// A number of its own for each packet of a seed.
fn of(seed: u64, index: u64) -> u64 {
    Random::new(seed ^ index.wrapping_mul(0xd134_2543_de82_ef95)).next()
}

fn mutate(frame: &mut Vec<u8>, family: Family, grammar: &Grammar, random: &mut Random) {
    let inner = family.inner();
    match random.below(16) {
        0 => flip(frame, 0, random),
        1 | 2 => flip(frame, inner, random),
        3 => tell(frame, IP, random),
        4 | 5 => tell(frame, inner, random),
        6 => tell(frame, inner + 12, random),
        7 => cut(frame, SHORTEST, random),
        8 => shorten(frame, family, random),
        9 => frame.extend(std::iter::repeat_n(0x5a, 1 + random.below(60) as usize)),
        10 => lie(frame, family, random),
        11 => header(frame, family, random),
        12 => outer_ethernet(frame, random),
        13 => address(frame, family, random),
        14 if family == Family::V4 => options(frame, random),
        14 if frame.len() >= family.inner() => extend(frame, random),
        _ => splice(frame, family, grammar.inner(random), random),
    }
}

/// A place in a frame from an offset on; none where it ends before.
fn place(frame: &[u8], from: usize, random: &mut Random) -> Option<usize> {
    let room = frame.len().checked_sub(from).filter(|room| *room > 0)?;
    // Headers stand in front.
    let room = if random.below(4) > 0 { room.min(64) } else { room };
    Some(from + random.below(room as u64) as usize)
}

/// Flips bits.
fn flip(frame: &mut [u8], from: usize, random: &mut Random) {
    for _ in 0..=random.below(8) {
        if let Some(at) = place(frame, from, random) {
            frame[at] ^= 1 << random.below(8);
        }
    }
}

/// Sets bytes to what something may turn on.
fn tell(frame: &mut [u8], from: usize, random: &mut Random) {
    for _ in 0..=random.below(2) {
        if let Some(at) = place(frame, from, random) {
            frame[at] = *pick(random, &TELLING);
        }
    }
}

/// Ends the frame early, its lengths as they were.
fn cut(frame: &mut Vec<u8>, least: usize, random: &mut Random) {
    if frame.len() > least {
        frame.truncate(least + random.below((frame.len() - least) as u64) as usize);
    }
}

/// Ends the inner frame early, and says so: nearly always among its headers.
fn shorten(frame: &mut Vec<u8>, family: Family, random: &mut Random) {
    let inner = frame.len().saturating_sub(family.inner());
    let most = if random.below(8) > 0 { inner.min(100) } else { inner };
    let left = family.inner() + random.below(1 + most as u64) as usize;
    if frame.len() > left {
        frame.truncate(left);
        set_lengths(frame, family);
    }
}

/// Says how long the frame is, in the IP and in the UDP header.
fn set_lengths(frame: &mut [u8], family: Family) {
    let length = frame.len();
    for (at, from) in [family.ip_length(), (family.udp() + 4, family.udp())] {
        set(frame, at, (length - from) as u16);
    }
}

/// Says another length.
fn lie(frame: &mut [u8], family: Family, random: &mut Random) {
    let near = |length: usize, random: &mut Random| match random.below(4) {
        0 => *pick(random, &[0, 1, 7, 8, 15, 16, 19, 20, 28, 29, 36, 50, 0xffff]),
        _ => (length as u16).wrapping_add(random.below(33) as u16).wrapping_sub(16),
    };
    let (at, from) = family.ip_length();
    let (ip, udp) = (frame.len().saturating_sub(from), frame.len().saturating_sub(family.udp()));
    if random.below(3) < 2 {
        set(frame, family.udp() + 4, near(udp, random));
    }
    if random.below(3) == 0 {
        set(frame, at, near(ip, random));
    }
}

/// Changes a field of the IP, UDP or VXLAN header.
fn header(frame: &mut [u8], family: Family, random: &mut Random) {
    let (udp, vxlan) = (family.udp(), family.vxlan());
    let any = random.next();
    match random.below(12) {
        0..=2 if family == Family::V6 => header_v6(frame, random),
        0 => set(frame, IP + 6, *pick(random, &[0x2000, 0x8000, 0x4000, 1, 0x2001, 0x6000])),
        1 => put(frame, IP, &[*pick(random, &[0x44, 0x46, 0x4f, 0x55, 0x65, 0x05])]),
        2 => put(frame, IP + 9, &[*pick(random, &[0, 1, 6, 17, 132, 136])]),
        3 => set(frame, udp + 2, *pick(random, &[0, 4790, 8472, UDP_PORT.swap_bytes()])),
        4 => set(frame, udp, *pick(random, &[0, UDP_PORT, 53])),
        5 => set(frame, udp + 6, any as u16),
        6 => put(frame, vxlan, &[1 << random.below(8)]),
        7 => put(frame, vxlan, &[8 | 1 << random.below(8)]),
        8 => put(frame, vxlan + 1 + random.below(3) as usize, &[1 << random.below(8)]),
        9 => put(frame, vxlan + 7, &[1 << random.below(8)]),
        10 => put(frame, vxlan + 4 + random.below(3) as usize, &[any as u8]),
        _ => put(frame, if family == Family::V6 { IP + 7 } else { IP + 8 }, &[any as u8 & 1]),
    }
}

/// Changes a field of the IPv6 header.
fn header_v6(frame: &mut [u8], random: &mut Random) {
    match random.below(4) {
        0 => put(frame, IP, &[*pick(random, &[0x40, 0x50, 0x70, 0x06])]),
        1 => set(frame, IP + 4, 0),
        _ => put(frame, IP + 6, &[*pick(random, &[0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 135, 136])]),
    }
}

/// To another MAC address, another EtherType, or with a tag.
fn outer_ethernet(frame: &mut Vec<u8>, random: &mut Random) {
    match random.below(5) {
        0 => put(frame, 0, &[0xff; 6]),
        1 => put(frame, 0, &[1, 0, 0x5e, 0, 0, 1]),
        2 => put(frame, 0, &[2, 0, 0, 0, 0, random.next() as u8]),
        3 => set(frame, 12, *pick(random, &[0x86dd, 0x0806, 0x88b5, 0x0600])),
        _ if frame.len() > 12 => {
            let tag =
                *pick(random, &[[0x81, 0, 0, 0], [0x81, 0, 0xe0, 0], [0x81, 0, 0, 5], [0x88, 0xa8, 0, 0]]);
            frame.splice(12..12, tag);
        }
        _ => put(frame, 0, &DEVICE_MAC.octets()),
    }
}

/// From or to another address.
fn address(frame: &mut [u8], family: Family, random: &mut Random) {
    match family {
        Family::V4 => address_v4(frame, random),
        Family::V6 => address_v6(frame, random),
    }
}

fn address_v6(frame: &mut [u8], random: &mut Random) {
    const ODD: [Ipv6Addr; 8] = [
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x88),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a58, 2),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
        Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1),
        over_v6(OTHER_VTEP),
    ];
    match random.below(4) {
        0 => put(frame, IP + 8, &pick(random, &ODD).octets()),
        1 => put(frame, IP + 24, &pick(random, &ODD).octets()),
        2 => put(frame, IP + 8, &over_v6(OUR_VTEP).octets()),
        _ => put(frame, IP + 23, &[random.below(8) as u8]),
    }
}

fn address_v4(frame: &mut [u8], random: &mut Random) {
    const ODD: [[u8; 4]; 8] = [
        [0; 4],
        [255; 4],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [239, 1, 1, 1],
        [10, 88, 0, 255],
        [10, 88, 0, 3],
        [240, 0, 0, 1],
    ];
    match random.below(4) {
        0 => put(frame, IP + 12, &pick(random, &ODD)[..]),
        1 => put(frame, IP + 16, &pick(random, &ODD)[..]),
        2 => put(frame, IP + 12, &OUR_VTEP.octets()),
        _ => put(frame, IP + 12, &[10, 88, 0, random.below(8) as u8]),
    }
}

/// Puts IPv4 options in, all lengths right.
fn options(frame: &mut Vec<u8>, random: &mut Random) {
    let udp = Family::V4.udp();
    if frame.len() < udp || frame[IP] != 0x45 {
        return;
    }
    let words = 1 + random.below(10) as usize;
    let bytes = std::iter::repeat_n(*pick(random, &[1, 1, 0, 0x44]), words * 4);
    frame.splice(udp..udp, bytes);
    frame[IP] = 0x45 + words as u8;
    let length = (frame.len() - IP) as u16;
    set(frame, IP + 2, length);
}

/// Goes on as another inner frame.
fn splice(frame: &mut Vec<u8>, family: Family, other: &[u8], random: &mut Random) {
    let start = family.inner();
    let inner = frame.get(start..).map_or(0, <[u8]>::len);
    let at = random.below(1 + inner.min(other.len()).min(80) as u64) as usize;
    if frame.len() < start {
        return;
    }
    frame.truncate(start + at);
    frame.extend(&other[at..]);
    if random.below(4) > 0 {
        set_lengths(frame, family);
    }
}

/// Writes where the frame has room.
fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn set(frame: &mut [u8], at: usize, value: u16) {
    put(frame, at, &value.to_be_bytes());
}
