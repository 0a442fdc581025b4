//! Congestion marks.

use network_types::ip::Ipv4Hdr;
use overlay_common::{ecn, vxlan::ipv4_checksum_holds};

use crate::inputs::internet_sum;

/// An IPv4 header with this TOS and identification, and the checksum that belongs to it.
fn header(tos: u8, id: u16) -> Ipv4Hdr {
    let [i0, i1] = id.to_be_bytes();
    let sum = internet_sum(&[0x45, tos, 0, 60, i0, i1, 0x40, 0, 64, 6, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2]);
    Ipv4Hdr {
        vihl: 0x45,
        tos,
        tot_len: [0, 60],
        id: [i0, i1],
        frags: [0x40, 0],
        ttl: 64,
        proto: 6,
        check: (!sum).to_be_bytes(),
        src_addr: [10, 1, 0, 1],
        dst_addr: [10, 1, 0, 2],
    }
}

/// RFC 6040 figure 4, in words: what the inner sender cannot carry is dropped if it is congestion; congestion always
/// gets through otherwise; ECT(1) outside replaces ECT(0) inside.
fn expected(inner: u8, outer: u8) -> Option<u8> {
    match (inner & 3, outer & 3) {
        (0, 3) => None,
        (0, _) => Some(0),
        (_, 3) => Some(3),
        (2, 1) => Some(1),
        (inner, _) => Some(inner),
    }
}

#[test]
fn every_pair_of_fields() {
    for inner in 0..=u8::MAX {
        for outer in 0..=u8::MAX {
            assert_eq!(ecn::decap(inner, outer), expected(inner, outer), "{inner:08b} {outer:08b}");
            // Of IPv6 the field is in the upper half of the byte, above bits of the flow label.
            let marked = expected(inner >> 4, outer).map(|mark| inner & 0b1100_1111 | mark << 4);
            assert_eq!(ecn::mark_v6(inner, outer), marked, "{inner:08b} {outer:08b}");
        }
    }
}

#[test]
fn a_marked_header_differs_in_mark_and_checksum_only() {
    for tos in 0..=u8::MAX {
        for outer in 0..=3 {
            // The checksum takes the values where one's complement has two zeroes, too.
            for id in [0, 1, 0x7fff, 0x8000, 0xfffe, u16::MAX].into_iter().chain((0..u16::MAX).step_by(257)) {
                let mut ip = header(tos, id);
                assert!(ipv4_checksum_holds(&ip), "the control");
                let marked = ecn::mark_v4(&mut ip, outer);
                assert_eq!(marked.is_some(), expected(tos, outer).is_some());
                let tos = expected(tos, outer).map_or(tos, |mark| tos & !3 | mark);
                assert_eq!((ip.tos, ip.id, ip.tot_len), (tos, id.to_be_bytes(), [0, 60]));
                assert!(ipv4_checksum_holds(&ip), "{tos} {outer} {id}");
            }
        }
    }
}
