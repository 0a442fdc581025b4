//! The outer header: what encapsulation puts in front of an inner frame, and what it costs.

mod vtep;

use core::net::IpAddr;

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};

pub use self::vtep::{Route, Vtep};
use crate::header::Eth;

/// The I flag: the VNI is valid (RFC 7348 section 5).
pub const FLAG_VNI: u8 = 0x08;

/// The outer header over IPv4.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OuterV4 {
    /// Outer Ethernet header.
    pub eth: Eth,
    /// Outer IPv4 header, without options.
    pub ip: Ipv4Hdr,
    /// Outer UDP header.
    pub udp: UdpHdr,
    /// VXLAN header.
    pub vxlan: VxlanHdr,
}

/// The outer header over IPv6.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OuterV6 {
    /// Outer Ethernet header.
    pub eth: Eth,
    /// Outer IPv6 header, without extension headers.
    pub ip: Ipv6Hdr,
    /// Outer UDP header.
    pub udp: UdpHdr,
    /// VXLAN header.
    pub vxlan: VxlanHdr,
}

/// Bytes that encapsulation adds to a frame on its way to this VTEP, whatever the frame is.
///
/// So much less than the underlay's MTU an inner IP packet may have: the outer Ethernet header is not counted in an
/// MTU, and the inner one is.
pub const fn overhead(vtep: IpAddr) -> usize {
    if vtep.is_ipv4() { size_of::<OuterV4>() } else { size_of::<OuterV6>() }
}

/// The longest inner IP packet that an underlay of this MTU carries to a VTEP.
pub const fn inner_mtu(vtep: IpAddr, underlay: u16) -> u16 {
    underlay.saturating_sub(overhead(vtep) as u16)
}

/// Longest inner frame whose outer lengths still fit 16 bits: 65535 less outer IPv4, UDP and VXLAN headers. Over IPv6,
/// whose length does not count its own header, it would be 20 bytes more.
pub const MAX_INNER: usize = u16::MAX as usize - (size_of::<OuterV4>() - size_of::<Eth>());

/// The VNI of a VXLAN header in host order; `None` where a flag or reserved bit is not as RFC 7348 section 5 has it.
///
/// Reserved bits are to be ignored by that section; the kernel's vxlan device drops them, and so do we: they
/// belong to extensions (group policy, other payloads) that we do not speak.
#[inline(always)]
pub const fn vni(header: &VxlanHdr) -> Option<u32> {
    let [a, b, c] = header._reserved1;
    if header.flags != FLAG_VNI || (a | b | c | header._reserved2) != 0 {
        return None;
    }
    Some(vni_of(header))
}

/// What stands in the place of the VNI, in host order, whatever the flags say of it.
#[inline(always)]
pub const fn vni_of(header: &VxlanHdr) -> u32 {
    let [a, b, c] = header.vni;
    u32::from_be_bytes([0, a, b, c])
}

/// Whether the checksum of an IPv4 header without options holds (RFC 791 section 3.1).
#[inline(always)]
pub fn ipv4_checksum_holds(header: &Ipv4Hdr) -> bool {
    fold(sum(&ipv4_bytes(header))) == 0xffff
}

/// An IPv4 header as bytes.
#[inline(always)]
const fn ipv4_bytes(ip: &Ipv4Hdr) -> [u8; 20] {
    let ([l0, l1], [i0, i1], [f0, f1], [c0, c1]) = (ip.tot_len, ip.id, ip.frags, ip.check);
    let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (ip.src_addr, ip.dst_addr);
    [ip.vihl, ip.tos, l0, l1, i0, i1, f0, f1, ip.ttl, ip.proto, c0, c1, s0, s1, s2, s3, d0, d1, d2, d3]
}

/// The sum of big-endian 16-bit words, not folded (RFC 1071).
#[inline(always)]
pub(crate) const fn sum<const N: usize>(bytes: &[u8; N]) -> u32 {
    let mut total = 0;
    let mut at = 0;
    while at + 1 < N {
        total += u32::from_be_bytes([0, 0, bytes[at], bytes[at + 1]]);
        at += 2;
    }
    total
}

