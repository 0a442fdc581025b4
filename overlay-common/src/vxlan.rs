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
    use crate::header::Header as _;

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

    #[test]
    fn an_inner_packet_of_the_inner_mtu_fills_the_underlays() {
        for (vtep, outer) in [("10.88.0.2", 20 + 8 + 8), ("fd88::2", 40 + 8 + 8)] {
            let vtep = vtep.parse().expect("an address");
            for inner_header in [Ipv4Hdr::LEN, Ipv6Hdr::LEN] {
                for underlay in [1280, 1500, 9000, u16::MAX] {
                    let payload = usize::from(inner_mtu(vtep, underlay)) - inner_header;
                    // What the outer IP packet holds: its header, UDP, VXLAN, and the inner frame.
                    assert_eq!(outer + Eth::LEN + inner_header + payload, usize::from(underlay));
                    assert_eq!(overhead(vtep), Eth::LEN + outer);
                }
            }
            assert_eq!(inner_mtu(vtep, 60 - 20), 0);
        }
    }
}
