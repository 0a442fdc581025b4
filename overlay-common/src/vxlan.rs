//! The outer header: the template of a VTEP, and what encapsulation fills in per packet.

use core::net::Ipv4Addr;

use network_types::{ip::Ipv4Hdr, udp::UdpHdr, vxlan::VxlanHdr};

use crate::{
    Ip16, MacAddr,
    header::{Eth, ethertype, protocol},
    map::map_type,
};

/// Bytes that encapsulation adds in front of an inner frame over IPv4: Ethernet, IPv4, UDP, VXLAN.
pub const OVERHEAD_V4: usize = 14 + 20 + 8 + 8;
/// What encapsulation takes from the underlay's MTU over IPv4: all but the outer Ethernet header, plus the inner one.
pub const MTU_COST_V4: u16 = 20 + 8 + 8 + 14;
/// What encapsulation takes from the underlay's MTU over IPv6.
pub const MTU_COST_V6: u16 = 40 + 8 + 8 + 14;
/// Bytes of `Vtep::outer`: enough for an outer header over IPv6, in whole words.
const TEMPLATE: usize = 72;
/// The I flag: the VNI is valid (RFC 7348 section 5).
pub const FLAG_VNI: u8 = 0x08;
/// TTL of outer headers, as the kernel's default for tunnels it is told nothing else about.
const TTL: u8 = 64;
/// Don't fragment: a VTEP must not fragment (RFC 7348 section 4.3).
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

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

const _: () = assert!(size_of::<OuterV4>() == OVERHEAD_V4);

map_type! {
    /// The value of `VTEPS`, an array: how frames travel to one VTEP.
    pub struct Vtep {
        /// Outer header but for lengths, TOS, UDP source port and VNI. Its IPv4 checksum field holds the folded,
        /// not complemented sum of the rest of the header.
        outer: [u8; TEMPLATE],
        /// Address of the next hop.
        next_hop: Ip16,
        /// The VTEP's address.
        pub addr: Ip16,
        /// Interface index of the device that leads there, host order.
        pub ifindex: u32,
        /// Bits of `Vtep::ROUTED`, `Vtep::NEXT_HOP_MAC`, `Vtep::EXTERNAL`.
        pub flags: u32,
    } size 112, align 8
}

/// The way to a VTEP over the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Interface index of the device, host order.
    pub ifindex: u32,
    /// Address of the next hop: a gateway, or the VTEP itself.
    pub next_hop: Ipv4Addr,
    /// MAC address of the device.
    pub src_mac: MacAddr,
    /// MAC address of the next hop, where it is known.
    pub dst_mac: Option<MacAddr>,
}

impl Vtep {
    /// Flag: the underlay has a route there.
    pub const ROUTED: u32 = 1;
    /// Flag: the template holds the next hop's MAC address.
    pub const NEXT_HOP_MAC: u32 = 2;
    /// Flag: no programs of ours are there, so nobody has checked what its stations claim.
    pub const EXTERNAL: u32 = 4;
    /// A free place of the array.
    pub const EMPTY: Self =
        Self { outer: [0; TEMPLATE], next_hop: Ip16::ZERO, addr: Ip16::ZERO, ifindex: 0, flags: 0 };

    /// A VTEP over IPv4; `udp_port` in host order. Without a route its frames are dropped.
    pub fn v4(local: Ipv4Addr, remote: Ipv4Addr, udp_port: u16, route: Option<Route>) -> Self {
        let addr = Ip16::v4(remote.octets());
        let Some(route) = route else { return Self { addr, ..Self::EMPTY } };
        let mut ip = Ipv4Hdr {
            vihl: 0x45,
            tos: 0,
            tot_len: [0; 2],
            id: [0; 2],
            frags: DONT_FRAGMENT,
            ttl: TTL,
            proto: protocol::UDP,
            check: [0; 2],
            src_addr: local.octets(),
            dst_addr: remote.octets(),
        };
        ip.check = fold(sum(&ipv4_bytes(&ip))).to_be_bytes();
        let mut outer = [0; TEMPLATE];
        outer[..6].copy_from_slice(&route.dst_mac.unwrap_or(MacAddr::ZERO).octets());
        outer[6..12].copy_from_slice(&route.src_mac.octets());
        outer[12..14].copy_from_slice(&ethertype::IPV4);
        outer[14..34].copy_from_slice(&ipv4_bytes(&ip));
        outer[36..38].copy_from_slice(&udp_port.to_be_bytes());
        outer[42] = FLAG_VNI;
        let mac_flag = if route.dst_mac.is_some() { Self::NEXT_HOP_MAC } else { 0 };
        Self {
            outer,
            next_hop: Ip16::v4(route.next_hop.octets()),
            addr,
            ifindex: route.ifindex,
            flags: Self::ROUTED | mac_flag,
        }
    }

    /// The next hop's IPv4 address in the order of the wire.
    #[inline(always)]
    pub const fn next_hop_v4(&self) -> [u8; 4] {
        let ip = self.next_hop.octets();
        [ip[12], ip[13], ip[14], ip[15]]
    }

