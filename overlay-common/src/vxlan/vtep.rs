//! The template of a VTEP, and what encapsulation fills in per packet.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};

use super::{FLAG_VNI, OuterV4, OuterV6, fold, ipv4_bytes, sum};
use crate::{
    Ip16, MacAddr,
    header::{Eth, ethertype, protocol},
    map::map_type,
};

/// Bytes of `Vtep::outer`: enough for an outer header over IPv6, in whole words.
const TEMPLATE: usize = 72;
/// TTL or hop limit of outer headers, as the kernel's default for tunnels it is told nothing else about.
const TTL: u8 = 64;
/// Don't fragment: a VTEP must not fragment (RFC 7348 section 4.3).
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];
/// Of UDP over IPv4 as RFC 7348 section 5 recommends; over IPv6 as RFC 6935 and RFC 6936 allow tunnels.
const NO_CHECKSUM: [u8; 2] = [0; 2];

const _: () = assert!(size_of::<OuterV4>() == 50 && size_of::<OuterV6>() == 70);

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
        /// The other address of the node that it is of, which it may send from; zero where it has none.
        pub other: Ip16,
        /// Interface index of the device that leads there, host order.
        pub ifindex: u32,
        /// Bits of `Vtep::ROUTED`, `Vtep::NEXT_HOP_MAC`, `Vtep::EXTERNAL`, `Vtep::V6`.
        pub flags: u16,
        /// Longest inner IP packet that the way there carries, in bytes, host order.
        pub inner_mtu: u16,
    } size 128, align 8
}

/// The way to a VTEP over the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Interface index of the device, host order.
    pub ifindex: u32,
    /// Address of the next hop: a gateway, or the VTEP itself.
    pub next_hop: IpAddr,
    /// MAC address of the device.
    pub src_mac: MacAddr,
    /// MAC address of the next hop, where it is known.
    pub dst_mac: Option<MacAddr>,
    /// Longest inner IP packet that it carries, in bytes.
    pub inner_mtu: u16,
}

impl Vtep {
    /// Flag: the underlay has a route there.
    pub const ROUTED: u16 = 1;
    /// Flag: the template holds the next hop's MAC address.
    pub const NEXT_HOP_MAC: u16 = 2;
    /// Flag: no programs of ours are there, so nobody has checked what its stations claim.
    pub const EXTERNAL: u16 = 4;
    /// Flag: the template is one over IPv6.
    pub const V6: u16 = 8;
    /// A free place of the array.
    pub const EMPTY: Self = Self::unrouted(Ip16::ZERO);

    /// A VTEP without a way to it: its frames are dropped.
    pub const fn unrouted(addr: Ip16) -> Self {
        Self {
            outer: [0; TEMPLATE],
            next_hop: Ip16::ZERO,
            addr,
            other: Ip16::ZERO,
            ifindex: 0,
            flags: 0,
            inner_mtu: 0,
        }
    }

    /// A VTEP over IPv4; `udp_port` in host order.
    pub fn v4(local: Ipv4Addr, remote: Ipv4Addr, udp_port: u16, route: Route) -> Self {
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
        let mut vtep = Self::routed(Ip16::v4(remote.octets()), ethertype::IPV4, route);
        vtep.outer[14..34].copy_from_slice(&ipv4_bytes(&ip));
        vtep.outer[36..38].copy_from_slice(&udp_port.to_be_bytes());
        vtep.outer[42] = FLAG_VNI;
        vtep
    }

    /// A VTEP over IPv6; `udp_port` in host order.
    pub fn v6(local: Ipv6Addr, remote: Ipv6Addr, udp_port: u16, route: Route) -> Self {
        let mut vtep = Self::routed(Ip16::v6(remote.octets()), ethertype::IPV6, route);
        vtep.flags |= Self::V6;
        vtep.outer[14] = 0x60;
        vtep.outer[20..22].copy_from_slice(&[protocol::UDP, TTL]);
        vtep.outer[22..38].copy_from_slice(&local.octets());
        vtep.outer[38..54].copy_from_slice(&remote.octets());
        vtep.outer[56..58].copy_from_slice(&udp_port.to_be_bytes());
        vtep.outer[62] = FLAG_VNI;
        vtep
    }

    /// A VTEP with a way to it, and of its template the Ethernet header.
    fn routed(addr: Ip16, ethertype: [u8; 2], route: Route) -> Self {
        let mut vtep = Self {
            next_hop: route.next_hop.into(),
            ifindex: route.ifindex,
            flags: Self::ROUTED,
            inner_mtu: route.inner_mtu,
            ..Self::unrouted(addr)
        };
        if let Some(mac) = route.dst_mac {
            vtep.outer[..6].copy_from_slice(&mac.octets());
            vtep.flags |= Self::NEXT_HOP_MAC;
        }
        vtep.outer[6..12].copy_from_slice(&route.src_mac.octets());
        vtep.outer[12..14].copy_from_slice(&ethertype);
        vtep
    }

    /// The next hop's IPv4 address in the order of the wire.
    #[inline(always)]
    pub const fn next_hop_v4(&self) -> [u8; 4] {
        let ip = self.next_hop.octets();
        [ip[12], ip[13], ip[14], ip[15]]
    }

    /// The next hop's address.
    #[inline(always)]
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

    /// Whether it is reached over IPv6.
    #[inline(always)]
    pub const fn is_v6(&self) -> bool {
        self.flags & Self::V6 != 0
    }

