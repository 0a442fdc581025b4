//! RFC 6040 section 4.2: which congestion mark the container sees, for every pair of marks and every pair of families.

use overlay_common::DropReason;

use crate::{
    case::{Group, Mode},
    frame::{Family, Frame, checksum},
    inner::{datagram, four, six},
    scene::{LOCAL, REMOTE},
};

/// The inner marks.
pub(crate) const MARKS: [&str; 4] = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];

/// Row: inner mark; column: outer mark. As figure 4 of the RFC; none where the packet is dropped.
const FIGURE_4: [[Option<u8>; 4]; 4] = [
    [Some(0), Some(0), Some(0), None],
    [Some(1), Some(1), Some(1), Some(3)],
    [Some(2), Some(1), Some(2), Some(3)],
    [Some(3), Some(3), Some(3), Some(3)],
];

/// DSCPs inside and outside: neither may become the other's.
const INSIDE: u8 = 0xb8;
const OUTSIDE: u8 = 0x48;

/// An inner frame with this TOS or traffic class, its checksum right.
fn marked(inner: Family, tos: u8) -> Vec<u8> {
    match inner {
        Family::V4 => {
            let mut frame = four(&REMOTE, &LOCAL, 17, &datagram());
            frame[15] = tos;
            frame[24..26].fill(0);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            frame
        }
        Family::V6 => {
            let mut frame = six(&REMOTE, &LOCAL, 17, &datagram());
            // With a flow label, which shares a byte with it.
            frame[14..18].copy_from_slice(&[0x60 | tos >> 4, tos << 4 | 0xa, 0xbc, 0xde]);
            frame
        }
    }
}

/// All pairs of marks, over a family of the underlay.
pub(crate) fn groups(outer: Family) -> Vec<Group> {
    let all = |inner: Family| {
        let name = if inner == Family::V4 { "RFC 6040, inner IPv4" } else { "RFC 6040, inner IPv6" };
        let good = Frame::new(outer, marked(inner, INSIDE));
        let mut group = Group::without_control(name, Mode::Usual, good);
        for (inside, row) in (0..).zip(FIGURE_4) {
            for (outside, seen) in (0..).zip(row) {
                let name = format!("{} in {}", MARKS[usize::from(inside)], MARKS[usize::from(outside)]);
                let edit = |frame: &mut Frame| {
                    (frame.inner, frame.tos) = (marked(inner, INSIDE | inside), OUTSIDE | outside);
                };
                group = match seen {
                    Some(mark) => group.delivers_as(name, marked(inner, INSIDE | mark), edit),
                    None => group.drops(name, DropReason::CeNotEct, edit),
                };
            }
        }
        group
    };
    vec![all(Family::V4), all(Family::V6)]
}
