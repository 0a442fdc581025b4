//! An endpoint that sends on what it gets: by way of our vxlan device, which clears what a tunnel leaves in the socket
//! buffer.

use overlay_common::DropReason::{CeNotEct, NoAnchor, UnknownVtep};

use crate::{
    build::not_ip,
    case::{Golden, Group, Mode},
    frame::{Family, Frame, Sum},
    inner::{arp, datagram, four, message, segment, six},
    scene::{FORWARDER, LOCAL, REMOTE, STRANGER},
};

/// To who does not forward.
fn good(family: Family) -> Frame {
    Frame::new(family, four(&REMOTE, &LOCAL, 17, &datagram()))
}

/// What XDP took out of its tunnel is delivered at once: it never was in a socket buffer with it.
fn at_once(golden: &Golden) -> Golden {
    match golden {
        Golden::Anchored { inner, .. } => Golden::Delivered(inner.clone()),
        Golden::Delivered(_) | Golden::Passed(_) | Golden::Dropped(..) => golden.clone(),
    }
}

pub(crate) fn anchored(family: Family) -> Group {
    let packet = |protocol, payload: &[u8]| four(&REMOTE, &FORWARDER, protocol, payload);
    let v6_udp = six(&REMOTE, &FORWARDER, 17, &datagram());
    let echo = message(&REMOTE, &FORWARDER, 128, &[0; 8]);
    let reply = arp((REMOTE.mac, FORWARDER.mac), false, (REMOTE.mac, REMOTE.v4), FORWARDER.v4);
    Group::new("forwarder", good(family))
        .anchors("UDP over IPv4", packet(17, &datagram()), |_| {})
        .by_xdp(at_once)
        .anchors("UDP over IPv6", v6_udp, |_| {})
        .by_xdp(at_once)
        .anchors("TCP over IPv4", packet(6, &segment()), |_| {})
        .by_xdp(at_once)
        .anchors("ICMP", packet(1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]), |_| {})
        .by_xdp(at_once)
        .anchors("later fragment", later_fragment(), |_| {})
        .by_xdp(at_once)
        .anchors("UDP checksum right", packet(17, &datagram()), |frame| frame.udp_sum = Sum::Right)
        .by_xdp(at_once)
        .anchors("UDP checksum wrong", packet(17, &datagram()), |frame| frame.udp_sum = Sum::Wrong(1))
        .kernel("UDP checksum")
        .by_xdp(at_once)
        .anchors("padding behind the packet", packet(17, &datagram()), |frame| {
            frame.padding = vec![0xee; 18];
        })
        .when(family == Family::V6, |group| {
            group.anchors("extension headers", packet(17, &datagram()), |frame| {
                frame.extensions =
                    vec![(60, vec![0, 0, 1, 4, 0, 0, 0, 0]), (44, vec![0, 0, 0, 0, 0, 0, 0, 7])];
            })
        })
        .carries("ICMPv6 echo, at once", echo)
        .carries("ARP reply, at once", reply)
        .carries("not IP, at once", not_ip(&REMOTE, &FORWARDER))
        .drops("congestion on what cannot carry the mark", CeNotEct, |frame| {
            (frame.inner, frame.tos) = (four(&REMOTE, &FORWARDER, 17, &datagram()), 3);
        })
        .rejects("from no VTEP", UnknownVtep, |frame| {
            frame.inner = four(&REMOTE, &FORWARDER, 17, &datagram());
            frame.src = STRANGER.over(frame.family);
        })
        .kernel("sender is no VTEP")
}

fn later_fragment() -> Vec<u8> {
    let mut frame = four(&REMOTE, &FORWARDER, 17, &datagram());
    frame[14 + 6..14 + 8].copy_from_slice(&[0, 160]);
    let header: [u8; 20] = std::array::from_fn(|at| if at == 10 || at == 11 { 0 } else { frame[14 + at] });
    frame[14 + 10..14 + 12].copy_from_slice(&crate::frame::checksum(&header).to_be_bytes());
    frame
}

pub(crate) fn without_anchor(family: Family) -> Group {
    let mut group = Group::in_mode("no anchor", Mode::NoAnchor, good(family))
        .carries("not IP to a forwarder", not_ip(&REMOTE, &FORWARDER));
    for (name, inner) in [
        ("UDP over IPv4 to a forwarder", four(&REMOTE, &FORWARDER, 17, &datagram())),
        ("UDP over IPv6 to a forwarder", six(&REMOTE, &FORWARDER, 17, &datagram())),
    ] {
        group = group
            .refuses(name, NoAnchor, inner.clone())
            .kernel("no anchor")
            .by_xdp(|_| Golden::Delivered(inner));
    }
    group
}
