//! What a sender is told of a packet that the underlay cannot carry.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use etherparse::{Icmpv4Type, Icmpv6Type, IpNumber, NetSlice, SlicedPacket, TransportSlice, icmpv4};
use overlay_common::{
    Counter, DropReason,
    icmp::{QUOTE_V4, QUOTE_V6},
    map::Net,
};

use crate::{
    frames::{eth, extension, icmpv6 as icmpv6_message, not_ip, udp, v4_with, v6},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    scene::{INNER_MTU, OTHER_VNI, OWN, REMOTE, VNI},
};

/// One byte too many.
const LONG: usize = INNER_MTU as usize + 1;

/// A packet of `len` bytes between two endpoints.
fn packet_v4(
    protocol: IpNumber,
    start: &[u8],
    len: usize,
    edit: impl FnOnce(&mut etherparse::Ipv4Header),
) -> Vec<u8> {
    let mut payload = start.to_vec();
    payload.extend((start.len()..len - 20).map(|n| n as u8));
    let edit = |header: &mut etherparse::Ipv4Header| {
        header.dont_fragment = true;
        edit(header);
    };
    eth(REMOTE.mac, OWN.mac, 0x0800, &v4_with(OWN.v4, REMOTE.v4, protocol, &payload, edit))
}

fn packet_v6(protocol: IpNumber, start: &[u8], len: usize) -> Vec<u8> {
    let mut payload = start.to_vec();
    payload.extend((start.len()..len - 40).map(|n| n as u8));
    eth(REMOTE.mac, OWN.mac, 0x86dd, &v6(OWN.v6, REMOTE.v6, protocol, &payload))
}

/// Asserts that a frame is dropped as too big and that its sender is told; what it is told.
#[track_caller]
fn answer(kernel: &Kernel, frame: &[u8], gso_size: u32) -> Vec<u8> {
    let outcome = kernel.run_with(Hook::FromContainer, frame, Meta { gso_size, ..Meta::default() });
    let expected = BTreeMap::from([
        (Event::Count(Counter::TooBigAnswered.name()), 1),
        (Event::Drop(VNI, DropReason::TooBig.name()), 1),
    ]);
    assert_eq!((outcome.verdict, outcome.moved), (Verdict::Redirect, expected));
    assert_eq!((&outcome.frame[..6], &outcome.frame[6..12]), (&frame[6..12], &frame[..6]));
    outcome.frame
}

#[track_caller]
fn assert_answer_v4(answer: &[u8], frame: &[u8], from: Ipv4Addr) {
    let sliced = SlicedPacket::from_ethernet(answer).expect("a frame");
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(message))) = (&sliced.net, &sliced.transport)
    else {
        panic!("no ICMP: {answer:02x?}");
    };
    let header = ip.header().to_header();
    assert_eq!((header.source, header.destination), (from.octets(), OWN.v4.octets()));
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let needed = icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: INNER_MTU };
    assert_eq!(message.icmp_type(), Icmpv4Type::DestinationUnreachable(needed));
    assert_eq!(message.payload(), &frame[14..14 + QUOTE_V4]);
    let right = message.icmp_type().calc_checksum(message.payload());
    assert_eq!(message.checksum(), right);
}

#[track_caller]
fn assert_answer_v6(answer: &[u8], frame: &[u8], from: Ipv6Addr) {
    let sliced = SlicedPacket::from_ethernet(answer).expect("a frame");
    let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(message))) = (&sliced.net, &sliced.transport)
    else {
        panic!("no ICMPv6: {answer:02x?}");
    };
    let header = ip.header().to_header();
    assert_eq!((header.source, header.destination), (from.octets(), OWN.v6.octets()));
    assert_eq!(message.icmp_type(), Icmpv6Type::PacketTooBig { mtu: u32::from(INNER_MTU) });
    assert_eq!(message.payload(), &frame[14..14 + QUOTE_V6]);
    let right = message.icmp_type().calc_checksum(header.source, header.destination, message.payload());
    assert_eq!(Ok(message.checksum()), right);
}

#[test]
fn the_sender_is_told_how_much_the_underlay_carries() {
    let kernel = Kernel::scene();
    let datagram = udp(1, 2, &[]);
    for len in [LONG, LONG + 1, 3000] {
        let frame = packet_v4(IpNumber::UDP, &datagram, len, |_| {});
        assert_answer_v4(&answer(&kernel, &frame, 0), &frame, REMOTE.v4);
        let frame = packet_v6(IpNumber::UDP, &datagram, len);
        assert_answer_v6(&answer(&kernel, &frame, 0), &frame, REMOTE.v6);
    }
    kernel.sends(&packet_v4(IpNumber::UDP, &datagram, LONG - 1, |_| {}));
    kernel.sends(&packet_v6(IpNumber::UDP, &datagram, LONG - 1));
}

