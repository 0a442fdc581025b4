//! What is in the inner frame: none of it is the overlay's business, but neighbour discovery.

use overlay_common::DropReason::Malformed;

use etherparse::IpNumber;

use super::good;
use crate::{
    build::{eth, extension, fragment_offset, udp, v4_with, v6_with},
    case::Group,
    frame::{Family, Frame},
    inner::{datagram, four, message, segment, six},
    scene::{LOCAL, REMOTE, UDP_PORT, VNI},
};

/// The good inner frame with the byte at an offset of its IP header changed, whatever that makes of it.
fn edited(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    frame[14 + at] = value;
    frame
}

/// VXLAN in VXLAN: the container's own.
fn nested() -> Vec<u8> {
    let header = [&[8, 0, 0, 0][..], &(VNI << 8).to_be_bytes()].concat();
    udp(50_000, UDP_PORT, &[header, four(&REMOTE, &LOCAL, 17, &datagram())].concat())
}

pub(crate) fn packets_v4(family: Family) -> Group {
    let packet = |protocol, payload: &[u8]| four(&REMOTE, &LOCAL, protocol, payload);
    let udp_with = |edit: &dyn Fn(&mut etherparse::Ipv4Header)| {
        let packet = v4_with(REMOTE.v4, LOCAL.v4, IpNumber::UDP, &datagram(), edit);
        eth(LOCAL.mac, REMOTE.mac, 0x0800, &packet)
    };
    let fragment = |offset, more| {
        udp_with(&move |ip| {
            (ip.fragment_offset, ip.more_fragments, ip.dont_fragment) =
                (fragment_offset(offset), more, false);
        })
    };
    let plain = good(family).inner;
    let mut group = Group::new("inner IPv4", good(family))
        .carries("TCP", packet(6, &segment()))
        .carries("ICMP echo", packet(1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]))
        .carries("ICMP unreachable", packet(1, &[3, 3, 0xfc, 0xfc, 0, 0, 0, 0]))
        .carries("nested VXLAN of the same VNI", packet(17, &nested()));
    for (name, protocol) in
        [("IGMP", 2), ("IPv4 in it", 4), ("GRE", 47), ("ESP", 50), ("SCTP", 132), ("255", 255)]
    {
        group = group.carries(name, packet(protocol, &[0x3c; 24]));
    }
    group
        .carries("options", {
            udp_with(&|ip| {
                ip.options = [1, 1, 1, 0].into();
                ip.total_len += 4;
            })
        })
        .carries("first fragment", fragment(0, true))
        .carries("later fragment", fragment(1280, false))
        .carries("TTL 0", udp_with(&|ip| ip.time_to_live = 0))
        .carries("TTL 1", udp_with(&|ip| ip.time_to_live = 1))
        .carries("from broadcast", udp_with(&|ip| ip.source = [255; 4]))
        .carries("from its own address", udp_with(&|ip| ip.source = LOCAL.v4.octets()))
        .carries("to loopback", udp_with(&|ip| ip.destination = [127, 0, 0, 1]))
        .carries("wrong checksum", edited(plain.clone(), 10, 0x5a))
        .carries("version 5", edited(plain.clone(), 0, 0x55))
        .carries("header of 16 bytes", edited(plain.clone(), 0, 0x44))
        .carries("header longer than the packet", edited(plain.clone(), 0, 0x4f))
        .carries("length 0", edited(edited(plain.clone(), 2, 0), 3, 0))
        .carries("length 65535", edited(edited(plain, 2, 0xff), 3, 0xff))
        .carries("UDP length 0", edited(packet(17, &datagram()), 20 + 5, 0))
        .carries("no payload", packet(17, &[]))
}

pub(crate) fn packets_v6(family: Family) -> Group {
    let packet = |next, payload: &[u8]| six(&REMOTE, &LOCAL, next, payload);
    let behind = |headers: &[Vec<u8>], payload: &[u8]| [&headers.concat()[..], payload].concat();
    let options = |next: u8, len| extension(IpNumber(next), len);
    let edited = |at: usize, value| edited(packet(17, &datagram()), at, value);
    let udp_with = |edit: &dyn Fn(&mut etherparse::Ipv6Header)| {
        let packet = v6_with(REMOTE.v6, LOCAL.v6, IpNumber::UDP, &datagram(), edit);
        eth(LOCAL.mac, REMOTE.mac, 0x86dd, &packet)
    };
    let mut group = Group::new("inner IPv6", Frame::new(family, packet(17, &datagram())))
        .carries("TCP", packet(6, &segment()))
        .carries("ICMPv6 echo", message(&REMOTE, &LOCAL, 128, &[0; 8]))
        .carries("ICMPv6 packet too big", message(&REMOTE, &LOCAL, 2, &[0, 0, 5, 0]))
        .carries("router advertisement to one station", message(&REMOTE, &LOCAL, 134, &[0; 12]))
        .carries("nested VXLAN of the same VNI", packet(17, &nested()));
    for (name, next) in
        [("IPv4 in it", 4), ("IPv6 in it", 41), ("GRE", 47), ("nothing", 59), ("SCTP", 132), ("255", 255)]
    {
        group = group.carries(name, packet(next, &[0x3c; 24]));
    }
    let five = [options(60, 0), options(60, 0), options(60, 0), options(60, 0), options(17, 0)];
    group
        .carries("hop-by-hop options, UDP", packet(0, &behind(&[options(17, 0)], &datagram())))
        .carries("destination options, TCP", packet(60, &behind(&[options(6, 1)], &segment())))
        .carries("first fragment, UDP", packet(44, &behind(&[vec![17, 0, 0, 1, 0, 0, 0, 7]], &datagram())))
        .carries("later fragment", packet(44, &behind(&[vec![17, 0, 5, 0, 0, 0, 0, 7]], &datagram())))
        .carries("four extension headers, UDP", packet(60, &behind(&five[1..], &datagram())))
        .refuses("five extension headers", Malformed, packet(60, &behind(&five, &datagram())))
        .kernel("neighbours: malformed")
        .refuses("extension header past the end", Malformed, packet(60, &[17, 200]))
        .kernel("neighbours: malformed")
        .refuses("ICMPv6 without a type", Malformed, packet(58, &[]))
        .kernel("neighbours: malformed")
        .carries("hop limit 0", udp_with(&|ip| ip.hop_limit = 0))
        .carries("a flow label", udp_with(&|ip| ip.flow_label = 0x000a_bcde.try_into().expect("20 bits")))
        .carries("from its own address", udp_with(&|ip| ip.source = LOCAL.v6.octets()))
        .carries("to a group, to one station", udp_with(&|ip| ip.destination[0] = 0xff))
        .carries("version 4, UDP", edited(0, 0x40))
        .carries("length 0", edited(5, 0))
        .carries("length 65535", edited(4, 0xff))
        .carries("no payload", packet(17, &[]))
}

pub(crate) fn sizes(family: Family) -> Group {
    let mut group = Group::new("inner size", good(family));
    for length in [0, 1, 18, 100, 1000, 1394, 1422, 2000, 4000, 8000] {
        let data = udp(1000, 2000, &vec![0xc3; length]);
        group = group
            .carries(format!("{length} B of UDP over IPv4"), four(&REMOTE, &LOCAL, 17, &data))
            .carries(format!("{length} B of UDP over IPv6"), six(&REMOTE, &LOCAL, 17, &data));
    }
    group.carries("8000 B, not IP", eth(LOCAL.mac, REMOTE.mac, 0x88b5, &vec![0x3c; 8000]))
}
