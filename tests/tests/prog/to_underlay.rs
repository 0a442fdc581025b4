//! What leaves by the underlay device: VXLAN of our networks only with our mark, all else untouched; over both families.

use std::collections::BTreeMap;

use etherparse::{IpNumber, Ipv4Header};
use overlay_common::{
    DropReason,
    map::MAX_VTEPS,
    mark::{UNDERLAY_MARK, to_vtep},
};
use overlay_tests::Family;

use crate::{
    frames::{each_kind, eth, extended, extension, fragment_offset, udp, udp_v4, udp_v6, v4_with, v6},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    scene::{
        FOREIGN_VNI, LOCAL, OTHER_VNI, OUR_VTEP, OUR_VTEP_V6, OUTER_DST, OUTER_SRC, OWN, REMOTE, REMOTE_V6,
        SECRET_VNI, UDP_PORT, VNI, VTEP, VTEP_V6,
    },
};

const HOOK: Hook = Hook::ToUnderlay;
const FRAGMENT: IpNumber = IpNumber(44);
const OPTIONS: IpNumber = IpNumber(60);

/// A VXLAN header.
fn header(vni: u32) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat()
}

/// An IPv4 packet to another node, after masquerading; `edit` may change its header.
fn packet_v4(payload: &[u8], edit: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let packet = v4_with(OUR_VTEP, VTEP, IpNumber::UDP, payload, edit);
    eth(OUTER_DST, OUTER_SRC, Family::V4.ethertype(), &packet)
}

/// A packet to another node.
fn packet(family: Family, payload: &[u8]) -> Vec<u8> {
    match family {
        Family::V4 => packet_v4(payload, |_| {}),
        Family::V6 => {
            let packet = v6(OUR_VTEP_V6, VTEP_V6, IpNumber::UDP, payload);
            eth(OUTER_DST, OUTER_SRC, family.ethertype(), &packet)
        }
    }
}

/// A datagram to the VXLAN port of another node.
fn datagram(family: Family, payload: &[u8]) -> Vec<u8> {
    packet(family, &udp(40_000, UDP_PORT, payload))
}

/// What a forged frame of a network is to its UDP.
fn payload(vni: u32) -> Vec<u8> {
    [header(vni), udp_v4(&LOCAL, &REMOTE)].concat()
}

/// A forged frame of a network.
fn forged(family: Family, vni: u32) -> Vec<u8> {
    datagram(family, &payload(vni))
}

/// A fragment of a datagram that begins with `payload`.
fn fragment(family: Family, payload: &[u8], offset: u16, more: bool) -> Vec<u8> {
    match family {
        Family::V4 => packet_v4(&udp(40_000, UDP_PORT, payload), |ip| {
            ip.fragment_offset = fragment_offset(offset);
            (ip.more_fragments, ip.dont_fragment) = (more, false);
        }),
        Family::V6 => extended(&datagram(family, payload), &[fragment_header(offset, more)]),
    }
}

fn fragment_header(offset: u16, more: bool) -> (IpNumber, Vec<u8>) {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    (FRAGMENT, vec![0, 0, high, low, 1, 2, 3, 4])
}

fn options(number: u8) -> (IpNumber, Vec<u8>) {
    (IpNumber(number), extension(IpNumber(0), 1))
}

/// That this was dropped as a container's.
fn dropped(vni: u32) -> (Verdict, BTreeMap<Event, u64>) {
    (Verdict::Drop, BTreeMap::from([(Event::Drop(vni, DropReason::VxlanFromContainer.name()), 1)]))
}

#[track_caller]
fn drops(kernel: &Kernel, frame: &[u8], vni: u32) {
    kernel.drops(HOOK, frame, vni, DropReason::VxlanFromContainer);
}

/// Runs the program; what it said, and what it counted.
fn run(kernel: &Kernel, frame: &[u8], meta: Meta) -> (Verdict, BTreeMap<Event, u64>) {
    let outcome = kernel.run_with(HOOK, frame, meta);
    (outcome.verdict, outcome.moved)
}

