//! What leaves by the underlay device: VXLAN of our networks only with our mark, all else untouched.

use std::collections::BTreeMap;

use etherparse::{IpNumber, Ipv4Header};
use overlay_common::{
    DropReason,
    map::MAX_VTEPS,
    mark::{UNDERLAY_MARK, to_vtep},
};

use crate::{
    frames::{OUTER_IP, OUTER_UDP, OUTER_VXLAN, each_kind, eth, udp, udp_v4, udp_v6, v4, v4_with},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    scene::{
        FOREIGN_VNI, LOCAL, OTHER_VNI, OUR_VTEP, OUTER_DST, OUTER_SRC, OWN, REMOTE, SECRET_VNI, UDP_PORT,
        VNI, VTEP,
    },
};

const HOOK: Hook = Hook::ToUnderlay;

/// A VXLAN header.
fn header(vni: u32) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat()
}

/// A datagram to the VXLAN port of another node, after masquerading; `edit` may change its IPv4 header.
fn datagram_with(payload: &[u8], edit: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let packet = v4_with(OUR_VTEP, VTEP, IpNumber::UDP, &udp(40_000, UDP_PORT, payload), edit);
    eth(OUTER_DST, OUTER_SRC, 0x0800, &packet)
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    datagram_with(payload, |_| {})
}

/// A forged frame of a network.
fn forged(vni: u32) -> Vec<u8> {
    datagram(&[header(vni), udp_v4(&LOCAL, &REMOTE)].concat())
}

#[track_caller]
fn drops(kernel: &Kernel, frame: &[u8], vni: u32) {
    kernel.drops(HOOK, frame, vni, DropReason::VxlanFromContainer);
}

#[test]
fn vxlan_of_a_network_of_ours_without_the_mark_is_dropped() {
    let kernel = Kernel::scene();
    for vni in [VNI, OTHER_VNI, SECRET_VNI] {
        drops(&kernel, &forged(vni), vni);
    }
    // Its VXLAN header alone, too: what an external device makes of it is not known here.
    drops(&kernel, &datagram(&header(VNI)), VNI);
}

#[test]
fn with_the_mark_it_passes() {
    let kernel = Kernel::scene();
    let run = |mark| {
        let outcome = kernel.run_with(HOOK, &forged(VNI), Meta { mark, ..Meta::default() });
        (outcome.verdict, outcome.moved)
    };
    for place in [0, 1, 77, MAX_VTEPS - 1] {
        assert_eq!(run(to_vtep(place)), (Verdict::Pass, BTreeMap::new()), "place {place}");
    }
    let dropped = BTreeMap::from([(Event::Drop(VNI, "vxlan_from_container"), 1)]);
    for other in [1, 0x4000, 0x8000, UNDERLAY_MARK - 1, UNDERLAY_MARK + MAX_VTEPS, !UNDERLAY_MARK, u32::MAX] {
        assert_eq!(run(other), (Verdict::Drop, dropped.clone()), "mark {other:x}");
    }
}

#[test]
fn what_from_container_sends_has_the_mark() {
    let kernel = Kernel::scene();
    for frame in each_kind(&OWN, &REMOTE) {
        let sent = kernel.run(Hook::FromContainer, &frame);
        assert_eq!((sent.verdict, sent.mark), (Verdict::Redirect, to_vtep(0)));
        let meta = Meta { mark: sent.mark, ..Meta::default() };
        assert_eq!(kernel.run_with(HOOK, &sent.frame, meta).verdict, Verdict::Pass);
        drops(&kernel, &sent.frame, VNI);
        // What stays here has none.
        let mut local = frame.clone();
        local[..6].copy_from_slice(&LOCAL.mac.octets());
        assert_eq!(kernel.run(Hook::FromContainer, &local).mark, 0);
    }
}

#[test]
fn reserved_bits_do_not_hide_it() {
    let kernel = Kernel::scene();
    let frame = forged(VNI);
    for (place, bit) in [0, 1, 2, 3, 7].into_iter().flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut other = frame.clone();
        other[OUTER_VXLAN + place] ^= 1 << bit;
        if (place, bit) == (0, 3) {
            // Without the I flag there is no VNI.
            kernel.passes(HOOK, &other);
        } else {
            drops(&kernel, &other, VNI);
        }
    }
}

#[test]
fn ip_options_do_not_hide_it() {
    let kernel = Kernel::scene();
    for words in 1..=10_u8 {
        let payload = [header(VNI), udp_v4(&LOCAL, &REMOTE)].concat();
        let frame = datagram_with(&payload, |ip| {
            let len = usize::from(words) * 4;
            ip.options = (&vec![1; len][..]).try_into().expect("whole words");
            ip.total_len += u16::from(words) * 4;
        });
        drops(&kernel, &frame, VNI);
    }
}