    /// The outer header over IPv4 of one frame.
    ///
    /// `vni` in host order, `inner_len` the inner frame's length in bytes with its Ethernet header, `tos` the inner
    /// TOS or traffic class (RFC 6040 section 4.1, normal mode: copied), `src_port` big-endian.
    #[inline(always)]
    pub fn outer_v4(&self, vni: u32, inner_len: u16, tos: u8, src_port: [u8; 2]) -> OuterV4 {
        let o = &self.outer;
        let udp_len = inner_len + 8 + 8;
        let ip_len = udp_len + 20;
        let base = u32::from(u16::from_be_bytes([o[24], o[25]]));
        let check = !fold(base + u32::from(tos) + u32::from(ip_len));
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
            udp: udp(src_port, [o[36], o[37]], udp_len),
            vxlan: vxlan(vni),
        }
    }

    /// The outer header over IPv6 of one frame; the arguments are those of `outer_v4`.
    ///
    /// No flow label: the UDP source port tells flows apart, and the kernel's vxlan device sets none either.
    #[inline(always)]
    pub fn outer_v6(&self, vni: u32, inner_len: u16, tos: u8, src_port: [u8; 2]) -> OuterV6 {
        let o = &self.outer;
        let udp_len = inner_len + 8 + 8;
        let (src, dst) = self.macs();
        let (mut src_addr, mut dst_addr) = ([0; 16], [0; 16]);
        src_addr.copy_from_slice(&o[22..38]);
        dst_addr.copy_from_slice(&o[38..54]);
        OuterV6 {
            eth: Eth { dst, src, ethertype: ethertype::IPV6 },
            ip: Ipv6Hdr {
                vcf: [0x60 | tos >> 4, tos << 4, 0, 0],
                payload_len: udp_len.to_be_bytes(),
                next_hdr: protocol::UDP,
                hop_limit: TTL,
                src_addr,
                dst_addr,
            },
            udp: udp(src_port, [o[56], o[57]], udp_len),
            vxlan: vxlan(vni),
        }
    }
}

#[inline(always)]
const fn udp(src: [u8; 2], dst: [u8; 2], len: u16) -> UdpHdr {
    UdpHdr { src, dst, len: len.to_be_bytes(), check: NO_CHECKSUM }
}

#[inline(always)]
const fn vxlan(vni: u32) -> VxlanHdr {
    let [_, a, b, c] = vni.to_be_bytes();
    VxlanHdr { flags: FLAG_VNI, _reserved1: [0; 3], vni: [a, b, c], _reserved2: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vxlan::{ipv4_checksum_holds, vni};

    const SRC_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const DST_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

    fn route(next_hop: &str) -> Route {
        let next_hop = next_hop.parse().expect("an address");
        Route { ifindex: 7, next_hop, src_mac: SRC_MAC, dst_mac: Some(DST_MAC), inner_mtu: 1450 }
    }

    fn vtep() -> Vtep {
        let (local, remote) = (Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2));
        Vtep::v4(local, remote, 4789, route("10.88.0.254"))
    }

    #[test]
    fn outer_header_is_what_rfc_7348_says() {
        let outer = vtep().outer_v4(0x0012_3456, 98, 0xb9, 50_000_u16.to_be_bytes());
        assert_eq!((outer.eth.src, outer.eth.dst), (SRC_MAC, DST_MAC));
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
    fn outer_header_over_ipv6_is_that_of_rfc_8200() {
        let (local, remote) = ("fd88::1".parse().expect("IPv6"), "fd88::2".parse().expect("IPv6"));
        let vtep = Vtep::v6(local, remote, 4789, route("fe80::1"));
        assert!(vtep.is_v6() && vtep.is_routed());
        assert_eq!(vtep.next_hop(), Ip16::v6("fe80::1".parse::<Ipv6Addr>().expect("IPv6").octets()));
        let outer = vtep.outer_v6(0x0012_3456, 98, 0xb9, 50_000_u16.to_be_bytes());
        assert_eq!((outer.eth.src, outer.eth.dst), (SRC_MAC, DST_MAC));
        assert_eq!(outer.eth.ethertype, ethertype::IPV6);
        assert_eq!(outer.ip.vcf, [0x6b, 0x90, 0, 0]);
        assert_eq!((outer.ip.next_hdr, outer.ip.hop_limit), (17, 64));
        assert_eq!(u16::from_be_bytes(outer.ip.payload_len), 98 + 16);
        assert_eq!((outer.ip.src_addr, outer.ip.dst_addr), (local.octets(), remote.octets()));
        assert_eq!(u16::from_be_bytes(outer.udp.len), 98 + 16);
        assert_eq!((u16::from_be_bytes(outer.udp.dst), outer.udp.check), (4789, [0, 0]));
        assert_eq!(vni(&outer.vxlan), Some(0x0012_3456));
    }

    #[test]
    fn the_template_is_the_outer_header() {
        // What is filled in per packet lies where the template leaves room for it.
        let (local, remote) = (Ipv6Addr::LOCALHOST, "fd88::2".parse().expect("IPv6"));
        let vtep = Vtep::v6(local, remote, 4789, route("fd88::2"));
        let ip = vtep.outer_v6(0, 0, 0, [0; 2]).ip;
        assert_eq!(vtep.outer[14..18], ip.vcf);
        assert_eq!(vtep.outer[20..22], [ip.next_hdr, ip.hop_limit]);
        assert_eq!(vtep.outer[12..14], ethertype::IPV6);
        assert_eq!(vtep.outer[62..66], [FLAG_VNI, 0, 0, 0]);
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
    fn without_a_route_a_vtep_is_not_routed() {
        let addr = Ip16::v4([10, 88, 0, 2]);
        let vtep = Vtep::unrouted(addr);
        assert!(!vtep.is_routed());
        assert_eq!((vtep.addr, vtep.inner_mtu), (addr, 0));
    }
}
