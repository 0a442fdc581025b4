//! Outer headers that do not hold: dropped and counted, never read past.

use overlay_common::DropReason::{Malformed, OuterFragment};

use crate::{
    frames::{
        INNER, OUTER_IP, OUTER_UDP, OUTER_VXLAN, each_kind, fix_checksum, shortest, udp_v4, vxlan, vxlan_with,
    },
    harness::Kernel,
    scene::{LOCAL, REMOTE, VNI, VTEP},
};

/// A VXLAN packet that is delivered, and the programs that do.
fn good() -> (Kernel, Vec<u8>) {
    let kernel = Kernel::scene();
    let frame = vxlan(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL));
    kernel.delivers(&frame);
    (kernel, frame)
}

/// Writes a 16-bit number, and makes the IPv4 checksum anew.
fn set(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
    fix_checksum(frame, OUTER_IP);
}

#[test]
fn a_first_fragment_is_dropped() {
    let (kernel, _) = good();
    let frame = |more, dont| {
        vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| {
            (ip.more_fragments, ip.dont_fragment) = (more, dont);
        })
    };
    kernel.rejects(&frame(true, false), 0, OuterFragment);
    kernel.rejects(&frame(true, true), 0, OuterFragment);
    kernel.delivers(&frame(false, false));
}

#[test]
fn any_flag_or_reserved_bit_besides_the_vni_flag_is_malformed() {
    let (kernel, frame) = good();
    for bit in (0..32).chain(56..64) {
        let mut bad = frame.clone();
        bad[OUTER_VXLAN + bit / 8] ^= 0x80 >> (bit % 8);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_wrong_ipv4_checksum_is_malformed() {
    let (kernel, frame) = good();
    for bit in 0..16 {
        let mut bad = frame.clone();
        bad[OUTER_IP + 10 + bit / 8] ^= 1 << (bit % 8);
        kernel.rejects(&bad, 0, Malformed);
    }
    // Any other bit changed without it, too: here the TTL.
    let mut bad = frame;
    bad[OUTER_IP + 8] -= 1;
    kernel.rejects(&bad, 0, Malformed);
    fix_checksum(&mut bad, OUTER_IP);
    kernel.delivers(&bad);
}

#[test]
fn ip_options_are_malformed() {
    let (kernel, _) = good();
    // A difference from the kernel's vxlan device, which takes them: no VTEP sends any.
    for words in 1..=10_u16 {
        let frame = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| {
            ip.options = [1_u8; 40][..usize::from(words) * 4].try_into().expect("whole words");
            ip.total_len += words * 4;
        });
        kernel.rejects(&frame, 0, Malformed);
    }
}

#[test]
fn a_header_length_below_20_bytes_is_malformed() {
    let (kernel, frame) = good();
    for words in 0..5 {
        let mut short = frame.clone();
        short[OUTER_IP] = 0x40 | words;
        kernel.rejects(&short, 0, Malformed);
    }
}

#[test]
fn options_that_leave_no_room_for_a_udp_header_are_malformed() {
    let (kernel, frame) = good();
    let mut long = frame[..OUTER_UDP + 8].to_vec();
    long[OUTER_IP] = 0x4f;
    kernel.rejects(&long, 0, Malformed);
}

#[test]
fn another_ip_version_is_malformed() {
    let (kernel, frame) = good();
    for version in (0..16).filter(|version| *version != 4) {
        let mut bad = frame.clone();
        bad[OUTER_IP] = version << 4 | 5;
        fix_checksum(&mut bad, OUTER_IP);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_packet_longer_than_its_frame_is_malformed() {
    let (kernel, frame) = good();
    let len = u16::try_from(frame.len() - OUTER_IP).expect("a short frame");
    for more in [1, 2, 1000, u16::MAX - len] {
        let mut bad = frame.clone();
        set(&mut bad, OUTER_IP + 2, len + more);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_packet_shorter_than_its_datagram_is_malformed() {
    let (kernel, frame) = good();
    let len = u16::try_from(frame.len() - OUTER_IP).expect("a short frame");
    for short in [len - 1, 28, 20, 19, 1, 0] {
        let mut bad = frame.clone();
        set(&mut bad, OUTER_IP + 2, short);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_datagram_longer_than_its_packet_is_malformed() {
    let (kernel, frame) = good();
    let len = u16::try_from(frame.len() - OUTER_UDP).expect("a short frame");
    for more in [1, 8, 1000, u16::MAX - len] {
        let mut bad = frame.clone();
        set(&mut bad, OUTER_UDP + 4, len + more);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_datagram_without_a_whole_inner_ethernet_header_is_malformed() {
    let (kernel, frame) = good();
    // UDP and VXLAN header, and less than the 14 bytes; 0 to 7 are less than a UDP header.
    for len in 0..8 + 8 + 14 {
        let mut bad = frame.clone();
        set(&mut bad, OUTER_UDP + 4, len);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn a_datagram_shorter_than_its_packet_cuts_the_inner_frame() {
    // As the kernel's vxlan device does.
    let (kernel, frame) = good();
    let inner = udp_v4(&REMOTE, &LOCAL);
    for cut in 1..inner.len() - 14 - 20 {
        let mut short = frame.clone();
        set(&mut short, OUTER_UDP + 4, u16::try_from(frame.len() - OUTER_UDP - cut).expect("a short frame"));
        assert_eq!(kernel.delivers(&short), inner[..inner.len() - cut]);
    }
}

#[test]
fn an_inner_packet_without_a_whole_ip_header_is_malformed() {
    let kernel = Kernel::scene();
    let [four, six, _] = each_kind(&REMOTE, &LOCAL);
    for (inner, header) in [(four, 20), (six, 40)] {
        for len in 14..14 + header {
            kernel.rejects(&vxlan(VTEP, VNI, &inner[..len]), VNI, Malformed);
        }
        // Behind it may be padding of the outer frame, which is no part of the inner one.
        let mut padded = vxlan(VTEP, VNI, &inner[..14 + header - 1]);
        padded.extend([0; 64]);
        kernel.rejects(&padded, VNI, Malformed);
        assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner[..14 + header])), inner[..14 + header]);
    }
}

#[test]
fn a_frame_cut_short_anywhere_is_not_delivered() {
    let kernel = Kernel::scene();
    for inner in each_kind(&REMOTE, &LOCAL) {
        let frame = vxlan(VTEP, VNI, &inner);
        for len in shortest(&frame)..frame.len() {
            kernel.rejects(&frame[..len], 0, Malformed);
        }
        assert_eq!(kernel.delivers(&frame).len(), frame.len() - INNER);
    }
}

#[test]
fn a_udp_checksum_is_not_verified() {
    // As RFC 7348 section 5 allows: another sender's need not be 0, and the inner frame has its own.
    let (kernel, mut frame) = good();
    frame[OUTER_UDP + 6..OUTER_UDP + 8].fill(0x5a);
    kernel.delivers(&frame);
}
