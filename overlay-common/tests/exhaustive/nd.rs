//! Answers to neighbour solicitations, whatever is asked.

use overlay_common::{
    Ip16, MacAddr,
    nd::{ADVERTISEMENT_LEN, Solicitation},
};

use crate::inputs::{internet_sum, pairs, single_bytes};

/// A frame's end of both addresses of IPv6, and the sixteen bits where they begin.
fn check(bytes: [u8; 16]) {
    let [m0, m1, m2, f0, f1, f14, f15, t0, t1, t14, t15, o0, o1, o2, o3, o4] = bytes;
    let from = [f0, f1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, f14, f15];
    let target = [t0, t1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, t14, t15];
    let from_mac = MacAddr::new([2, 0, 0, m0, m1, m2]);
    let owner = MacAddr::new([2, o0, o1, o2, o3, o4]);
    let mut frame = [0xaa; ADVERTISEMENT_LEN];
    let ask = Solicitation { from_mac, from: Ip16::v6(from), target: Ip16::v6(target) };
    ask.advertisement(owner, &mut frame);
    // RFC 4861 section 7.2.4: to the unspecified address it goes to all nodes and says that nobody asked.
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (to, to_mac, flags) = if from == [0; 16] {
        (all_nodes, [0x33, 0x33, 0, 0, 0, 1], 0x20)
    } else {
        (from, from_mac.octets(), 0x60)
    };
    assert_eq!(
        (&frame[..6], &frame[6..12], &frame[12..14]),
        (&to_mac[..], &owner.octets()[..], &[0x86, 0xdd][..])
    );
    assert_eq!(frame[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!((&frame[22..38], &frame[38..54]), (&target[..], &to[..]));
    assert_eq!((&frame[54..56], &frame[58..62]), (&[136, 0][..], &[flags, 0, 0, 0][..]));
    assert_eq!(
        (&frame[62..78], &frame[78..80], &frame[80..]),
        (&target[..], &[2, 1][..], &owner.octets()[..])
    );
    let message = [&frame[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &frame[54..]].concat();
    assert_eq!(internet_sum(&message), 0xffff, "{bytes:?}");
}

#[test]
fn whatever_is_asked() {
    let ordinary = [0, 0, 1, 0xfd, 0, 0, 1, 0xfd, 0, 0, 2, 0x42, 10, 1, 0, 2];
    let probe = [0, 0, 1, 0, 0, 0, 0, 0xfd, 0, 0, 2, 0x42, 10, 1, 0, 2];
    for good in [ordinary, probe, [0xff; 16], [0; 16]] {
        single_bytes(good).for_each(check);
        pairs(good).for_each(check);
    }
}