#[test]
fn the_networks_gateway_of_the_family_tells_it_where_there_is_one() {
    let mut kernel = Kernel::scene();
    let (v4, v6) = (Ipv4Addr::new(10, 1, 0, 254), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe));
    let datagram = udp(1, 2, &[]);
    let four = packet_v4(IpNumber::UDP, &datagram, LONG, |_| {});
    let six = packet_v6(IpNumber::UDP, &datagram, LONG);
    for (gateway_v4, gateway_v6) in [(None, None), (Some(v4), None), (None, Some(v6)), (Some(v4), Some(v6))] {
        kernel.nets.insert(VNI, Net::new(0).with_gateways(gateway_v4, gateway_v6), 0).expect("NETS");
        assert_answer_v4(&answer(&kernel, &four, 0), &four, gateway_v4.unwrap_or(REMOTE.v4));
        assert_answer_v6(&answer(&kernel, &six, 0), &six, gateway_v6.unwrap_or(REMOTE.v6));
    }
    // Another network's gateways are none of this one's; nor does it need to be known to be answered for.
    kernel.nets.insert(OTHER_VNI, Net::new(0).with_gateways(Some(v4), Some(v6)), 0).expect("NETS");
    kernel.nets.remove(&VNI).expect("NETS");
    assert_answer_v4(&answer(&kernel, &four, 0), &four, REMOTE.v4);
    assert_answer_v6(&answer(&kernel, &six, 0), &six, REMOTE.v6);
}

#[test]
fn of_a_super_frame_the_longest_segment_counts_with_its_headers() {
    let kernel = Kernel::scene();
    // TCP with 12 bytes of options.
    let mut tcp = [0; 32];
    tcp[12] = 8 << 4;
    let refused = |frame: &[u8], gso_size: u32| {
        let outcome = kernel.run_with(Hook::FromContainer, frame, Meta { gso_size, ..Meta::default() });
        outcome.moved.contains_key(&Event::Drop(VNI, DropReason::TooBig.name()))
    };
    let mtu = u32::from(INNER_MTU);
    let (v4, v6) = (packet_v4(IpNumber::TCP, &tcp, 3000, |_| {}), packet_v6(IpNumber::TCP, &tcp, 3000));
    for (frame, headers) in [(&v4, 20 + 32), (&v6, 40 + 32)] {
        assert!(!refused(frame, mtu - headers));
        assert!(refused(frame, mtu - headers + 1));
    }
    assert_answer_v4(&answer(&kernel, &v4, mtu - 51), &v4, REMOTE.v4);
    assert_answer_v6(&answer(&kernel, &v6, mtu - 71), &v6, REMOTE.v6);
}

#[test]
fn nobody_is_told_who_did_not_ask_or_must_not_be() {
    let kernel = Kernel::scene();
    let datagram = udp(1, 2, &[]);
    let untold = [
        packet_v4(IpNumber::UDP, &datagram, LONG, |header| header.dont_fragment = false),
        packet_v4(IpNumber::UDP, &datagram, LONG, |header| header.more_fragments = true),
        // Errors are not answered with errors.
        packet_v4(IpNumber::ICMP, &[3, 4, 0, 0, 0, 0, 0, 0], LONG, |_| {}),
        packet_v4(IpNumber::ICMP, &[11, 0, 0, 0, 0, 0, 0, 0], LONG, |_| {}),
        packet_v6(IpNumber::IPV6_ICMP, &icmpv6_message(OWN.v6, REMOTE.v6, 1, &[0; 4]), LONG),
        packet_v4(IpNumber::UDP, &datagram, LONG, |header| header.destination = [239, 1, 1, 1]),
        [not_ip(&OWN, &REMOTE), vec![0; LONG]].concat(),
    ];
    for frame in untold {
        kernel.refuses(&frame, DropReason::TooBig);
    }
    // Echo requests are.
    let frame = packet_v4(IpNumber::ICMP, &[8, 0, 0, 0, 0, 0, 0, 0], LONG, |_| {});
    assert_answer_v4(&answer(&kernel, &frame, 0), &frame, REMOTE.v4);
    let behind =
        [extension(IpNumber::IPV6_ICMP, 0), icmpv6_message(OWN.v6, REMOTE.v6, 128, &[0; 4])].concat();
    let frame = packet_v6(IpNumber::IPV6_DESTINATION_OPTIONS, &behind, LONG);
    assert_answer_v6(&answer(&kernel, &frame, 0), &frame, REMOTE.v6);
}
