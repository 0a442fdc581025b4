//! `FDB` and `FDB_V4`: where the MAC addresses of a network are.
//!
//! Nearly all MAC addresses are derived from an IPv4 address (`MacAddr::from_ipv4`). Those of a network's first IPv4
//! subnet have places one beside the other in the array `FDB_V4`, the network's *slice* of it. All others are in the
//! hash `FDB`, as are those of a network without a slice.

use crate::{MacAddr, map::map_type};

/// The size of `FDB_V4`, in slots of 8 bytes: 16.8 MB.
pub const MAX_SLOTS: u32 = 1 << 21;
/// A larger subnet has no slice.
pub const MAX_SLICE: u32 = 1 << 20;

map_type! {
    /// The key of `FDB`.
    pub struct FdbKey {
        /// Destination MAC address.
        pub mac: MacAddr,
        pad: [u8; 2],
        /// VNI in host order.
        pub vni: u32,
    } size 12, align 4
}

impl FdbKey {
    /// The key of an endpoint's MAC address in a network.
    #[inline(always)]
    pub const fn new(vni: u32, mac: MacAddr) -> Self {
        Self { mac, pad: [0; 2], vni }
    }
}

map_type! {
    /// The value of `FDB` and `FDB_V4`: where an endpoint is. All zero is no entry: so an array begins.
    ///
    /// One word, because a slot of an array is overwritten in place: read in parts it could give a local delivery with
    /// the place of a VTEP. From the lowest bit: 32 bits of `to`, 8 of `delivery`, 8 of `flags`; the rest is zero.
    pub struct Fdb {
        word: u64,
    } size 8, align 8
}

impl Fdb {
    /// No entry.
    pub const NONE: Self = Self { word: 0 };
    /// Delivery: to the VTEP, through the underlay.
    pub const UNDERLAY: u8 = 1;
    /// Delivery: into the peer's namespace (`bpf_redirect_peer`).
    pub const PEER: u8 = 2;
    /// Delivery: out of the host side of the port (`bpf_redirect`).
    pub const EGRESS: u8 = 3;
    /// Delivery: to a WireGuard device, which has no Ethernet header.
    pub const WIREGUARD: u8 = 4;
    /// Flag: the network's frames cross the underlay encrypted or not at all.
    pub const ENCRYPTED: u8 = 1;
    /// Flag: the endpoint has the IPv4 address that its MAC address is derived from (`MacAddr::from_ipv4`). That
    /// address then has no entry in `NEIGH`.
    pub const HAS_IPV4: u8 = 2;
    /// Flag: the endpoint has the link-local address of its MAC address, which then has no entry in `NEIGH`.
    pub const HAS_LINK_LOCAL: u8 = 4;
    /// Flag: the local endpoint sends on what it gets: it forwards or bridges.
    pub const FORWARDS: u8 = 8;

    /// An endpoint on this node, reached through its port.
    pub const fn local(ifindex: u32) -> Self {
        Self::new(ifindex, Self::PEER)
    }

    /// An endpoint behind the VTEP at this place of `VTEPS`.
    pub const fn remote(vtep: u32, flags: u8) -> Self {
        Self::new(vtep, Self::UNDERLAY).with_flags(flags)
    }

    const fn new(to: u32, delivery: u8) -> Self {
        Self { word: to as u64 | (delivery as u64) << 32 }
    }

    /// The same by another delivery.
    #[must_use]
    pub const fn by(self, delivery: u8) -> Self {
        Self { word: self.word & !(0xff << 32) | (delivery as u64) << 32 }
    }

    /// The same with these flags, too.
    #[must_use]
    pub const fn with_flags(self, flags: u8) -> Self {
        Self { word: self.word | (flags as u64) << 40 }
    }

