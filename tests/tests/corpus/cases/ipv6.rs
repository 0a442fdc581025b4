//! The outer IPv6 header and its extension headers.

use overlay_common::DropReason::{Malformed, OuterFragment};

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame},
};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;

pub(crate) fn headers() -> Group {
    let right = good(Family::V6).true_ip_len();
    let version = |version| move |frame: &mut Frame| frame.version = version;
    let hops = |hops| move |frame: &mut Frame| frame.hops = hops;
    let length = |length| move |frame: &mut Frame| frame.ip_len = Some(length);
    Group::new("IPv6", good(Family::V6))
        .rejects("version 0", Malformed, version(0))
        .rejects("version 4", Malformed, version(4))
        .rejects("version 5", Malformed, version(5))
        .rejects("version 7", Malformed, version(7))
        .rejects("version 15", Malformed, version(15))
        .delivers("hop limit 0", hops(0))
        .delivers("hop limit 1", hops(1))
        .delivers("hop limit 255", hops(255))
        .delivers("DSCP 46", |frame| frame.tos = 0xb8)
        .delivers("a flow label", |frame| frame.label = 0x000a_bcde)
        .delivers("a flow label of ones", |frame| frame.label = 0x000f_ffff)
        .rejects("length one more than the frame's", Malformed, length(right + 1))
        .rejects("length 65535", Malformed, length(u16::MAX))
        .rejects("length one less than the datagram's", Malformed, length(right - 1))
        .rejects("length of the headers up to VXLAN's", Malformed, length(16))
        .rejects("length of the UDP header", Malformed, length(8))
        .rejects("length one less than the UDP header's", Malformed, length(7))
        .rejects("length 0", Malformed, length(0))
        .rejects("length 0, a jumbogram (RFC 2675)", Malformed, |frame| {
            let [a, b] = (right + 8).to_be_bytes();
            frame.extensions = vec![(HOP_BY_HOP, vec![0, 0, 0xc2, 4, 0, 0, a, b])];
            frame.ip_len = Some(0);
        })
        .rejects("length 0 and options, no jumbogram", Malformed, |frame| {
            (frame.extensions, frame.ip_len) = (vec![options(HOP_BY_HOP)], Some(0));
        })
        .kernel("outer length 0")
}

/// An extension header of `8 * (length + 1)` bytes, with options for experiments that a host skips (RFC 4727).
fn padded(length: u8) -> Vec<u8> {
    let mut header = vec![0; 8 * (usize::from(length) + 1)];
    header[1] = length;
    let mut at = 2;
    while at < header.len() {
        // No room of one byte may be left, where no option fits.
        let room = (header.len() - at - 2).min(250);
        header[at..at + 2].copy_from_slice(&[0x1e, room as u8]);
        at += 2 + room;
    }
    header
}

fn options(number: u8) -> (u8, Vec<u8>) {
    (number, padded(0))
}

fn fragment(offset: u16) -> (u8, Vec<u8>) {
    let [a, b] = offset.to_be_bytes();
    (FRAGMENT, vec![0, 0, a, b, 0, 0, 0, 7])
}

/// A routing header without segments left, of this type.
fn routing(kind: u8) -> (u8, Vec<u8>) {
    (ROUTING, vec![0, 0, kind, 0, 0, 0, 0, 0])
}

