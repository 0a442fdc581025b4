//! Keys and values of every map. See the crate's documentation for the rules they obey.

mod fdb;
mod net;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use self::{
    fdb::{Fdb, FdbKey, MAX_SLICE, MAX_SLOTS, Slice},
    net::Net,
};
use crate::{Ip16, MacAddr, Vni};

/// Endpoints of all networks that the tables hold at most.
pub const MAX_ENDPOINTS: u32 = 1 << 20;
/// Memberships of VTEPs in networks, and VTEPS, at most.
pub const MAX_MEMBERS: u32 = 1 << 18;
/// Networks at most.
pub const MAX_NETS: u32 = 1 << 16;
/// Nodes at most; the size of `VTEPS`.
pub const MAX_VTEPS: u32 = 4096;
/// Local ports at most.
pub const MAX_PORTS: u32 = 4096;
/// MAC addresses that a port may send from.
pub const PORT_MACS: usize = 4;
/// Prefixes that a port may send from: 8 of its endpoint, and its link-local address.
pub const PORT_PREFIXES: usize = 9;

/// Defines a map type: `repr(C)`, of the stated layout, with the casts that user space needs.
macro_rules! map_type {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $visible:vis $field:ident: $type:ty,)+ } size $size:expr, align $align:literal) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
        pub struct $name { $($(#[$field_meta])* $visible $field: $type,)+ }
        const _: () = assert!(size_of::<$name>() == $size && align_of::<$name>() == $align);
        // SAFETY: the type is `Copy + 'static` and, as `bytemuck::Pod` has the compiler check, has no padding and
        // takes every bit pattern.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $name {}
    };
}
pub(crate) use map_type;

map_type! {
    /// The value of `CONFIG`, an array of one: what this node is.
    pub struct NodeConfig {
        /// Our VTEP address over IPv4; zero where there is none.
        pub vtep_v4: Ip16,
        /// Our VTEP address over IPv6; zero where there is none.
        pub vtep_v6: Ip16,
        /// Interface index of the underlay device, host order.
        pub underlay: u32,
        /// UDP port of VXLAN, big-endian.
        udp_port: [u8; 2],
        /// MAC address of the underlay device; zero, which no frame is sent to, for none.
        pub mac: MacAddr,
        /// Interface index of our vxlan device over IPv4, host order; 0 while there is none.
        pub anchor_v4: u32,
        /// Interface index of our vxlan device over IPv6, host order; 0 while there is none.
        pub anchor_v6: u32,
        /// Bits of `NodeConfig::SHARED`.
        pub flags: u32,
    } size 56, align 8
}

impl NodeConfig {
    /// Flag: other vxlan devices listen on the UDP port, too.
    pub const SHARED: u32 = 1;

    /// The configuration of a node with one VTEP address or one of each family, without our vxlan devices; `udp_port` in
    /// host order.
    pub fn new(vteps: (Option<Ipv4Addr>, Option<Ipv6Addr>), underlay: u32, udp_port: u16) -> Self {
        Self {
            vtep_v4: vteps.0.map_or(Ip16::ZERO, |ip| Ip16::v4(ip.octets())),
            vtep_v6: vteps.1.map_or(Ip16::ZERO, |ip| Ip16::v6(ip.octets())),
            underlay,
            udp_port: udp_port.to_be_bytes(),
            mac: MacAddr::ZERO,
            anchor_v4: 0,
            anchor_v6: 0,
            flags: 0,
        }
    }

    /// The VTEP addresses.
    pub fn vteps(&self) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let of = |vtep: Ip16| Some(vtep.to_ip()).filter(|_| vtep != Ip16::ZERO);
        let v4 = of(self.vtep_v4).and_then(|ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None });
        let v6 = of(self.vtep_v6).and_then(|ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None });
        (v4, v6)
    }

    /// UDP port of VXLAN as a header holds it.
    #[inline(always)]
    pub const fn udp_port_be(&self) -> [u8; 2] {
        self.udp_port
    }

    /// UDP port of VXLAN in host order.
    pub const fn udp_port(&self) -> u16 {
        u16::from_be_bytes(self.udp_port)
    }
}

map_type! {
    /// A range of addresses: those that equal `addr` under `mask`.
    pub struct Prefix {
        addr: Ip16,
        mask: Ip16,
    } size 32, align 8
}

impl Prefix {
    /// No address at all but `::` under a full mask; fills unused places.
    pub const EMPTY: Self = Self { addr: Ip16::ZERO, mask: Ip16::v6([0xff; 16]) };