#[test]
fn vxlan_of_a_network_of_ours_without_the_mark_is_dropped() {
    let kernel = Kernel::scene();
    for family in Family::ALL {
        for vni in [VNI, OTHER_VNI, SECRET_VNI] {
            drops(&kernel, &forged(family, vni), vni);
        }
        // Its VXLAN header alone, too: what an external device makes of it is not known here.
        drops(&kernel, &datagram(family, &header(VNI)), VNI);
    }
}

#[test]
fn another_vni_and_what_is_no_vxlan_pass() {
    let kernel = Kernel::scene();
    for family in Family::ALL {
        for vni in [FOREIGN_VNI, 0, 0xff_ffff, VNI << 8] {
            kernel.passes(HOOK, &forged(family, vni));
        }
        for payload in [&b""[..], b"hello", b"a foreign service on this port"] {
            kernel.passes(HOOK, &datagram(family, payload));
        }
    }
}

#[test]
fn with_the_mark_it_passes() {
    let kernel = Kernel::scene();
    for family in Family::ALL {
        let run = |mark| run(&kernel, &forged(family, VNI), Meta { mark, ..Meta::default() });
        for place in [0, 1, 77, MAX_VTEPS - 1] {
            assert_eq!(run(to_vtep(place)), (Verdict::Pass, BTreeMap::new()), "place {place}");
        }
        for other in
            [1, 0x4000, 0x8000, UNDERLAY_MARK - 1, UNDERLAY_MARK + MAX_VTEPS, !UNDERLAY_MARK, u32::MAX]
        {
            assert_eq!(run(other), dropped(VNI), "mark {other:x}");
        }
    }
}

#[test]
fn what_from_container_sends_has_the_mark() {
    let kernel = Kernel::scene();
    for (station, place) in [(REMOTE, 0), (REMOTE_V6, 6)] {
        for frame in each_kind(&OWN, &station) {
            let sent = kernel.run(Hook::FromContainer, &frame);
            assert_eq!((sent.verdict, sent.mark), (Verdict::Redirect, to_vtep(place)));
            let meta = Meta { mark: sent.mark, ..Meta::default() };
            assert_eq!(kernel.run_with(HOOK, &sent.frame, meta).verdict, Verdict::Pass);
            drops(&kernel, &sent.frame, VNI);
            // What stays here has none.
            let mut local = frame.clone();
            local[..6].copy_from_slice(&LOCAL.mac.octets());
            assert_eq!(kernel.run(Hook::FromContainer, &local).mark, 0);
        }
    }
}

#[test]
fn reserved_bits_do_not_hide_it() {
    let kernel = Kernel::scene();
    for family in Family::ALL {
        let frame = forged(family, VNI);
        for (place, bit) in [0, 1, 2, 3, 7].into_iter().flat_map(|place| (0..8).map(move |bit| (place, bit)))
        {
            let mut other = frame.clone();
            other[family.vxlan() + place] ^= 1 << bit;
            if (place, bit) == (0, 3) {
                // Without the I flag there is no VNI.
                kernel.passes(HOOK, &other);
            } else {
                drops(&kernel, &other, VNI);
            }
        }
    }
}

#[test]
fn ip_options_do_not_hide_it() {
    let kernel = Kernel::scene();
    for words in 1..=10_u8 {
        let frame = packet_v4(&udp(40_000, UDP_PORT, &payload(VNI)), |ip| {
            let len = usize::from(words) * 4;
            ip.options = (&vec![1; len][..]).try_into().expect("whole words");
            ip.total_len += u16::from(words) * 4;
        });
        drops(&kernel, &frame, VNI);
    }
}

#[test]
fn extension_headers_do_not_hide_it() {
    let kernel = Kernel::scene();
    let [ours, foreign] = [VNI, FOREIGN_VNI].map(|vni| forged(Family::V6, vni));
    // Options of every hop, of the destination, a routing header, an atomic fragment.
    for headers in [
        vec![options(0)],
        vec![options(60)],
        vec![options(43)],
        vec![fragment_header(0, false)],
        vec![options(0), options(60), options(43), fragment_header(0, false)],
    ] {
        drops(&kernel, &extended(&ours, &headers), VNI);
        kernel.passes(HOOK, &extended(&foreign, &headers));
    }
    // What is behind more of them is not known, and nobody sends so many.
    let five = [options(60), options(60), options(60), options(60), options(60)];
    drops(&kernel, &extended(&ours, &five), 0);
    drops(&kernel, &extended(&foreign, &five), 0);
    kernel.passes(HOOK, &extended(&foreign, &five[..4]));
}

