//! What a container's frame looks like on its way over IPv6.

use std::collections::BTreeMap;

use etherparse::{Ethernet2Header, IpNumber, Ipv6Header, UdpHeader};
use overlay_common::{
    Counter, DropReason, MacAddr,
    map::{Fdb, MAX_VTEPS},
    mark::to_vtep,
    vxlan::Vtep,
};

use crate::{
    frames::{each_kind, eth, not_ip, read, udp, v4, v4_with, v6_with},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    scene::{
        DEVICE_MAC, INNER_MTU, INNER_MTU_V6, OUR_VTEP_V6, OUTER_DST, OUTER_SRC, OWN, REMOTE, REMOTE_V6,
        Station, UDP_PORT, VNI, VTEP_V6,
    },
    size::of_length,
};

/// Asserts that a frame is an inner one behind an outer header over IPv6; the UDP source port.
#[track_caller]
fn check(frame: &[u8], inner: &[u8], tos: u8) -> u16 {
    let (eth, rest) = Ethernet2Header::from_slice(frame).expect("an Ethernet header");
    let (ip, rest) = Ipv6Header::from_slice(rest).expect("an IPv6 header");
    let (udp, rest) = UdpHeader::from_slice(rest).expect("a UDP header");
    let len = u16::try_from(inner.len() + 16).expect("a short frame");
    let is_ip = inner[12..14] == [8, 0] || inner[12..14] == [0x86, 0xdd];
    let dst = if is_ip { OUTER_DST } else { MacAddr::ZERO };
    assert_eq!((eth.source, eth.destination, eth.ether_type.0), (OUTER_SRC.octets(), dst.octets(), 0x86dd));
    let expected = Ipv6Header {
        traffic_class: tos,
        flow_label: etherparse::Ipv6FlowLabel::ZERO,
        payload_length: len,
        next_header: IpNumber::UDP,
        hop_limit: 64,
        source: OUR_VTEP_V6.octets(),
        destination: VTEP_V6.octets(),
    };
    assert_eq!(ip, expected);
    assert_eq!((udp.destination_port, udp.length, udp.checksum), (UDP_PORT, len, 0));
    assert!(udp.source_port >= 49_152);
    assert_eq!(rest[..8], [&[8, 0, 0, 0][..], &(VNI << 8).to_be_bytes()].concat());
    assert_eq!(&rest[8..], inner);
    udp.source_port
}

#[test]
fn a_frame_of_each_kind_and_length_is_encapsulated_whole() {
    let kernel = Kernel::scene();
    for len in [48, 49, 50, 63, 64, 65, 127, 1279, 1280, 1281, 1429, 1430] {
        for frame in of_length(&REMOTE_V6, len) {
            check(&kernel.sends(&frame), &frame, 0);
        }
    }
}

#[test]
fn the_traffic_class_is_the_inner_one() {
    let kernel = Kernel::scene();
    for tos in 0..=255_u8 {
        let four = v4_with(OWN.v4, REMOTE_V6.v4, IpNumber::UDP, &udp(1, 2, b"x"), |ip| {
            ip.dscp = (tos >> 2).try_into().expect("6 bits");
            ip.ecn = (tos & 3).try_into().expect("2 bits");
        });
        let six = v6_with(OWN.v6, REMOTE_V6.v6, IpNumber::UDP, &udp(1, 2, b"x"), |ip| {
            ip.traffic_class = tos;
            ip.flow_label = 0x000a_bcde.try_into().expect("20 bits");
        });
        for frame in [eth(REMOTE_V6.mac, OWN.mac, 0x0800, &four), eth(REMOTE_V6.mac, OWN.mac, 0x86dd, &six)] {
            check(&kernel.sends(&frame), &frame, tos);
        }
    }
}

#[test]
fn the_source_port_is_that_of_the_flow_whatever_the_underlay() {
    let kernel = Kernel::scene();
    for port in [1, 1000, 40_000] {
        let frame = |to: &Station| {
            eth(to.mac, OWN.mac, 0x0800, &v4(OWN.v4, REMOTE.v4, IpNumber::UDP, &udp(port, 2, b"x")))
        };
        let over_v6 = check(&kernel.sends(&frame(&REMOTE_V6)), &frame(&REMOTE_V6), 0);
        assert_eq!(over_v6, read(&kernel.sends(&frame(&REMOTE))).udp.source_port);
    }
}