    /// The addresses whose first `len` bits are those of `addr`; `len` counts from the address's own family.
    pub fn new(addr: IpAddr, len: u8) -> Self {
        let bits = u32::from(if addr.is_ipv4() { len + 96 } else { len }).min(128);
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let addr = u128::from_be_bytes(Ip16::from(addr).octets()) & mask;
        Self { addr: Ip16::v6(addr.to_be_bytes()), mask: Ip16::v6(mask.to_be_bytes()) }
    }

    /// Whether the address is one of them. An IPv6 prefix, however short, holds no IPv4 address.
    #[inline(always)]
    pub const fn contains(&self, ip: Ip16) -> bool {
        let ((a0, a1), (m0, m1), (i0, i1)) = (self.addr.halves(), self.mask.halves(), ip.halves());
        // A mask that covers the bytes ff:ff of a mapped address is that of an IPv4 prefix, or of one as narrow.
        let family = !ip.is_v4() || m1 & Ip16::V4_TAG_MASK == Ip16::V4_TAG_MASK;
        family && (i0 & m0) == a0 && (i1 & m1) == a1
    }

    /// The first address, and the length of the prefix counted from its own family.
    pub fn parts(&self) -> (IpAddr, u8) {
        let bits = u128::from_be_bytes(self.mask.octets()).count_ones() as u8;
        match self.addr.to_ip() {
            addr @ IpAddr::V4(_) if bits >= 96 => (addr, bits - 96),
            IpAddr::V4(addr) => (IpAddr::V6(addr.to_ipv6_mapped()), bits),
            addr @ IpAddr::V6(_) => (addr, bits),
        }
    }
}

map_type! {
    /// The value of `PORTS`, whose key is the interface index of a port's host side.
    pub struct Port {
        vni: u32,
        /// Bits of `Port::ALLOW_*`.
        pub flags: u32,
        /// MAC addresses it may send from, its own first; unused places are zero.
        pub macs: [MacAddr; PORT_MACS],
        /// Addresses it may send from; unused places are `Prefix::EMPTY`.
        prefixes: [Prefix; PORT_PREFIXES],
        /// The slice of its network.
        pub slice: Slice,
        pad: [u8; 4],
    } size 336, align 8
}

impl Port {
    /// The container may send router advertisements and redirects.
    pub const ALLOW_RA: u32 = 1;
    /// The container may send what a DHCP server sends.
    pub const ALLOW_DHCP_SERVER: u32 = 2;

    /// A port in a network without a slice; what exceeds `PORT_MACS` and `PORT_PREFIXES` is refused with `None`.
    pub fn new(vni: Vni, macs: &[MacAddr], prefixes: &[Prefix], flags: u32) -> Option<Self> {
        let mut port = Self {
            vni: vni.get(),
            flags,
            macs: [MacAddr::ZERO; PORT_MACS],
            prefixes: [Prefix::EMPTY; PORT_PREFIXES],
            slice: Slice::NONE,
            pad: [0; 4],
        };
        port.macs.get_mut(..macs.len())?.copy_from_slice(macs);
        port.prefixes.get_mut(..prefixes.len())?.copy_from_slice(prefixes);
        Some(port)
    }

    /// The VNI of its network, as a number in host order.
    #[inline(always)]
    pub const fn vni(&self) -> u32 {
        self.vni
    }

    /// Whether a frame may carry this source MAC address. Zero never may: it fills unused places.
    #[inline(always)]
    pub fn has_mac(&self, mac: MacAddr) -> bool {
        mac == self.macs[0] || (mac != MacAddr::ZERO && self.macs[1..].contains(&mac))
    }

    /// Whether a packet may carry this source address. `::` never may: it fills unused places.
    #[inline(always)]
    pub fn has_ip(&self, ip: Ip16) -> bool {
        if ip == Ip16::ZERO {
            return false;
        }
        let mut place = 0;
        while place < PORT_PREFIXES {
            if self.prefixes[place].contains(ip) {
                return true;
            }
            place += 1;
        }
        false
    }

    /// The MAC addresses and prefixes in use.
    pub fn allowed(&self) -> (impl Iterator<Item = MacAddr>, impl Iterator<Item = Prefix>) {
        (
            self.macs.into_iter().filter(|mac| *mac != MacAddr::ZERO),
            self.prefixes.into_iter().filter(|prefix| *prefix != Prefix::EMPTY),
        )
    }
}

