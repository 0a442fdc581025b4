//! The cluster that single frames are about: what the scenes of the tiers and benches that make frames have in common.

use std::net::{Ipv4Addr, Ipv6Addr};

use overlay_common::MacAddr;

/// The network.
pub const VNI: u32 = 42;
/// A network that nearly no VTEP is a member of.
pub const OTHER_VNI: u32 = 43;
/// A network that is encrypted.
pub const SECRET_VNI: u32 = 44;
/// A VNI of nobody.
pub const FOREIGN_VNI: u32 = 99;
/// The VNI of our vxlan devices, which no network can have.
pub const ANCHOR_VNI: u32 = 16_777_214;
/// UDP port of VXLAN.
pub const UDP_PORT: u16 = 4789;

/// This node's VTEP.
pub const OUR_VTEP: Ipv4Addr = vtep(1);
/// The same over IPv6.
pub const OUR_VTEP_V6: Ipv6Addr = over_v6(OUR_VTEP);
/// The MAC address of this node's underlay device.
pub const OUTER_SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x51]);
/// The MAC address of the next hop, which sends to this node, too.
pub const OUTER_DST: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x52]);
/// The MAC address of the loopback device, which the kernel runs a program on that is given single frames.
pub const LOOPBACK_MAC: MacAddr = MacAddr::ZERO;

/// The VTEP of the node of a number.
pub const fn vtep(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 88, 0, number)
}

/// The IPv6 address of the node with an IPv4 address.
pub const fn over_v6(node: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = node.octets();
    Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, (a as u16) << 8 | b as u16, (c as u16) << 8 | d as u16)
}

/// The IPv4 address of the node with an IPv6 address; 0.0.0.0, which no node has, where it is no node's.
pub fn node_of(address: Ipv6Addr) -> Ipv4Addr {
    let [.., high, low] = address.segments();
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    let node = Ipv4Addr::new(a, b, c, d);
    if over_v6(node) == address { node } else { Ipv4Addr::UNSPECIFIED }
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
}

/// The endpoint of a number, with a MAC address that is derived from its IPv4 address.
pub const fn station(number: u8) -> Station {
    Station {
        mac: MacAddr::new([0x02, 0x42, 10, 1, 0, number]),
        v4: Ipv4Addr::new(10, 1, 0, number),
        v6: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, number as u16),
    }
}

/// An endpoint behind the port that frames come in at.
pub const OWN: Station = station(1);
/// One of another node.
pub const REMOTE: Station = station(3);
/// One of this node with a MAC address that is not derived.
pub const NAMED: Station = Station { mac: MacAddr::new([0x02, 0, 0, 0, 7, 7]), ..station(7) };
/// One of this node that is delivered to through its device.
pub const EGRESS: Station = station(8);
/// One behind a plain VXLAN device.
pub const PLAIN: Station = station(9);
/// One that is in no table.
pub const NOBODY: Station = station(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_by_its_address_over_ipv6_and_nobody_else_is_one() {
        for number in [0, 1, 255] {
            assert_eq!(node_of(over_v6(vtep(number))), vtep(number));
        }
        for address in ["fd88::1:a58:1", "fd89::a58:1", "::ffff:10.88.0.1"] {
            assert_eq!(node_of(address.parse().expect("an address")), Ipv4Addr::UNSPECIFIED, "{address}");
        }
    }
}
