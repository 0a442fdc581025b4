//! Outer headers around inner frames: as VTEPs send them, and with what IPv6 may have in front of UDP.

use std::net::Ipv4Addr;

use overlay_tests::{Family, Random, family::OUTER_IP as IP};

use crate::{
    grammar::pick,
    parsed::checksum,
    scene::{DEVICE_MAC, OUR_VTEP, OUTER_DST, UDP_PORT, over_v6},
};

/// What VTEPs may say as they like: TOS, TTL, numbers and source ports; and marks of congestion inside.
pub(crate) fn vary(frame: &mut [u8], family: Family, random: &mut Random) {
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
pub(crate) fn mark(frame: &mut [u8], inner: usize, random: &mut Random) {
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
    frame.extend(family.ethertype().to_be_bytes());
    match family {
        Family::V4 => {
            frame.extend([0x45, 0]);
            frame.extend((36 + inner.len() as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
            frame.extend(src.octets());
            frame.extend(OUR_VTEP.octets());
        }
        Family::V6 => {
            frame.extend([0x60, 0, 0, 0]);
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
pub(crate) fn sum_udp(frame: &mut [u8], family: Family) {
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