#[test]
fn a_first_fragment_does_not_hide_it_and_a_later_one_passes() {
    let kernel = Kernel::scene();
    for family in Family::ALL {
        let whole = payload(VNI);
        drops(&kernel, &fragment(family, &whole, 0, true), VNI);
        kernel.passes(HOOK, &fragment(family, &payload(FOREIGN_VNI), 0, true));
        for (offset, more) in [(8, true), (1448, false)] {
            kernel.passes(HOOK, &fragment(family, &whole, offset, more));
        }
        // The VXLAN header begins in the second fragment.
        for len in 0..8 {
            drops(&kernel, &fragment(family, &whole[..len], 0, true), 0);
            // Unfragmented, it is a short datagram that holds none.
            kernel.passes(HOOK, &datagram(family, &whole[..len]));
        }
    }
}

#[test]
fn a_first_fragment_that_ends_before_udp_is_dropped() {
    let kernel = Kernel::scene();
    let empty = datagram(Family::V6, b"");
    let udp_at = Family::V6.udp();
    // As long as without the fragment header, which is 8 bytes: those of UDP are missing.
    for len in 0..8 {
        drops(&kernel, &extended(&empty, &[fragment_header(0, true)])[..udp_at + len], 0);
    }
    let options = (OPTIONS, extension(IpNumber(0), 9));
    drops(&kernel, &extended(&empty, &[fragment_header(0, true), options])[..udp_at + 10], 0);
}

#[test]
fn a_segment_of_a_super_frame_does_not_hide_it() {
    let kernel = Kernel::scene();
    let segment = |vni| [header(vni), vec![0xc3; 92]].concat();
    let passed = (Verdict::Pass, BTreeMap::new());
    for family in Family::ALL {
        let run = |segments: &[u32], gso_size| {
            let payload: Vec<u8> = segments.iter().flat_map(|vni| segment(*vni)).collect();
            run(&kernel, &datagram(family, &payload), Meta { gso_size, ..Meta::default() })
        };
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
}

#[test]
fn what_is_not_udp_to_our_port_passes() {
    let kernel = Kernel::scene();
    for (family, another) in [(Family::V4, Family::V6), (Family::V6, Family::V4)] {
        let frame = forged(family, VNI);
        drops(&kernel, &frame, VNI);
        let with = |at: usize, bytes: &[u8]| {
            let mut other = frame.clone();
            other[at..at + bytes.len()].copy_from_slice(bytes);
            other
        };
        for port in [UDP_PORT - 1, UDP_PORT + 1, 8472, 0] {
            kernel.passes(HOOK, &with(family.udp() + 2, &port.to_be_bytes()));
        }
        // The last says that nothing follows IPv6.
        for number in [IpNumber::TCP, IpNumber::ICMP, IpNumber::IPV6_ICMP, IpNumber::UDP_LITE, IpNumber(59)] {
            kernel.passes(HOOK, &with(family.protocol(), &[number.0]));
        }
        for ethertype in [0x0806, another.ethertype(), 0x88b5] {
            kernel.passes(HOOK, &with(12, &ethertype.to_be_bytes()));
        }
        let mut tagged = frame.clone();
        tagged.splice(12..12, [0x81, 0x00, 0, 7]);
        kernel.passes(HOOK, &tagged);
        // From our port is not to it.
        kernel.passes(HOOK, &packet(family, &udp(UDP_PORT, 40_000, &header(VNI))));
    }
    kernel.passes(HOOK, &udp_v4(&OWN, &REMOTE));
    kernel.passes(HOOK, &udp_v6(&OWN, &REMOTE));
}

#[test]
fn without_a_configuration_everything_passes() {
    let kernel = Kernel::new();
    for family in Family::ALL {
        kernel.passes(HOOK, &forged(family, VNI));
    }
}
