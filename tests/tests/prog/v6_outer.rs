//! Outer headers over IPv6: what is followed, what does not hold, and whose it is.

use etherparse::{IpEcn, IpNumber};
use overlay_common::DropReason::{
    Malformed, NotEncrypted, OuterFragment, SpoofedMac, UnknownVni, UnknownVtep, VtepNotInVni,
};
use overlay_tests::Family;

use crate::{
    frames::{
        EXPERIMENTAL, OUTER_IP, each_kind, eth, extended, extension, not_ip, shortest, udp, udp_v4, udp_v6,
        v6, vxlan_v6, vxlan_v6_with,
    },
    harness::{Hook, Kernel, family_is_told},
    scene::{
        DEVICE_MAC, DUAL, DUAL_VTEP_V6, FOREIGN_VNI, LOCAL, OTHER_VNI, OUR_VTEP_V6, OUTER_DST, REMOTE,
        REMOTE_V6, SECRET_VNI, SHORTEST_V6, UDP_PORT, VNI, VTEP_V6,
    },
};

/// Offsets without extension headers.
const UDP: usize = Family::V6.udp();
const VXLAN: usize = Family::V6.vxlan();
const INNER: usize = Family::V6.inner();
const HOP_BY_HOP: IpNumber = IpNumber(0);
const ROUTING: IpNumber = IpNumber(43);
const FRAGMENT: IpNumber = IpNumber(44);
const OPTIONS: IpNumber = IpNumber(60);

/// A VXLAN packet that is delivered, and the programs that do.
fn good() -> (Kernel, Vec<u8>) {
    let kernel = Kernel::scene();
    let frame = vxlan_v6(VTEP_V6, VNI, &udp_v4(&REMOTE_V6, &LOCAL));
    kernel.delivers(&frame);
    (kernel, frame)
}

/// Options, or another header of their form, of `8 * (len + 1)` bytes.
fn options(number: IpNumber, len: u8) -> (IpNumber, Vec<u8>) {
    (number, extension(IpNumber(0), len))
}

/// A fragment header.
fn fragment(offset: u16, more: bool) -> (IpNumber, Vec<u8>) {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    (FRAGMENT, vec![0, 0, high, low, 1, 2, 3, 4])
}

fn set(frame: &[u8], at: usize, value: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
    frame
}

#[test]
fn the_inner_frame_is_delivered_as_it_was() {
    let kernel = Kernel::scene();
    for inner in each_kind(&REMOTE_V6, &LOCAL) {
        let frame = vxlan_v6(VTEP_V6, VNI, &inner);
        assert_eq!(kernel.delivers(&frame), inner);
        for padding in [1, 18, 300] {
            assert_eq!(kernel.delivers(&[&frame[..], &vec![0xee; padding]].concat()), inner);
        }
    }
    for len in [0, 1, 2, 101, 1402, 3001] {
        let inner =
            eth(LOCAL.mac, REMOTE_V6.mac, 0x86dd, &v6(REMOTE_V6.v6, LOCAL.v6, IpNumber::UDP, &vec![7; len]));
        assert_eq!(kernel.delivers(&vxlan_v6(VTEP_V6, VNI, &inner)), inner);
    }
}

#[test]
fn a_frame_that_is_not_ip_is_delivered_however_short() {
    let kernel = Kernel::scene();
    for len in 0..64 {
        let inner = eth(LOCAL.mac, REMOTE_V6.mac, EXPERIMENTAL, &vec![0xc3; len]);
        // The kernel leaves no less than an IPv6 header behind Ethernet; zeros fill it up.
        let mut expected = inner.clone();
        expected.resize(inner.len().max(14 + 40), 0);
        let frame = vxlan_v6(VTEP_V6, VNI, &inner);
        assert_eq!(kernel.delivers(&frame), expected, "{len} bytes");
        assert_eq!(kernel.delivers(&[&frame[..], &[0xee; 40]].concat()), expected, "{len} bytes, padded");
    }
}

