//! Changes of a packet: small ones, that get past the outer headers, and lies about lengths.

use overlay_tests::Random;

use crate::{
    grammar::{Grammar, INNER, IP, UDP, VXLAN, fix_ip, pick},
    parsed::{Inner6, Last},
    scene::{DEVICE_MAC, OUR_VTEP, UDP_PORT},
};

/// Bytes that lengths, types and counts turn on.
const TELLING: [u8; 14] = [0, 1, 2, 4, 5, 6, 17, 44, 58, 0x3f, 0x40, 0x7f, 0x80, 0xff];
/// Shortest frame that is sent: the Ethernet header, and something.
const SHORTEST: usize = 15;

/// A packet of the grammar and what a seed makes of it.
pub(crate) fn packet(grammar: &Grammar, seed: u64, index: u64) -> Vec<u8> {
    let mut random = Random::new(of(seed, index));
    let mut frame = grammar.packet(&mut random);
    if random.below(3) == 0 {
        return frame;
    }
    for _ in 0..=random.below(3) {
        mutate(&mut frame, grammar, &mut random);
    }
    // Most changes of an outer header only break its checksum: they are to be met behind it, too.
    if random.below(8) > 0 {
        fix_ip(&mut frame);
    }
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// The packet before it was mutated.
pub(crate) fn unmutated(grammar: &Grammar, seed: u64, index: u64) -> Vec<u8> {
    grammar.packet(&mut Random::new(of(seed, index)))
}

/// A frame of the container.
pub(crate) struct Outbound {
    pub(crate) frame: Vec<u8>,
    /// Whether our programs must send it on: nothing is wrong with it.
    pub(crate) must: bool,
}

/// A container's frame of a seed.
pub(crate) fn outbound(grammar: &Grammar, seed: u64, index: u64) -> Outbound {
    let mut random = Random::new(of(!seed, index));
    let mut frame = grammar.outbound(&mut random);
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

fn mutate(frame: &mut Vec<u8>, grammar: &Grammar, random: &mut Random) {
    match random.below(16) {
        0 => flip(frame, 0, random),
        1 | 2 => flip(frame, INNER, random),
        3 => tell(frame, IP, random),
        4 | 5 => tell(frame, INNER, random),
        6 => tell(frame, INNER + 12, random),
        7 => cut(frame, SHORTEST, random),
        8 => shorten(frame, random),
        9 => frame.extend(std::iter::repeat_n(0x5a, 1 + random.below(60) as usize)),
        10 => lie(frame, random),
        11 => header(frame, random),
        12 => outer_ethernet(frame, random),
        13 => address(frame, random),
        14 => options(frame, random),
        _ => splice(frame, grammar.inner(random), random),
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
fn shorten(frame: &mut Vec<u8>, random: &mut Random) {
    let inner = frame.len().saturating_sub(INNER);
    let most = if random.below(8) > 0 { inner.min(100) } else { inner };
    let left = random.below(1 + most as u64) as usize;
    if frame.len() > INNER + left {
        frame.truncate(INNER + left);
        set(frame, IP + 2, (36 + left) as u16);
        set(frame, UDP + 4, (16 + left) as u16);
    }
}

/// Says another length.
fn lie(frame: &mut [u8], random: &mut Random) {
    let near = |length: usize, random: &mut Random| match random.below(4) {
        0 => *pick(random, &[0, 1, 7, 8, 15, 16, 19, 20, 28, 29, 36, 50, 0xffff]),
        _ => (length as u16).wrapping_add(random.below(33) as u16).wrapping_sub(16),
    };
    let (ip, udp) = (frame.len().saturating_sub(IP), frame.len().saturating_sub(UDP));
    if random.below(3) < 2 {
        set(frame, UDP + 4, near(udp, random));
    }
    if random.below(3) == 0 {
        set(frame, IP + 2, near(ip, random));
    }
}

/// Changes a field of the IPv4, UDP or VXLAN header.
fn header(frame: &mut [u8], random: &mut Random) {
    let any = random.next();
    match random.below(12) {
        0 => set(frame, IP + 6, *pick(random, &[0x2000, 0x8000, 0x4000, 1, 0x2001, 0x6000])),
        1 => put(frame, IP, &[*pick(random, &[0x44, 0x46, 0x4f, 0x55, 0x65, 0x05])]),
        2 => put(frame, IP + 9, &[*pick(random, &[0, 1, 6, 17, 132, 136])]),
        3 => set(frame, UDP + 2, *pick(random, &[0, 4790, 8472, UDP_PORT.swap_bytes()])),
        4 => set(frame, UDP, *pick(random, &[0, UDP_PORT, 53])),
        5 => set(frame, UDP + 6, any as u16),
        6 => put(frame, VXLAN, &[1 << random.below(8)]),
        7 => put(frame, VXLAN, &[8 | 1 << random.below(8)]),
        8 => put(frame, VXLAN + 1 + random.below(3) as usize, &[1 << random.below(8)]),
        9 => put(frame, VXLAN + 7, &[1 << random.below(8)]),
        10 => put(frame, VXLAN + 4 + random.below(3) as usize, &[any as u8]),
        _ => put(frame, IP + 8, &[any as u8 & 1]),
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

/// From or to another IPv4 address.
fn address(frame: &mut [u8], random: &mut Random) {
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
    if frame.len() < UDP || frame[IP] != 0x45 {
        return;
    }
    let words = 1 + random.below(10) as usize;
    let bytes = std::iter::repeat_n(*pick(random, &[1, 1, 0, 0x44]), words * 4);
    frame.splice(UDP..UDP, bytes);
    frame[IP] = 0x45 + words as u8;
    let length = (frame.len() - IP) as u16;
    set(frame, IP + 2, length);
}

/// Goes on as another inner frame.
fn splice(frame: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let inner = frame.get(INNER..).map_or(0, <[u8]>::len);
    let at = random.below(1 + inner.min(other.len()).min(80) as u64) as usize;
    if frame.len() < INNER {
        return;
    }
    frame.truncate(INNER + at);
    frame.extend(&other[at..]);
    if random.below(4) > 0 {
        let length = frame.len();
        set(frame, IP + 2, (length - IP) as u16);
        set(frame, UDP + 4, (length - UDP) as u16);
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
