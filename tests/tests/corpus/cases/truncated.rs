//! Frames that end too early, their lengths as of the whole: nothing may be read past the end.

use overlay_common::DropReason::Malformed;

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame},
};

pub(crate) fn anywhere(family: Family) -> Group {
    let frame = good(family);
    let (ip, udp, end) = (14, frame.udp_at(), frame.bytes().len());
    let (vxlan, inner) = (udp + 8, udp + 16);
    let cut = |length: usize| move |frame: &mut Frame| frame.cut = Some(length);
    let mut group = Group::new("truncated", frame)
        // Too short for an IP header: nobody's.
        .passes("behind the Ethernet header", cut(ip))
        .passes("one byte into the IP header", cut(ip + 1))
        .passes("in the IP header", cut(ip + 10))
        .passes("before the last byte of the destination address", cut(udp - 1));
    // UDP to our address: it might be VXLAN.
    for (name, length) in [
        ("behind the IP header", udp),
        ("in the UDP source port", udp + 1),
        ("behind the UDP source port", udp + 2),
        ("behind the UDP destination port", udp + 4),
        ("before the last byte of the UDP header", udp + 7),
        ("behind the UDP header", vxlan),
        ("one byte into the VXLAN header", vxlan + 1),
        ("in the VNI", vxlan + 5),
        ("before the last byte of the VXLAN header", vxlan + 7),
        ("behind the VXLAN header", inner),
        ("in the inner destination MAC", inner + 3),
        ("behind the inner destination MAC", inner + 6),
        ("behind the inner source MAC", inner + 12),
        ("before the last byte of the inner Ethernet header", inner + 13),
        ("behind the inner Ethernet header", inner + 14),
        ("in the inner IP header", inner + 14 + 10),
        ("behind the inner IP header", inner + 14 + 20),
        ("behind the inner UDP header", inner + 14 + 20 + 8),
        ("before its last byte", end - 1),
    ] {
        group = group.rejects(name, Malformed, cut(length));
    }
    group
        .passes("behind the IP header, to another address", |frame| {
            (frame.dst, frame.cut) = (crate::scene::STRANGER.over(frame.family), Some(udp));
        })
        .passes("behind the UDP ports, to another port", |frame| {
            (frame.ports.1, frame.cut) = (53, Some(vxlan));
        })
}