#[test]
fn up_to_four_extension_headers_are_followed() {
    let kernel = Kernel::scene();
    for inner in each_kind(&REMOTE_V6, &LOCAL) {
        let frame = vxlan_v6(VTEP_V6, VNI, &inner);
        for headers in [
            vec![options(HOP_BY_HOP, 0)],
            vec![options(OPTIONS, 0)],
            vec![options(OPTIONS, 3)],
            vec![options(HOP_BY_HOP, 1), options(OPTIONS, 2)],
            vec![fragment(0, false)],
            vec![options(HOP_BY_HOP, 0), options(OPTIONS, 0), fragment(0, false), options(OPTIONS, 0)],
        ] {
            let extended = extended(&frame, &headers);
            assert_eq!(kernel.delivers(&extended), inner, "{headers:?}");
            assert_eq!(kernel.delivers(&[&extended[..], &[0xee; 20]].concat()), inner, "{headers:?}, padded");
        }
        let more = [options(HOP_BY_HOP, 0), options(OPTIONS, 0), options(OPTIONS, 0), fragment(0, false)];
        kernel.delivers(&extended(&frame, &more));
        kernel.rejects(&extended(&frame, &[&more[..], &[options(OPTIONS, 0)]].concat()), 0, Malformed);
    }
}

#[test]
fn a_second_fragment_header_is_malformed() {
    let (kernel, frame) = good();
    for between in [vec![], vec![options(OPTIONS, 0)]] {
        let headers = [&[fragment(0, false)][..], &between, &[fragment(0, false)]].concat();
        kernel.rejects(&extended(&frame, &headers), 0, Malformed);
        kernel.delivers(&extended(&frame, &headers[1..]));
    }
}

#[test]
fn a_routing_header_and_options_of_every_hop_out_of_place_are_malformed() {
    let (kernel, frame) = good();
    kernel.rejects(&extended(&frame, &[options(ROUTING, 0)]), 0, Malformed);
    kernel.rejects(&extended(&frame, &[options(OPTIONS, 0), options(ROUTING, 2)]), 0, Malformed);
    kernel.rejects(&extended(&frame, &[options(OPTIONS, 0), options(HOP_BY_HOP, 0)]), 0, Malformed);
    kernel.delivers(&extended(&frame, &[options(HOP_BY_HOP, 0), options(OPTIONS, 0)]));
    // To another port they are the host's.
    let other = set(&frame, UDP + 2, UDP_PORT + 1);
    kernel.passes(Hook::FromUnderlay, &extended(&other, &[options(ROUTING, 0)]));
}

#[test]
fn a_fragment_is_dropped_and_a_later_one_is_the_hosts() {
    let (kernel, frame) = good();
    kernel.rejects(&extended(&frame, &[fragment(0, true)]), 0, OuterFragment);
    kernel.rejects(&extended(&frame, &[options(OPTIONS, 0), fragment(0, true)]), 0, OuterFragment);
    for more in [false, true] {
        kernel.passes(Hook::FromUnderlay, &extended(&frame, &[fragment(8, more)]));
        kernel.passes(Hook::FromUnderlay, &extended(&frame, &[fragment(0xfff8, more)]));
    }
    // Bits that mean nothing.
    let (number, mut header) = fragment(0, false);
    (header[1], header[3]) = (0xff, 0x06);
    kernel.delivers(&extended(&frame, &[(number, header)]));
}

#[test]
fn what_is_not_ours_passes() {
    let (kernel, frame) = good();
    kernel.passes(Hook::FromUnderlay, &set(&frame, UDP + 2, UDP_PORT + 1));
    for protocol in [IpNumber::TCP, IpNumber::IPV6_ICMP, IpNumber(59), IpNumber(50), IpNumber(51)] {
        let mut other = frame.clone();
        other[OUTER_IP + 6] = protocol.0;
        kernel.passes(Hook::FromUnderlay, &other);
        kernel.passes(Hook::FromUnderlay, &extended(&other, &[options(OPTIONS, 0)]));
    }
    let others = ["::", "ff02::1", "::ffff:10.88.0.1", "::1"].map(|to| to.parse().expect("an address"));
    for to in others.into_iter().chain([VTEP_V6]) {
        let mut other = frame.clone();
        other[OUTER_IP + 24..OUTER_IP + 40].copy_from_slice(&to.octets());
        kernel.passes(Hook::FromUnderlay, &other);
    }
    let mut another_host = frame.clone();
    another_host[0] = 0x06;
    kernel.passes(Hook::FromUnderlay, &another_host);
    let mut tagged = frame.clone();
    tagged.splice(12..12, [0x81, 0x00, 0, 7]);
    kernel.passes(Hook::FromUnderlay, &tagged);
}