#[test]
fn one_byte_more_than_the_way_carries_is_too_big() {
    let kernel = Kernel::scene();
    for frame in of_length(&REMOTE_V6, usize::from(INNER_MTU_V6)) {
        assert_eq!(kernel.sends(&frame).len(), 70 + 14 + usize::from(INNER_MTU_V6));
    }
    for frame in of_length(&REMOTE_V6, usize::from(INNER_MTU_V6) + 1) {
        kernel.refuses(&frame, DropReason::TooBig);
    }
    // To a VTEP over IPv4 the way of the same node carries more.
    for frame in of_length(&REMOTE, usize::from(INNER_MTU)) {
        kernel.sends(&frame);
    }
}

#[test]
fn of_a_super_frame_the_segments_count() {
    let kernel = Kernel::scene();
    let [frame, _, other] = of_length(&REMOTE_V6, 3000);
    let moved = |frame: &[u8], gso_size| {
        kernel.run_with(Hook::FromContainer, frame, Meta { gso_size, ..Meta::default() }).moved
    };
    // With the smallest headers. The kernel cannot grow the super-frame of a test run.
    let limit = u32::from(INNER_MTU_V6) - 28;
    let once = |reason: DropReason| BTreeMap::from([(Event::Drop(VNI, reason.name()), 1)]);
    assert_eq!(moved(&frame, limit), once(DropReason::KernelRefused));
    assert_eq!(moved(&frame, limit + 1), once(DropReason::TooBig));
    assert_eq!(moved(&other, 10), once(DropReason::TooBig));
}

#[test]
fn a_frame_that_comes_back_goes_where_its_outer_header_says() {
    let mut kernel = Kernel::scene();
    let back = kernel.run(Hook::FromContainer, &not_ip(&OWN, &REMOTE_V6));
    let again = |kernel: &Kernel, mark| {
        let outcome = kernel.run_with(Hook::FromContainer, &back.frame, Meta { mark, ..Meta::default() });
        (outcome.verdict, outcome.moved.into_keys().collect::<Vec<_>>())
    };
    let sent = (Verdict::Redirect, vec![Event::Count(Counter::ToUnderlay.name())]);
    let dropped = (Verdict::Drop, vec![Event::Drop(VNI, DropReason::NoRoute.name())]);
    assert_eq!(back.mark, to_vtep(6));
    assert_eq!(again(&kernel, back.mark), sent);
    for place in [0, 1, 2, 3, MAX_VTEPS - 1] {
        assert_eq!(again(&kernel, to_vtep(place)), dropped, "place {place}");
    }
    kernel.vteps.set(6, Vtep::EMPTY, 0).expect("VTEPS");
    assert_eq!(again(&kernel, back.mark), dropped);
}

#[test]
fn what_one_node_sends_the_other_delivers() {
    let kernel = Kernel::scene();
    let mut there = Kernel::scene();
    // The other node: it is at the remote VTEP, and the endpoint is its own.
    let config = overlay_common::map::NodeConfig::new((None, Some(VTEP_V6)), 9, UDP_PORT);
    there.config.set(0, config, 0).expect("CONFIG");
    there.set_fdb(VNI, REMOTE_V6.mac, Fdb::local(77));
    let ours = overlay_common::map::MemberKey::new(VNI, std::net::IpAddr::from(OUR_VTEP_V6).into());
    let member = overlay_common::map::Member { flags: 0, slice: overlay_common::map::Slice::NONE };
    there.members.insert(ours, member, 0).expect("MEMBERS");
    for frame in each_kind(&OWN, &REMOTE_V6) {
        let mut wire = kernel.sends(&frame);
        wire[..6].copy_from_slice(&DEVICE_MAC.octets());
        assert_eq!(there.delivers(&wire), frame);
    }
}