    /// What a word of a table says; none where it is no entry.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Option<Self> {
        let fdb = Self { word };
        if fdb.delivery() == 0 { None } else { Some(fdb) }
    }

    /// The word, as the tables hold it.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.word
    }

    /// Interface index of the port's host side for a local endpoint, place of the VTEP in `VTEPS` for a remote one;
    /// host order.
    #[inline(always)]
    pub const fn to(self) -> u32 {
        self.word as u32
    }

    /// One of `Fdb::UNDERLAY`, `PEER`, `EGRESS`, `WIREGUARD`.
    #[inline(always)]
    pub const fn delivery(self) -> u8 {
        (self.word >> 32) as u8
    }

    /// Bits of `Fdb::ENCRYPTED`, `HAS_IPV4`, `HAS_LINK_LOCAL`, `FORWARDS`.
    #[inline(always)]
    pub const fn flags(self) -> u8 {
        (self.word >> 40) as u8
    }
}

map_type! {
    /// A network's part of `FDB_V4`: a slot for each address of its first IPv4 subnet.
    pub struct Slice {
        /// The first address, as a number in host order.
        pub base: u32,
        /// Addresses, and slots; 0 for no slice.
        pub len: u32,
        /// The first slot.
        pub offset: u32,
    } size 12, align 4
}

impl Slice {
    /// No slice.
    pub const NONE: Self = Self { base: 0, len: 0, offset: 0 };

    /// The slot of a MAC address; none where it is not derived from an address of the slice.
    #[inline(always)]
    pub const fn slot(&self, mac: MacAddr) -> Option<u32> {
        let [0x02, 0x42, a, b, c, d] = mac.octets() else { return None };
        let place = u32::from_be_bytes([a, b, c, d]).wrapping_sub(self.base);
        if place < self.len { Some(self.offset.wrapping_add(place)) } else { None }
    }

    /// The MAC address of a slot; none where it is not of the slice.
    pub fn mac(&self, slot: u32) -> Option<MacAddr> {
        let place = slot.checked_sub(self.offset).filter(|place| *place < self.len)?;
        Some(MacAddr::from_ipv4(self.base.wrapping_add(place).into()))
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_entry_is_what_it_was_made_of_and_never_zero() {
        let remote = Fdb::remote(4095, Fdb::ENCRYPTED).with_flags(Fdb::HAS_IPV4);
        assert_eq!((remote.to(), remote.delivery(), remote.flags()), (4095, Fdb::UNDERLAY, 3));
        assert_eq!(Fdb::from_word(remote.word()), Some(remote));
        let local = Fdb::local(u32::MAX);
        assert_eq!((local.to(), local.delivery(), local.flags()), (u32::MAX, Fdb::PEER, 0));
        assert_eq!(local.by(Fdb::EGRESS).delivery(), Fdb::EGRESS);
        for fdb in [Fdb::local(0), Fdb::remote(0, 0), Fdb::remote(0, 0).by(Fdb::WIREGUARD)] {
            assert_eq!(Fdb::from_word(fdb.word()), Some(fdb));
        }
        assert_eq!(Fdb::from_word(0), None);
        assert_eq!(Fdb::from_word(remote.by(0).word()), None);
    }

    #[test]
    fn a_slice_has_the_derived_addresses_of_its_subnet_only() {
        let slice = Slice { base: Ipv4Addr::new(10, 1, 0, 0).into(), len: 256, offset: 512 };
        for (last, slot) in [(0, 512), (7, 519), (255, 767)] {
            let mac = MacAddr::from_ipv4(Ipv4Addr::new(10, 1, 0, last));
            assert_eq!((slice.slot(mac), slice.mac(slot)), (Some(slot), Some(mac)));
        }
        for outside in [[2, 0x42, 10, 0, 255, 255], [2, 0x42, 10, 1, 1, 0], [6, 0x42, 10, 1, 0, 7]] {
            assert_eq!(slice.slot(MacAddr::new(outside)), None, "{outside:x?}");
        }
        assert_eq!((slice.mac(511), slice.mac(768)), (None, None));
        assert_eq!(Slice::NONE.slot(MacAddr::from_ipv4(Ipv4Addr::UNSPECIFIED)), None);
    }
}