#[test]
fn a_node_without_an_address_over_ipv6_takes_none() {
    let (mut kernel, frame) = good();
    let config = overlay_common::map::NodeConfig::new((Some(crate::scene::OUR_VTEP), None), 9, UDP_PORT);
    kernel.config.set(0, config, 0).expect("CONFIG");
    kernel.passes(Hook::FromUnderlay, &frame);
    let mut to_none = frame;
    to_none[OUTER_IP + 24..OUTER_IP + 40].fill(0);
    kernel.passes(Hook::FromUnderlay, &to_none);
    // Nor does a node without one over IPv4.
    let four = crate::frames::vxlan(crate::scene::VTEP, VNI, &udp_v4(&REMOTE, &LOCAL));
    kernel.delivers(&four);
    let config = overlay_common::map::NodeConfig::new((None, Some(OUR_VTEP_V6)), 9, UDP_PORT);
    kernel.config.set(0, config, 0).expect("CONFIG");
    kernel.passes(Hook::FromUnderlay, &four);
}

#[test]
fn lengths_must_hold() {
    let (kernel, frame) = good();
    let payload = u16::try_from(frame.len() - UDP).expect("a short frame");
    for wrong in [0, 8, payload - 1, payload + 1, payload + 1000, u16::MAX] {
        kernel.rejects(&set(&frame, OUTER_IP + 4, wrong), 0, Malformed);
    }
    for wrong in (1..8 + 8 + 14).chain([payload + 1, payload + 8, u16::MAX]) {
        kernel.rejects(&set(&frame, UDP + 4, wrong), 0, Malformed);
    }
    // A length of zero is that of the packet.
    kernel.delivers(&set(&frame, UDP + 4, 0));
    let empty = set(&frame[..UDP + 8 + 8 + 13], UDP + 4, 0);
    kernel.rejects(&set(&empty, OUTER_IP + 4, 8 + 8 + 13), 0, Malformed);
    // A datagram shorter than its packet cuts the inner frame, as the kernel's vxlan device does.
    let inner = udp_v4(&REMOTE_V6, &LOCAL);
    for cut in 1..u16::try_from(inner.len()).expect("a short frame") - 14 - 20 {
        let short = set(&frame, UDP + 4, payload - cut);
        let mut expected = inner[..inner.len() - usize::from(cut)].to_vec();
        if !family_is_told() {
            // The zeros it is filled up with stand where its end was.
            expected.resize(inner.len().min(SHORTEST_V6), 0);
        }
        assert_eq!(kernel.delivers(&short), expected);
    }
    // With extension headers, too.
    let longer = extended(&frame, &[options(OPTIONS, 1)]);
    kernel.rejects(&set(&longer, OUTER_IP + 4, payload + 15), 0, Malformed);
    kernel.delivers(&longer);
}

#[test]
fn a_frame_cut_short_anywhere_is_not_delivered() {
    let kernel = Kernel::scene();
    for inner in each_kind(&REMOTE_V6, &LOCAL) {
        let frame = vxlan_v6(VTEP_V6, VNI, &inner);
        for frame in [frame.clone(), extended(&frame, &[options(HOP_BY_HOP, 0), fragment(0, false)])] {
            for len in shortest(&frame)..frame.len() {
                kernel.rejects(&frame[..len], 0, Malformed);
            }
            assert_eq!(kernel.delivers(&frame), inner);
        }
    }
}

#[test]
fn another_version_and_a_mapped_source_are_malformed() {
    let (kernel, frame) = good();
    for version in (0..16).filter(|version| *version != 6) {
        let mut bad = frame.clone();
        bad[OUTER_IP] = version << 4;
        kernel.rejects(&bad, 0, Malformed);
    }
    // It would pass for the VTEP over IPv4.
    let mapped = crate::scene::VTEP.to_ipv6_mapped();
    kernel.rejects(&vxlan_v6(mapped, VNI, &udp_v4(&REMOTE, &LOCAL)), 0, Malformed);
    kernel.delivers(&crate::frames::vxlan(crate::scene::VTEP, VNI, &udp_v4(&REMOTE, &LOCAL)));
}

#[test]
fn any_flag_or_reserved_bit_besides_the_vni_flag_is_malformed() {
    let (kernel, frame) = good();
    for bit in (0..32).chain(56..64) {
        let mut bad = frame.clone();
        bad[VXLAN + bit / 8] ^= 0x80 >> (bit % 8);
        kernel.rejects(&bad, 0, Malformed);
    }
}