    /// The next hop's address.
    pub const fn next_hop(&self) -> Ip16 {
        self.next_hop
    }

    /// Source and destination MAC addresses of the outer header.
    pub const fn macs(&self) -> (MacAddr, MacAddr) {
        let o = &self.outer;
        (
            MacAddr::new([o[6], o[7], o[8], o[9], o[10], o[11]]),
            MacAddr::new([o[0], o[1], o[2], o[3], o[4], o[5]]),
        )
    }

    /// Whether the underlay leads there.
    #[inline(always)]
    pub const fn is_routed(&self) -> bool {
        self.flags & Self::ROUTED != 0
    }

    /// The outer header of one frame.
    ///
    /// `vni` in host order, `inner_len` the inner frame's length in bytes with its Ethernet header, `tos` the inner
    /// TOS or traffic class (RFC 6040 section 4.1, normal mode: copied), `src_port` big-endian.
    #[inline(always)]
    pub fn outer_v4(&self, vni: u32, inner_len: u16, tos: u8, src_port: [u8; 2]) -> OuterV4 {
        let o = &self.outer;
        let ip_len = inner_len + (MTU_COST_V4 - 14);
        let base = u32::from(u16::from_be_bytes([o[24], o[25]]));
        let check = !fold(base + u32::from(tos) + u32::from(ip_len));
        let [_, v0, v1, v2] = vni.to_be_bytes();
        let (src, dst) = self.macs();
        OuterV4 {
            eth: Eth { dst, src, ethertype: ethertype::IPV4 },
            ip: Ipv4Hdr {
                vihl: 0x45,
                tos,
                tot_len: ip_len.to_be_bytes(),
                id: [0; 2],
                frags: DONT_FRAGMENT,
                ttl: TTL,
                proto: protocol::UDP,
                check: check.to_be_bytes(),
                src_addr: [o[26], o[27], o[28], o[29]],
                dst_addr: [o[30], o[31], o[32], o[33]],
            },
            udp: UdpHdr {
                src: src_port,
                dst: [o[36], o[37]],
                len: (ip_len - 20).to_be_bytes(),
                // A checksum of 0 is what RFC 7348 section 5 recommends over IPv4.
                check: [0; 2],
            },
            vxlan: VxlanHdr { flags: FLAG_VNI, _reserved1: [0; 3], vni: [v0, v1, v2], _reserved2: 0 },
        }
    }
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

    fn vtep() -> Vtep {
        let route = Route {
            ifindex: 7,
            next_hop: Ipv4Addr::new(10, 88, 0, 254),
            src_mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
            dst_mac: Some(MacAddr::new([2, 0, 0, 0, 0, 2])),
        };
        Vtep::v4(Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2), 4789, Some(route))
    }

    #[test]
    fn outer_header_is_what_rfc_7348_says() {
        let outer = vtep().outer_v4(0x0012_3456, 98, 0xb9, 50_000_u16.to_be_bytes());
        assert_eq!(outer.eth.dst, MacAddr::new([2, 0, 0, 0, 0, 2]));
        assert_eq!(outer.eth.src, MacAddr::new([2, 0, 0, 0, 0, 1]));
        assert_eq!((outer.ip.vihl, outer.ip.tos, outer.ip.ttl, outer.ip.proto), (0x45, 0xb9, 64, 17));
        assert_eq!(outer.ip.frags, [0x40, 0]);
        assert_eq!(outer.ip.id, [0, 0]);
        assert_eq!(u16::from_be_bytes(outer.ip.tot_len), 98 + 36);
        assert_eq!(u16::from_be_bytes(outer.udp.len), 98 + 16);
        assert_eq!(u16::from_be_bytes(outer.udp.dst), 4789);
        assert_eq!(outer.udp.check, [0, 0]);
        assert_eq!(outer.vxlan.vni, [0x12, 0x34, 0x56]);
        assert_eq!(vni(&outer.vxlan), Some(0x0012_3456));
        assert!(ipv4_checksum_holds(&outer.ip));
    }

    #[test]
    fn checksum_holds_for_every_length_and_tos() {
        let vtep = vtep();
        for len in (14..65_499).step_by(97) {
            for tos in [0, 1, 2, 3, 0xff] {
                assert!(ipv4_checksum_holds(&vtep.outer_v4(42, len, tos, [0xc0, 0]).ip), "{len} {tos}");
            }
        }
        let mut broken = vtep.outer_v4(42, 100, 0, [0xc0, 0]).ip;
        broken.ttl -= 1;
        assert!(!ipv4_checksum_holds(&broken));
    }

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
    fn without_a_route_a_vtep_is_not_routed() {
        let vtep = Vtep::v4(Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 88, 0, 2), 4789, None);
        assert!(!vtep.is_routed());
        assert_eq!(vtep.addr.to_ip(), Ipv4Addr::new(10, 88, 0, 2));
    }
}