#[test]
fn a_first_fragment_does_not_hide_it_and_a_later_one_passes() {
    let kernel = Kernel::scene();
    let payload = [header(VNI), udp_v4(&LOCAL, &REMOTE)].concat();
    let fragment = |payload: &[u8], bytes: u16, more: bool| {
        datagram_with(payload, |ip| {
            ip.fragment_offset = crate::frames::fragment_offset(bytes);
            (ip.more_fragments, ip.dont_fragment) = (more, false);
        })
    };
    drops(&kernel, &fragment(&payload, 0, true), VNI);
    for (bytes, more) in [(8, true), (1480, false)] {
        kernel.passes(HOOK, &fragment(&payload, bytes, more));
    }
    // The VXLAN header begins in the second fragment.
    for len in 0..8 {
        drops(&kernel, &fragment(&payload[..len], 0, true), 0);
        // Unfragmented, it is a short datagram that holds none.
        kernel.passes(HOOK, &datagram(&payload[..len]));
    }
    let foreign = [header(FOREIGN_VNI), udp_v4(&LOCAL, &REMOTE)].concat();
    kernel.passes(HOOK, &fragment(&foreign, 0, true));
}

#[test]
fn a_segment_of_a_super_frame_does_not_hide_it() {
    let kernel = Kernel::scene();
    let segment = |vni| [header(vni), vec![0xc3; 92]].concat();
    let run = |segments: &[u32], gso_size| {
        let payload: Vec<u8> = segments.iter().flat_map(|vni| segment(*vni)).collect();
        let outcome = kernel.run_with(HOOK, &datagram(&payload), Meta { gso_size, ..Meta::default() });
        (outcome.verdict, outcome.moved)
    };
    let passed = (Verdict::Pass, BTreeMap::new());
    let dropped = |vni| (Verdict::Drop, BTreeMap::from([(Event::Drop(vni, "vxlan_from_container"), 1)]));
    assert_eq!(run(&[FOREIGN_VNI; 30], 100), passed, "the control");
    for place in 0..30 {
        let mut segments = [FOREIGN_VNI; 30];
        segments[place] = OTHER_VNI;
        assert_eq!(run(&segments, 100), dropped(OTHER_VNI), "segment {place}");
        if place > 0 {
            // Not where a segment begins: data.
            assert_eq!(run(&segments, 101), passed, "segment {place}");
        }
    }
}

#[test]
fn another_vni_and_what_is_no_vxlan_pass() {
    let kernel = Kernel::scene();
    for vni in [FOREIGN_VNI, 0, 0xff_ffff, VNI << 8] {
        kernel.passes(HOOK, &forged(vni & 0xff_ffff));
    }
    for payload in [&b""[..], b"hello", b"a foreign service on this port"] {
        kernel.passes(HOOK, &datagram(payload));
    }
}

#[test]
fn what_is_not_udp_to_our_port_over_ipv4_passes() {
    let kernel = Kernel::scene();
    let frame = forged(VNI);
    drops(&kernel, &frame, VNI);
    for port in [UDP_PORT - 1, UDP_PORT + 1, 8472, 0] {
        let mut other = frame.clone();
        other[OUTER_UDP + 2..OUTER_UDP + 4].copy_from_slice(&port.to_be_bytes());
        kernel.passes(HOOK, &other);
    }
    for protocol in [IpNumber::TCP, IpNumber::ICMP, IpNumber::UDP_LITE] {
        let mut other = frame.clone();
        other[OUTER_IP + 9] = protocol.0;
        kernel.passes(HOOK, &other);
    }
    for ethertype in [0x0806_u16, 0x86dd, 0x88b5] {
        let mut other = frame.clone();
        other[12..14].copy_from_slice(&ethertype.to_be_bytes());
        kernel.passes(HOOK, &other);
    }
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0x00, 0, 7]);
    kernel.passes(HOOK, &tagged);
    kernel.passes(HOOK, &udp_v6(&OWN, &REMOTE));
    // From our port is not to it.
    let packet = v4(OUR_VTEP, VTEP, IpNumber::UDP, &udp(UDP_PORT, 40_000, &header(VNI)));
    kernel.passes(HOOK, &eth(OUTER_DST, OUTER_SRC, 0x0800, &packet));
}

#[test]
fn without_a_configuration_everything_passes() {
    Kernel::new().passes(HOOK, &forged(VNI));
}
