//! The VXLAN header, IPv4's checksum, and the outer headers that a template gives.

use network_types::{ip::Ipv4Hdr, vxlan::VxlanHdr};
use overlay_common::{
    MacAddr, Vni,
    vxlan::{self, Route, Vtep},
};

use crate::inputs::{internet_sum, pairs, single_bytes};

fn header(b: [u8; 8]) -> VxlanHdr {
    VxlanHdr { flags: b[0], _reserved1: [b[1], b[2], b[3]], vni: [b[4], b[5], b[6]], _reserved2: b[7] }
}

/// RFC 7348 section 5: RRRR1RRR, 24 bits reserved, 24 of the VNI, 8 reserved.
fn check_vxlan(bytes: [u8; 8]) {
    let word = u64::from_be_bytes(bytes);
    let vni = (word >> 8) as u32 & 0x00ff_ffff;
    let expected = (word & !(0x00ff_ffff << 8) == 0x0800_0000_0000_0000).then_some(vni);
    assert_eq!(vxlan::vni(&header(bytes)), expected, "{bytes:?}");
    assert_eq!(vxlan::vni_of(&header(bytes)), vni);
    let checked = Vni::from_be_bytes([bytes[4], bytes[5], bytes[6]]);
    assert_eq!(checked.map(Vni::get), Some(vni).filter(|vni| *vni != 0));
    assert_eq!(Vni::new(vni).ok(), checked);
    assert!(checked.is_none_or(|checked| checked.to_be_bytes() == bytes[4..7]));
}

#[test]
fn a_vxlan_header_that_differs_in_one_or_two_bytes() {
    for good in [[8, 0, 0, 0, 0, 0, 42, 0], [8, 0, 0, 0, 0xff, 0xff, 0xff, 0], [0; 8], [0xff; 8]] {
        single_bytes(good).for_each(check_vxlan);
        pairs(good).for_each(check_vxlan);
    }
}

#[test]
fn a_vni_of_any_two_bytes() {
    for low in 0..=u16::MAX {
        let [a, b] = low.to_be_bytes();
        check_vxlan([8, 0, 0, 0, 0, a, b, 0]);
        check_vxlan([8, 0, 0, 0, a, b, 0, 0]);
        check_vxlan([a, 0, 0, 0, 0, 0, 42, b]);
    }
    for beyond in [0, 0x0100_0000, 0x0100_0001, u32::MAX] {
        assert_eq!(Vni::new(beyond).map_err(|error| error.0), Err(beyond));
    }
}

fn ipv4(b: [u8; 20]) -> Ipv4Hdr {
    Ipv4Hdr {
        vihl: b[0],
        tos: b[1],
        tot_len: [b[2], b[3]],
        id: [b[4], b[5]],
        frags: [b[6], b[7]],
        ttl: b[8],
        proto: b[9],
        check: [b[10], b[11]],
        src_addr: [b[12], b[13], b[14], b[15]],
        dst_addr: [b[16], b[17], b[18], b[19]],
    }
}

fn check_sum(bytes: [u8; 20]) {
    assert_eq!(vxlan::ipv4_checksum_holds(&ipv4(bytes)), internet_sum(&bytes) == 0xffff, "{bytes:?}");
}

#[test]
fn a_checksum_holds_where_rfc_1071_says() {
    let mut good = [0x45, 0, 0, 60, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 88, 0, 1, 10, 88, 0, 2];
    let sum = !internet_sum(&good);
    good[10..12].copy_from_slice(&sum.to_be_bytes());
    assert!(vxlan::ipv4_checksum_holds(&ipv4(good)), "the control");
    for good in [good, [0; 20], [0xff; 20]] {
        single_bytes(good).for_each(check_sum);
        pairs(good).for_each(check_sum);
    }
    for value in 0..=u16::MAX {
        good[10..12].copy_from_slice(&value.to_be_bytes());
        check_sum(good);
    }
}

#[test]
fn every_length_of_a_frame_has_the_lengths_and_the_checksum_that_belong_to_it() {
    let next_hop = "10.88.0.254".parse().expect("an address");
    let mac = MacAddr::new([2, 0, 0, 0, 0, 1]);
    let route = Route { ifindex: 7, next_hop, src_mac: mac, dst_mac: None, inner_mtu: 1450 };
    let four = Vtep::v4([10, 88, 0, 1].into(), [10, 88, 0, 2].into(), 4789, route);
    let (local, remote) = ("fd88::1".parse().expect("IPv6"), "fd88::2".parse().expect("IPv6"));
    let six = Vtep::v6(local, remote, 4789, route);
    // The outer IP header has 16 bits for all of it.
    for inner in 0..=u16::MAX - 36 {
        let tos = inner as u8;
        let outer = four.outer_v4(42, inner, tos, [0xc0, 0]);
        assert_eq!(u32::from(u16::from_be_bytes(outer.ip.tot_len)), u32::from(inner) + 20 + 8 + 8);
        assert_eq!(u32::from(u16::from_be_bytes(outer.udp.len)), u32::from(inner) + 8 + 8);
        assert!(vxlan::ipv4_checksum_holds(&outer.ip), "{inner}");
        let outer = six.outer_v6(42, inner, tos, [0xc0, 0]);
        assert_eq!(u32::from(u16::from_be_bytes(outer.ip.payload_len)), u32::from(inner) + 8 + 8);
        let class = u16::from_be_bytes([outer.ip.vcf[0], outer.ip.vcf[1]]) >> 4;
        assert_eq!(class, 0x600 | u16::from(tos));
    }
}