#[test]
fn what_else_the_outer_header_says_does_not_matter() {
    let (kernel, frame) = good();
    let inner = udp_v4(&REMOTE_V6, &LOCAL);
    for hop_limit in [0, 1, 255] {
        let frame = vxlan_v6_with(VTEP_V6, VNI, &inner, |ip| {
            ip.hop_limit = hop_limit;
            ip.flow_label = 0x000f_ffff.try_into().expect("20 bits");
            ip.traffic_class = 0xfc;
        });
        assert_eq!(kernel.delivers(&frame), inner);
    }
    // A checksum is not verified: the inner frame has its own.
    kernel.delivers(&set(&frame, UDP + 6, 0x5a5a));
    kernel.delivers(&set(&frame, UDP, 4789));
}

#[test]
fn a_sender_must_be_a_member() {
    let (kernel, _) = good();
    let inner = udp_v6(&REMOTE_V6, &LOCAL);
    let stranger = "fd88::66".parse().expect("an address");
    for from in [stranger, OUR_VTEP_V6, std::net::Ipv6Addr::UNSPECIFIED] {
        kernel.rejects(&vxlan_v6(from, VNI, &inner), 0, UnknownVtep);
    }
    kernel.rejects(&vxlan_v6(VTEP_V6, OTHER_VNI, &inner), OTHER_VNI, VtepNotInVni);
    kernel.rejects(&vxlan_v6(VTEP_V6, FOREIGN_VNI, &inner), 0, UnknownVni);
    kernel.rejects(&vxlan_v6(VTEP_V6, SECRET_VNI, &inner), SECRET_VNI, NotEncrypted);
    assert_eq!(kernel.delivers(&vxlan_v6(VTEP_V6, VNI, &inner)), inner);
}

#[test]
fn a_node_may_send_from_its_other_address() {
    let kernel = Kernel::scene();
    for inner in each_kind(&DUAL, &LOCAL) {
        assert_eq!(kernel.delivers(&vxlan_v6(DUAL_VTEP_V6, VNI, &inner)), inner);
        assert_eq!(kernel.delivers(&crate::frames::vxlan(crate::scene::DUAL_VTEP, VNI, &inner)), inner);
    }
    // Of ARP the station must be behind the VTEP.
    let answer = |from: &crate::scene::Station| {
        eth(LOCAL.mac, from.mac, 0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 2][..], &[7; 32]].concat())
    };
    assert_eq!(kernel.delivers(&vxlan_v6(DUAL_VTEP_V6, VNI, &answer(&DUAL))), answer(&DUAL));
    kernel.rejects(&vxlan_v6(DUAL_VTEP_V6, VNI, &answer(&REMOTE_V6)), VNI, SpoofedMac);
    kernel.rejects(&vxlan_v6(VTEP_V6, VNI, &answer(&DUAL)), VNI, SpoofedMac);
    assert_eq!(kernel.delivers(&vxlan_v6(VTEP_V6, VNI, &answer(&REMOTE_V6))), answer(&REMOTE_V6));
}

#[test]
fn a_frame_that_is_not_ip_takes_any_mark() {
    let kernel = Kernel::scene();
    let inner = not_ip(&REMOTE_V6, &LOCAL);
    for ecn in [IpEcn::ZERO, IpEcn::ONE, IpEcn::TWO, IpEcn::THREE] {
        let frame = vxlan_v6_with(VTEP_V6, VNI, &inner, |ip| ip.traffic_class = ecn.value());
        assert_eq!(kernel.delivers(&frame), inner);
    }
}

#[test]
fn udp_to_our_address_whose_port_cannot_be_read_is_malformed() {
    let kernel = Kernel::scene();
    for len in 0..8 {
        let packet = v6(VTEP_V6, OUR_VTEP_V6, IpNumber::UDP, &udp(50_000, UDP_PORT, b"")[..len]);
        kernel.rejects(&eth(DEVICE_MAC, OUTER_DST, 0x86dd, &packet), 0, Malformed);
    }
    let packet = v6(VTEP_V6, OUR_VTEP_V6, IpNumber::UDP, &udp(50_000, UDP_PORT + 1, b""));
    kernel.passes(Hook::FromUnderlay, &eth(DEVICE_MAC, OUTER_DST, 0x86dd, &packet));
    assert_eq!(INNER, 70);
}
