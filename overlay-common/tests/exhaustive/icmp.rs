//! The answers to packets that are too big, whatever the refused packet's header holds.

use overlay_common::{
    Ip16, MacAddr,
    header::Eth,
    icmp::{self, BEFORE_V4, BEFORE_V6, Ends, QUOTE_V4, QUOTE_V6},
};

use crate::inputs::{internet_sum, pairs, single_bytes};

const ETH: Eth =
    Eth { dst: MacAddr::new([2, 0, 0, 0, 0, 2]), src: MacAddr::new([2, 0, 0, 0, 0, 1]), ethertype: [8, 0] };

/// Source and destination of the refused packet, and what else an answer depends on: MTU, and the sum of the quote.
fn check_v4(bytes: [u8; 12]) {
    let [s0, s1, s2, s3, d0, d1, d2, d3, m0, m1, q0, q1] = bytes;
    let ends = Ends { from: [d0, d1, d2, d3], to: [s0, s1, s2, s3] };
    let mut out = [0xaa; BEFORE_V4];
    icmp::too_big_v4(&ETH, ends, u16::from_be_bytes([m0, m1]), u16::from_be_bytes([q0, q1]), &mut out);
    assert_eq!(out[..14], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    assert_eq!(out[14..24], [0x45, 0, 2, 28, 0, 0, 0x40, 0, 64, 1]);
    assert_eq!((&out[26..30], &out[30..34]), (&bytes[4..8], &bytes[..4]));
    assert_eq!(internet_sum(&out[14..34]), 0xffff, "{bytes:?}");
    assert_eq!((&out[34..36], &out[38..42]), (&[3, 4][..], &[0, 0, m0, m1][..]));
    // The quote, of which only the sum is known, sums up to it.
    assert_eq!(internet_sum(&[&out[34..], &[q0, q1]].concat()), 0xffff, "{bytes:?}");
    assert_eq!(usize::from(u16::from_be_bytes([out[16], out[17]])), BEFORE_V4 - 14 + QUOTE_V4);
}

/// As `check_v4`.
fn check_v6(bytes: [u8; 36]) {
    let (mut src_addr, mut dst_addr) = ([0; 16], [0; 16]);
    src_addr.copy_from_slice(&bytes[..16]);
    dst_addr.copy_from_slice(&bytes[16..32]);
    let [m0, m1, q0, q1] = [bytes[32], bytes[33], bytes[34], bytes[35]];
    let ends = Ends { from: Ip16::v6(dst_addr), to: Ip16::v6(src_addr) };
    let mut out = [0xaa; BEFORE_V6];
    icmp::too_big_v6(&ETH, ends, u16::from_be_bytes([m0, m1]), u16::from_be_bytes([q0, q1]), &mut out);
    assert_eq!(out[..14], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
    let length = (8 + QUOTE_V6) as u16;
    let [l0, l1] = length.to_be_bytes();
    assert_eq!(out[14..22], [0x60, 0, 0, 0, l0, l1, 58, 64]);
    assert_eq!((&out[22..38], &out[38..54]), (&dst_addr[..], &src_addr[..]));
    assert_eq!((&out[54..56], &out[58..62]), (&[2, 0][..], &[0, 0, m0, m1][..]));
    let message = [&out[22..54], &[0, 0, l0, l1, 0, 0, 0, 58], &out[54..], &[q0, q1]].concat();
    assert_eq!(internet_sum(&message), 0xffff, "{bytes:?}");
}

#[test]
fn over_ipv4() {
    for good in [[10, 1, 0, 1, 10, 1, 0, 2, 5, 170, 0x12, 0x34], [0xff; 12], [0; 12]] {
        single_bytes(good).for_each(check_v4);
        pairs(good).for_each(check_v4);
    }
}

#[test]
fn over_ipv6() {
    for good in [[0xfd; 36], [0xff; 36], [0; 36]] {
        single_bytes(good).for_each(check_v6);
    }
}

#[test]
fn every_sum_of_a_quote() {
    for quoted in 0..=u16::MAX {
        let [q0, q1] = quoted.to_be_bytes();
        check_v4([10, 1, 0, 1, 10, 1, 0, 2, 5, 170, q0, q1]);
    }
}

#[test]
fn every_type() {
    // The types that RFC 792 and RFC 4443 define as errors; ICMPv6 keeps the lower half for them.
    let errors = [3, 4, 5, 11, 12];
    for kind in 0..=u8::MAX {
        assert_eq!(icmp::is_error_v4(kind), errors.contains(&kind), "{kind}");
        assert_eq!(icmp::is_error_v6(kind), kind & 0x80 == 0, "{kind}");
    }
}