pub(crate) fn extensions() -> Group {
    const LESS_STRICT: &str = "outer routing header";
    let with = |headers: Vec<(u8, Vec<u8>)>| move |frame: &mut Frame| frame.extensions = headers;
    let (hop, dest) = (|| options(HOP_BY_HOP), || options(OPTIONS));
    Group::new("IPv6 extension", good(Family::V6))
        .delivers("hop-by-hop options", with(vec![hop()]))
        .delivers("hop-by-hop options, 16 bytes", with(vec![(HOP_BY_HOP, padded(1))]))
        .delivers("destination options", with(vec![dest()]))
        .delivers("destination options, 512 bytes", with(vec![(OPTIONS, padded(63))]))
        .delivers("atomic fragment (RFC 6946)", with(vec![fragment(0)]))
        .delivers("atomic fragment, reserved bits", with(vec![fragment(6)]))
        .delivers("hop-by-hop, destination", with(vec![hop(), dest()]))
        .delivers("hop-by-hop, atomic fragment", with(vec![hop(), fragment(0)]))
        .delivers("four of them", with(vec![hop(), dest(), fragment(0), dest()]))
        .rejects("five of them", Malformed, with(vec![hop(), dest(), fragment(0), dest(), dest()]))
        .kernel("five extension headers")
        .rejects("hop-by-hop in the second place", Malformed, with(vec![dest(), hop()]))
        .rejects("hop-by-hop twice", Malformed, with(vec![hop(), hop()]))
        .rejects("routing header, type 0 (RFC 5095)", Malformed, with(vec![routing(0)]))
        .kernel(LESS_STRICT)
        .rejects("routing header, type 2, mobility", Malformed, with(vec![routing(2)]))
        .kernel(LESS_STRICT)
        .rejects("routing header, type 4, segments", Malformed, with(vec![routing(4)]))
        .rejects("routing header behind options", Malformed, with(vec![hop(), routing(2)]))
        .kernel(LESS_STRICT)
        .rejects("longer than the packet", Malformed, with(vec![(OPTIONS, vec![0, 255, 1, 4, 0, 0, 0, 0])]))
        .rejects("ends with the packet", Malformed, |frame| {
            frame.extensions = vec![dest()];
            frame.ip_len = Some(8);
            frame.cut = Some(14 + 40 + 8);
        })
        .rejects("cut in its first byte", Malformed, |frame| {
            frame.extensions = vec![dest()];
            frame.cut = Some(14 + 40 + 1);
        })
        .passes("options in front of TCP", |frame| (frame.extensions, frame.protocol) = (vec![hop()], 6))
        .passes("options in front of nothing", |frame| {
            (frame.extensions, frame.protocol) = (vec![dest()], 59);
        })
        .passes("options, to another port", |frame| (frame.extensions, frame.ports.1) = (vec![dest()], 53))
        .passes("routing header, to another address", |frame| {
            (frame.extensions, frame.dst) = (vec![routing(4)], crate::scene::FAR.over(frame.family));
        })
}

pub(crate) fn fragments() -> Group {
    // The kernel waits for the others, which RFC 7348 section 4.3 has never sent.
    let with = |headers: Vec<(u8, Vec<u8>)>| move |frame: &mut Frame| frame.extensions = headers;
    Group::new("IPv6 fragment", good(Family::V6))
        .rejects("first", OuterFragment, with(vec![fragment(1)]))
        .rejects("first, behind options", OuterFragment, with(vec![options(OPTIONS), fragment(1)]))
        .passes("second, the last", with(vec![fragment(8)]))
        .passes("second of more", with(vec![fragment(8 | 1)]))
        .passes("at 2048, the low byte 0", with(vec![fragment(2048)]))
        .passes("at the end of 64 KiB", with(vec![fragment(0xfff8)]))
        .passes("second, behind options", with(vec![options(HOP_BY_HOP), fragment(8)]))
        .passes("first, to another port", |frame| {
            (frame.extensions, frame.ports.1) = (vec![fragment(1)], 53);
        })
}

pub(crate) fn protocols() -> Group {
    let mut group = Group::new("IPv6 next header", good(Family::V6));
    for (name, protocol) in [
        ("IPv4 in it", 4),
        ("TCP", 6),
        ("IPv6 in it", 41),
        ("GRE", 47),
        ("ESP", 50),
        ("AH", 51),
        ("ICMPv6", 58),
        ("nothing", 59),
        ("mobility", 135),
        ("UDP-Lite", 136),
        ("shim6", 140),
        ("255", 255),
    ] {
        group = group.passes(name, |frame| frame.protocol = protocol);
    }
    group
}
