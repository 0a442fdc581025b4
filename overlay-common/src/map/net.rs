//! What the tables say of a network.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Slice, map_type};
use crate::Ip16;

map_type! {
    /// The value of `NETS`, whose key is a VNI in host order.
    pub struct Net {
        /// Bits of `Net::ENCRYPTED`.
        pub flags: u32,
        /// First address of the network's first IPv4 subnet, as a number in host order.
        pub subnet: u32,
        /// Length of its prefix; 0, which no subnet has, for none.
        pub prefix_len: u8,
        pad: [u8; 3],
        /// The slice that the network was given when it was first set, whatever its subnet has become.
        pub slice: Slice,
        /// Address of the gateway over IPv4, in the order of the wire; zero for none.
        gateway_v4: [u8; 4],
        pad_to_8: [u8; 4],
        /// Address of the gateway over IPv6; zero for none.
        gateway_v6: Ip16,
    } size 48, align 8
}

impl Net {
    /// Flag: the network's frames cross the underlay encrypted or not at all.
    pub const ENCRYPTED: u32 = 1;

    /// A network without a subnet, without a slice and without a gateway.
    pub const fn new(flags: u32) -> Self {
        Self {
            flags,
            subnet: 0,
            prefix_len: 0,
            pad: [0; 3],
            slice: Slice::NONE,
            gateway_v4: [0; 4],
            pad_to_8: [0; 4],
            gateway_v6: Ip16::ZERO,
        }
    }

    /// The same with a gateway of each family that has one.
    #[must_use]
    pub fn with_gateways(self, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        Self {
            gateway_v4: v4.map_or([0; 4], |ip| ip.octets()),
            gateway_v6: v6.map_or(Ip16::ZERO, |ip| Ip16::v6(ip.octets())),
            ..self
        }
    }

    /// Address of the gateway over IPv4 in the order of the wire.
    #[inline(always)]
    pub const fn gateway_v4(&self) -> Option<[u8; 4]> {
        if u32::from_ne_bytes(self.gateway_v4) == 0 { None } else { Some(self.gateway_v4) }
    }

    /// Address of the gateway over IPv6.
    #[inline(always)]
    pub fn gateway_v6(&self) -> Option<Ip16> {
        Some(self.gateway_v6).filter(|ip| *ip != Ip16::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_gateways_it_was_given() {
        let (v4, v6) = (Ipv4Addr::new(10, 1, 0, 254), Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe));
        for (v4, v6) in [(None, None), (Some(v4), None), (None, Some(v6)), (Some(v4), Some(v6))] {
            let net = Net::new(Net::ENCRYPTED).with_gateways(v4, v6);
            assert_eq!(net.gateway_v4().map(Ipv4Addr::from), v4);
            assert_eq!(net.gateway_v6().map(Ip16::octets).map(Ipv6Addr::from), v6);
            assert_eq!(net.flags, Net::ENCRYPTED);
        }
    }
}
