//! The outer UDP header, and what lies behind the datagram.

use overlay_common::DropReason::Malformed;

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame, Sum},
};

pub(crate) fn ports(family: Family) -> Group {
    let mut group = Group::new("UDP port", good(family));
    for (name, port) in [("0", 0), ("1", 1), ("4789", 4789), ("32768", 32_768), ("65535", 65_535)] {
        group = group.delivers(format!("source {name}"), |frame| frame.ports.0 = port);
    }
    for port in [0, 53, 4788, 4790, 8472, 6081, 4789_u16.swap_bytes(), 65_535] {
        group = group.passes(format!("destination {port}"), |frame| frame.ports.1 = port);
    }
    group.passes("the VXLAN port as source only", |frame| frame.ports = (4789, 50_000))
}

pub(crate) fn lengths(family: Family) -> Group {
    let frame = good(family);
    let (right, inner) = (frame.true_udp_len(), frame.inner.clone());
    let length = |length| move |frame: &mut Frame| frame.udp_len = Some(length);
    let mut group = Group::new("UDP length", frame);
    for (name, value) in [
        ("one more than the packet's", right + 1),
        ("8 more than the packet's", right + 8),
        ("65535", u16::MAX),
        ("in the other byte order", right.swap_bytes()),
        ("1", 1),
        ("one less than its header's", 7),
        ("that of its header", 8),
        ("one less than the VXLAN header's", 15),
        ("that of the VXLAN header", 16),
        ("one less than the inner Ethernet header's", 29),
    ] {
        group = group.rejects(name, Malformed, length(value));
    }
    group = group.drops("that of the inner Ethernet header", Malformed, length(30)).drops(
        "one less than the inner IP header's",
        Malformed,
        length(30 + 19),
    );
    for (name, cut) in [("one", 1), ("2", 2), ("9", 9)] {
        let rest = inner[..inner.len() - usize::from(cut)].to_vec();
        group = group.delivers_as(format!("{name} less than the packet's"), rest, length(right - cut));
    }
    group = group.delivers_as("that of the inner IP header", inner[..34].to_vec(), length(30 + 20));
    match family {
        Family::V4 => group.rejects("0", Malformed, length(0)),
        // The rest of the packet, in a jumbogram (RFC 2675 section 4); the kernel takes it in any packet.
        Family::V6 => group.delivers("0", length(0)),
    }
}

pub(crate) fn checksums(family: Family) -> Group {
    /// RFC 7348 section 5 lets a receiver not verify; the inner frame has its own.
    const DROPS: &str = "UDP checksum";
    let sum = |sum| move |frame: &mut Frame| frame.udp_sum = sum;
    // Over IPv6 the kernel's device must be told to take none (RFC 6935).
    Group::new("UDP checksum", good(family))
        .delivers("none", sum(Sum::None))
        .delivers("right", sum(Sum::Right))
        .delivers("one bit off", sum(Sum::Wrong(1)))
        .kernel(DROPS)
        .delivers("inverted", sum(Sum::Wrong(0xffff)))
        .kernel(DROPS)
}

pub(crate) fn padding(family: Family) -> Group {
    let mut group = Group::new("padding", good(family));
    for length in [1, 4, 18, 46, 1000] {
        group = group
            .delivers(format!("{length} behind the packet"), |frame| frame.padding = vec![0xee; length])
            .delivers(format!("{length} behind the datagram"), |frame| frame.rest = vec![0xee; length]);
    }
    group.delivers("behind both", |frame| (frame.rest, frame.padding) = (vec![0xee; 5], vec![0xdd; 7]))
}