map_type! {
    /// The key of `NEIGH`.
    pub struct NeighKey {
        /// Address of an endpoint.
        pub ip: Ip16,
        /// VNI in host order.
        pub vni: u32,
        pad: u32,
    } size 24, align 8
}

impl NeighKey {
    /// The key of an address in a network.
    #[inline(always)]
    pub const fn new(vni: u32, ip: Ip16) -> Self {
        Self { ip, vni, pad: 0 }
    }
}

/// Padding of `Neigh`. The next version's in tests of upgrades is wider: the smallest change of a layout.
const NEIGH_PAD: usize = if cfg!(feature = "abi-next") { 10 } else { 2 };

map_type! {
    /// The value of `NEIGH`.
    pub struct Neigh {
        /// The endpoint's MAC address.
        pub mac: MacAddr,
        pad: [u8; NEIGH_PAD],
    } size 6 + NEIGH_PAD, align 1
}

impl Neigh {
    /// The MAC address that answers for an address.
    pub const fn new(mac: MacAddr) -> Self {
        Self { mac, pad: [0; NEIGH_PAD] }
    }
}

map_type! {
    /// The key of `MEMBERS`: a VTEP's membership of a network.
    pub struct MemberKey {
        /// Outer source address.
        pub vtep: Ip16,
        /// VNI in host order; 0, which no network has, stands for the cluster.
        pub vni: u32,
        pad: u32,
    } size 24, align 8
}

impl MemberKey {
    /// The key of a VTEP in a network, or in the cluster with `vni` 0.
    #[inline(always)]
    pub const fn new(vni: u32, vtep: Ip16) -> Self {
        Self { vtep, vni, pad: 0 }
    }
}

map_type! {
    /// The value of `MEMBERS`.
    pub struct Member {
        /// Bits of `Member::ENCRYPTED`.
        pub flags: u32,
        /// The slice of the network.
        pub slice: Slice,
    } size 16, align 4
}

impl Member {
    /// Flag: the network's frames are taken encrypted or not at all.
    pub const ENCRYPTED: u32 = 1;
}

map_type! {
    /// The key of `DROPS`.
    pub struct DropKey {
        /// VNI in host order; 0 where the frame's network is not known.
        pub vni: u32,
        /// Number of the `DropReason`.
        pub reason: u32,
    } size 8, align 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_prefix_holds_its_own_family_only() {
        let all_v6 = Prefix::new(ip("::"), 0);
        assert!(all_v6.contains(ip("fd00::1").into()));
        assert!(!all_v6.contains(ip("10.1.0.1").into()));
        let all_v4 = Prefix::new(ip("0.0.0.0"), 0);
        assert!(all_v4.contains(ip("10.1.0.1").into()));
        assert!(!all_v4.contains(ip("fd00::1").into()));
        let net = Prefix::new(ip("10.1.2.3"), 24);
        assert!(net.contains(ip("10.1.2.255").into()));
        assert!(!net.contains(ip("10.1.3.0").into()));
        let net = Prefix::new(ip("fd00:1::1"), 64);
        assert!(net.contains(ip("fd00:1::ffff").into()));
        assert!(!net.contains(ip("fd00:1:0:1::1").into()));
    }

    #[test]
    fn a_prefix_tells_its_parts() {
        for (text, len) in
            [("10.1.2.0", 24), ("10.1.2.3", 32), ("0.0.0.0", 0), ("fd00:1::", 64), ("::", 0), ("::", 8)]
        {
            assert_eq!(Prefix::new(ip(text), len).parts(), (ip(text), len));
        }
    }

    #[test]
    fn unused_places_of_a_port_allow_nothing() {
        let vni = Vni::new(42).expect("a VNI");
        let mac = MacAddr::new([2, 0x42, 10, 1, 0, 1]);
        let port = Port::new(vni, &[mac], &[Prefix::new(ip("10.1.0.1"), 32)], 0).expect("fits");
        assert!(port.has_mac(mac) && !port.has_mac(MacAddr::ZERO) && !port.has_mac(MacAddr::BROADCAST));
        assert!(port.has_ip(ip("10.1.0.1").into()));
        for other in ["10.1.0.2", "0.0.0.0", "::", "fd00::1"] {
            assert!(!port.has_ip(ip(other).into()), "{other}");
        }
        assert_eq!(Port::new(vni, &[mac; PORT_MACS + 1], &[], 0), None);
        assert_eq!(Port::new(vni, &[mac], &[Prefix::EMPTY; PORT_PREFIXES + 1], 0), None);
    }
}
