//! How long a container's frame may be, and how short.

use std::net::Ipv6Addr;

use etherparse::IpNumber;
use overlay_common::{Counter, DropReason};

use crate::{
    frames,
    frames::{EXPERIMENTAL, eth, not_ip, udp, udp_v4, udp_v6, v4, v4_with, v6},
    harness::{Event, Hook, Kernel, Meta},
    scene::{INNER_MTU, LOCAL, OWN, REMOTE, Station, VNI},
};

/// A multicast address.
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x77);

/// Frames of each kind whose payload has `len` bytes.
pub(crate) fn of_length(to: &Station, len: usize) -> [Vec<u8>; 3] {
    [
        eth(
            to.mac,
            OWN.mac,
            0x0800,
            &v4_with(OWN.v4, to.v4, IpNumber::UDP, &udp(1, 2, &vec![0; len - 28]), |header| {
                // Its sender is told nothing.
                header.dont_fragment = false;
            }),
        ),
        eth(
            to.mac,
            OWN.mac,
            0x86dd,
            // To a group by its IP address, to one by its MAC address: its sender is told nothing either.
            &v6(OWN.v6, GROUP, IpNumber::UDP, &udp(1, 2, &vec![0; len - 48])),
        ),
        eth(to.mac, OWN.mac, EXPERIMENTAL, &vec![0; len]),
    ]
}

#[test]
fn one_byte_more_than_the_underlay_carries_is_too_big() {
    let kernel = Kernel::scene();
    for frame in of_length(&REMOTE, usize::from(INNER_MTU)) {
        assert_eq!(kernel.sends(&frame).len(), 50 + 14 + usize::from(INNER_MTU));
    }
    for frame in of_length(&REMOTE, usize::from(INNER_MTU) + 1) {
        kernel.refuses(&frame, DropReason::TooBig);
    }
}

#[test]
fn on_this_node_the_underlay_sets_no_limit() {
    let kernel = Kernel::scene();
    for mut frame in of_length(&REMOTE, 3000) {
        kernel.refuses(&frame, DropReason::TooBig);
        frame[..6].copy_from_slice(&LOCAL.mac.octets());
        assert_eq!(kernel.redirects(Hook::FromContainer, &frame, Counter::ToLocal), frame);
    }
}

#[test]
fn of_a_super_frame_the_segments_count() {
    let kernel = Kernel::scene();
    let [frame, _, _] = of_length(&REMOTE, 3000);
    let reason_at = |gso_size| {
        let outcome = kernel.run_with(Hook::FromContainer, &frame, Meta { gso_size, ..Meta::default() });
        outcome.moved.into_iter().collect::<Vec<_>>()
    };
    // With an IPv4 and a UDP header, 28 bytes. The one that fits comes as far as the kernel, which cannot grow the
    // super-frame of a test run: it has no kind of segmentation.
    let limit = u32::from(INNER_MTU) - 28;
    assert_eq!(reason_at(limit), [(Event::Drop(VNI, DropReason::KernelRefused.name()), 1)]);
    assert_eq!(reason_at(limit + 1), [(Event::Drop(VNI, DropReason::TooBig.name()), 1)]);
    // One that is not IP would never be cut up.
    let meta = Meta { gso_size: 10, ..Meta::default() };
    let outcome = kernel.run_with(Hook::FromContainer, &not_ip(&OWN, &REMOTE), meta);
    let moved: Vec<_> = outcome.moved.into_iter().collect();
    assert_eq!(moved, [(Event::Drop(VNI, DropReason::TooBig.name()), 1)]);
    kernel.sends(&not_ip(&OWN, &REMOTE));
}

#[test]
fn a_packet_shorter_than_its_headers_is_malformed() {
    let kernel = Kernel::scene();
    for (whole, headers) in [(udp_v4(&OWN, &REMOTE), 14 + 20 + 4), (udp_v6(&OWN, &REMOTE), 14 + 40 + 4)] {
        for len in frames::shortest(&whole)..headers {
            kernel.refuses(&whole[..len], DropReason::Malformed);
        }
        // Ports are all that is read of the datagram.
        for len in headers..=whole.len() {
            kernel.sends(&whole[..len]);
        }
    }
}

#[test]
fn a_packet_of_another_version_than_its_ethertype_is_malformed() {
    let kernel = Kernel::scene();
    for (frame, version) in [(udp_v4(&OWN, &REMOTE), 4), (udp_v6(&OWN, &REMOTE), 6)] {
        for other in 0..16 {
            let mut changed = frame.clone();
            changed[14] = changed[14] & 0xf | other << 4;
            if other == version {
                kernel.sends(&changed);
            } else {
                kernel.refuses(&changed, DropReason::Malformed);
            }
        }
    }
}

#[test]
fn an_ipv4_header_shorter_than_20_bytes_is_malformed() {
    let kernel = Kernel::scene();
    for words in 0..16 {
        let packet = v4(OWN.v4, REMOTE.v4, IpNumber::UDP, &udp(1, 2, &[0; 60]));
        let mut frame = eth(REMOTE.mac, OWN.mac, 0x0800, &packet);
        frame[14] = 0x40 | words;
        if words < 5 {
            kernel.refuses(&frame, DropReason::Malformed);
        } else {
            kernel.sends(&frame);
        }
    }
}
