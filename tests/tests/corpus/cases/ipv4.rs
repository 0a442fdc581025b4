//! The outer IPv4 header.

use overlay_common::DropReason::{Malformed, OuterFragment};

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame, Sum},
};

/// Flag: more fragments.
const MORE: u16 = 0x2000;

pub(crate) fn headers() -> Group {
    let version = |version| move |frame: &mut Frame| frame.version = version;
    let hops = |hops| move |frame: &mut Frame| frame.hops = hops;
    let sum = |sum| move |frame: &mut Frame| frame.ip_sum = sum;
    let mut group = Group::new("IPv4", good(Family::V4))
        .rejects("version 0", Malformed, version(0))
        .rejects("version 5", Malformed, version(5))
        .rejects("version 6", Malformed, version(6))
        .rejects("version 15", Malformed, version(15))
        .delivers("TTL 0", hops(0))
        .delivers("TTL 1", hops(1))
        .delivers("TTL 255", hops(255))
        .delivers("DSCP 46", |frame| frame.tos = 0xb8)
        .delivers("an identification", |frame| frame.id = 0xbeef)
        .delivers("may be fragmented", |frame| frame.fragment = 0)
        .delivers("evil bit (RFC 3514)", |frame| frame.fragment = 0xc000)
        .delivers("evil bit, may be fragmented", |frame| frame.fragment = 0x8000)
        .rejects("checksum 0", Malformed, sum(Sum::None))
        .rejects("checksum one bit off", Malformed, sum(Sum::Wrong(1)))
        .rejects("checksum inverted", Malformed, sum(Sum::Wrong(0xffff)))
        .rejects("checksum of another TTL", Malformed, sum(Sum::Wrong(0x0100)));
    for words in 0..5 {
        let name = format!("header of {} bytes", words * 4);
        group = group.rejects(name, Malformed, |frame| frame.words = Some(words));
    }
    // Its UDP header is then looked for further on, where no VXLAN port is.
    group
        .passes("header of 24 bytes, of which 4 are the UDP header's", |frame| frame.words = Some(6))
        .rejects("header of 60 bytes, past the end", Malformed, |frame| {
            (frame.words, frame.cut) = (Some(15), Some(14 + 60));
        })
}

pub(crate) fn options() -> Group {
    const DELIVERS: &str = "outer IPv4 options";
    let options = |options: &'static [u8]| move |frame: &mut Frame| frame.options = options.to_vec();
    let mut group = Group::new("IPv4 options", good(Family::V4));
    for words in 6..=15_u8 {
        let edit = |frame: &mut Frame| frame.options = vec![1; usize::from(words - 5) * 4];
        group = group.rejects(format!("header of {} bytes, no operation", words * 4), Malformed, edit);
        group = group.kernel(DELIVERS);
    }
    group
        .rejects("end of list", Malformed, options(&[0; 4]))
        .kernel(DELIVERS)
        .rejects("router alert", Malformed, options(&[0x94, 4, 0, 0]))
        .kernel(DELIVERS)
        .rejects("record route", Malformed, options(&[7, 7, 4, 0, 0, 0, 0, 0]))
        .kernel(DELIVERS)
        .rejects("timestamp", Malformed, options(&[68, 8, 5, 0, 0, 0, 0, 0]))
        .kernel(DELIVERS)
        .rejects("loose source route", Malformed, options(&[131, 7, 4, 10, 88, 0, 1, 0]))
        .rejects("an option longer than the header", Malformed, options(&[7, 40, 4, 0]))
}

pub(crate) fn lengths() -> Group {
    let right = good(Family::V4).true_ip_len();
    let mut group = Group::new("IPv4 length", good(Family::V4));
    for (name, length) in [
        ("one more than the frame's", right + 1),
        ("65535", u16::MAX),
        ("one less than the datagram's", right - 1),
        ("that of the headers up to VXLAN's", 20 + 8 + 8),
        ("that of the headers up to UDP's", 20 + 8),
        ("that of the IP header", 20),
        ("one less than the IP header's", 19),
        ("1", 1),
        ("0", 0),
        ("in the other byte order", right.swap_bytes()),
    ] {
        group = group.rejects(name, Malformed, |frame| frame.ip_len = Some(length));
    }
    group
}

pub(crate) fn fragments() -> Group {
    let fragment = |fragment| move |frame: &mut Frame| frame.fragment = fragment;
    // The kernel waits for the others, which RFC 7348 section 4.3 has never sent.
    Group::new("IPv4 fragment", good(Family::V4))
        .rejects("first", OuterFragment, fragment(MORE))
        .rejects("first, may not be fragmented", OuterFragment, fragment(MORE | 0x4000))
        .rejects("first, evil bit", OuterFragment, fragment(MORE | 0x8000))
        .passes("second, the last", fragment(1))
        .passes("second of more", fragment(MORE | 1))
        .passes("at 1480", fragment(185))
        .passes("at 2048, the low byte 0", fragment(256))
        .passes("at the end of 64 KiB", fragment(0x1fff))
        .passes("second, cut behind the IP header", |frame| (frame.fragment, frame.cut) = (1, Some(34)))
        .rejects("first, without a VXLAN header", Malformed, |frame| {
            (frame.fragment, frame.cut) = (MORE, Some(14 + 20 + 8));
        })
        .passes("first, to another port", |frame| (frame.fragment, frame.ports.1) = (MORE, 53))
}

pub(crate) fn protocols() -> Group {
    let mut group = Group::new("IPv4 protocol", good(Family::V4));
    for (name, protocol) in [
        ("0", 0),
        ("ICMP", 1),
        ("IPv4 in it", 4),
        ("TCP", 6),
        ("IPv6 in it", 41),
        ("GRE", 47),
        ("ESP", 50),
        ("AH", 51),
        ("SCTP", 132),
        ("UDP-Lite", 136),
        ("255", 255),
    ] {
        group = group.passes(name, |frame| frame.protocol = protocol);
    }
    group
}
