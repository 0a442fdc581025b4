//! Congestion marks of the underlay reach the container (RFC 6040).

use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header};
use overlay_common::DropReason;

use crate::{
    frames::{eth, udp, v4_with, v6_with, vxlan_v6_with, vxlan_with},
    harness::Kernel,
    scene::{LOCAL, REMOTE, VNI, VTEP, VTEP_V6},
};

/// Row: inner mark, columns: outer mark (0 none, 1 ECT(1), 2 ECT(0), 3 congestion), as in figure 4 of the RFC;
/// the mark that the container sees, or none where the frame is dropped.
const FIGURE_4: [[Option<u8>; 4]; 4] = [
    [Some(0), Some(0), Some(0), None],
    [Some(1), Some(1), Some(1), Some(3)],
    [Some(2), Some(1), Some(2), Some(3)],
    [Some(3), Some(3), Some(3), Some(3)],
];

fn marked(tos: u8) -> (IpDscp, IpEcn) {
    (IpDscp::try_new(tos >> 2).expect("6 bits"), IpEcn::try_new(tos & 3).expect("2 bits"))
}

fn four(tos: u8) -> Vec<u8> {
    let packet = v4_with(REMOTE.v4, LOCAL.v4, IpNumber::UDP, &udp(1, 2, b"payload"), |ip| {
        (ip.dscp, ip.ecn) = marked(tos);
    });
    eth(LOCAL.mac, REMOTE.mac, 0x0800, &packet)
}

fn six(tos: u8) -> Vec<u8> {
    let packet = v6_with(REMOTE.v6, LOCAL.v6, IpNumber::UDP, &udp(1, 2, b"payload"), |ip| {
        ip.traffic_class = tos;
        ip.flow_label = 0x000a_bcde.try_into().expect("20 bits");
    });
    eth(LOCAL.mac, REMOTE.mac, 0x86dd, &packet)
}

/// An inner frame in an outer packet of this TOS or traffic class.
type Outer = fn(&[u8], u8) -> Vec<u8>;

fn over_v4(inner: &[u8], tos: u8) -> Vec<u8> {
    vxlan_with(VTEP, VNI, inner, |ip| (ip.dscp, ip.ecn) = marked(tos))
}

fn over_v6(inner: &[u8], tos: u8) -> Vec<u8> {
    vxlan_v6_with(VTEP_V6, VNI, inner, |ip| ip.traffic_class = tos)
}

fn arrives_as_figure_4_says(build: fn(u8) -> Vec<u8>, outer_packet: Outer) {
    let kernel = Kernel::scene();
    for dscp in [0x00, 0xb8, 0xfc] {
        for (inner, row) in FIGURE_4.iter().enumerate() {
            for (outer, expected) in row.iter().enumerate() {
                let mark = |ecn: usize| dscp | u8::try_from(ecn).expect("2 bits");
                // The outer DSCP differs: it says nothing about the inner one.
                let frame = outer_packet(&build(mark(inner)), 0x48 | mark(outer) & 3);
                match expected {
                    // Built anew with the mark: so the checksum is right and nothing else has changed.
                    Some(ecn) => assert_eq!(kernel.delivers(&frame), build(dscp | ecn), "{inner} {outer}"),
                    None => kernel.rejects(&frame, VNI, DropReason::CeNotEct),
                }
            }
        }
    }
}

#[test]
fn inner_ipv4_is_marked_as_figure_4_says() {
    arrives_as_figure_4_says(four, over_v4);
    arrives_as_figure_4_says(four, over_v6);
}

#[test]
fn inner_ipv6_is_marked_as_figure_4_says() {
    arrives_as_figure_4_says(six, over_v4);
    arrives_as_figure_4_says(six, over_v6);
}

#[test]
fn a_wrong_inner_checksum_stays_wrong() {
    let kernel = Kernel::scene();
    let mut inner = four(2);
    inner[24] ^= 0x5a;
    let frame = vxlan_with(VTEP, VNI, &inner, |ip| (ip.dscp, ip.ecn) = marked(3));
    let delivered = kernel.delivers(&frame);
    let (ip, _) = Ipv4Header::from_slice(&delivered[14..]).expect("an IPv4 header");
    assert_ne!(ip.header_checksum, ip.calc_header_checksum());
}

#[test]
fn a_frame_that_is_not_ip_takes_any_mark() {
    let kernel = Kernel::scene();
    let inner = crate::frames::not_ip(&REMOTE, &LOCAL);
    for outer in 0..4 {
        let frame = vxlan_with(VTEP, VNI, &inner, |ip| (ip.dscp, ip.ecn) = marked(outer));
        assert_eq!(kernel.delivers(&frame), inner);
    }
}