/// Folds a sum into 16 bits (RFC 1071).
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MacAddr, header::Header as _};

    #[test]
    fn a_flag_missing_or_reserved_bit_set_is_no_vni() {
        let good = VxlanHdr { flags: 8, _reserved1: [0; 3], vni: [0, 0, 42], _reserved2: 0 };
        assert_eq!(vni(&good), Some(42));
        assert_eq!(vni(&VxlanHdr { flags: 0, ..good }), None);
        for bit in 0..8 {
            assert_eq!(vni(&VxlanHdr { flags: 8 ^ (1 << bit), ..good }), None, "flag {bit}");
            assert_eq!(vni(&VxlanHdr { _reserved2: 1 << bit, ..good }), None, "low {bit}");
            for byte in 0..3 {
                let mut reserved = [0; 3];
                reserved[byte] = 1 << bit;
                assert_eq!(vni(&VxlanHdr { _reserved1: reserved, ..good }), None, "{byte} {bit}");
            }
        }
    }

    /// Length of the outer IP packet that the template of a VTEP makes of an inner IP packet.
    fn outer_len(vtep: IpAddr, inner: u16) -> usize {
        let route = Route { ifindex: 1, next_hop: vtep, src_mac: MacAddr::ZERO, dst_mac: None, inner_mtu: 0 };
        let frame = Eth::LEN as u16 + inner;
        match vtep {
            IpAddr::V4(remote) => {
                let outer =
                    Vtep::v4([10, 88, 0, 1].into(), remote, 4789, route).outer_v4(42, frame, 0, [0; 2]);
                usize::from(u16::from_be_bytes(outer.ip.tot_len))
            }
            IpAddr::V6(remote) => {
                let outer = Vtep::v6(remote, remote, 4789, route).outer_v6(42, frame, 0, [0; 2]);
                Ipv6Hdr::LEN + usize::from(u16::from_be_bytes(outer.ip.payload_len))
            }
        }
    }

    #[test]
    fn overhead_is_outer_ip_udp_vxlan_and_inner_ethernet() {
        for (vtep, expected) in [("10.88.0.2", 20 + 8 + 8 + 14), ("fd88::2", 40 + 8 + 8 + 14)] {
            assert_eq!(overhead(vtep.parse().expect("an address")), expected, "{vtep}");
        }
    }

    #[test]
    fn the_longest_inner_packet_fills_an_underlay_of_any_mtu_over_each_family() {
        for (vtep, taken) in [("10.88.0.2", 50), ("fd88::2", 70)] {
            let vtep: IpAddr = vtep.parse().expect("an address");
            // From the shortest inner packet to the longest whose outer lengths are numbers of 16 bits.
            for underlay in taken + 1..=u16::MAX {
                let inner = inner_mtu(vtep, underlay);
                assert_eq!(inner, underlay - taken);
                assert_eq!(outer_len(vtep, inner), usize::from(underlay), "{vtep}, {underlay}");
            }
            for underlay in 0..=taken {
                assert_eq!(inner_mtu(vtep, underlay), 0, "{vtep}, {underlay}");
            }
        }
    }

    #[test]
    fn what_an_inner_packet_carries_follows_from_both_families() {
        // Underlay's MTU, VTEP, inner header, bytes behind it.
        for (underlay, vtep, header, expected) in [
            (1500, "10.88.0.2", Ipv4Hdr::LEN, 1430),
            (1500, "10.88.0.2", Ipv6Hdr::LEN, 1410),
            (1500, "fd88::2", Ipv4Hdr::LEN, 1410),
            (1500, "fd88::2", Ipv6Hdr::LEN, 1390),
            (9000, "10.88.0.2", Ipv4Hdr::LEN, 8930),
            (9000, "10.88.0.2", Ipv6Hdr::LEN, 8910),
            (9000, "fd88::2", Ipv4Hdr::LEN, 8910),
            (9000, "fd88::2", Ipv6Hdr::LEN, 8890),
            (1350, "fd88::2", Ipv6Hdr::LEN, 1240),
        ] {
            let inner = usize::from(inner_mtu(vtep.parse().expect("an address"), underlay));
            assert_eq!(inner - header, expected, "{underlay}, {vtep}, {header}");
        }
    }

    #[test]
    fn the_longest_inner_frame_has_outer_lengths_of_16_bits() {
        let longest = (MAX_INNER - Eth::LEN) as u16;
        assert_eq!((MAX_INNER, outer_len([10, 88, 0, 2].into(), longest)), (65_499, 65_535));
        assert_eq!(longest, inner_mtu([10, 88, 0, 2].into(), u16::MAX));
    }
}
