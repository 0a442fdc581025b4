//! Explicit congestion notification through a tunnel (RFC 6040).

use network_types::ip::Ipv4Hdr;

use crate::vxlan::fold;

/// Not ECN-capable transport.
pub const NOT_ECT: u8 = 0b00;
/// ECN-capable transport, ECT(1).
pub const ECT_1: u8 = 0b01;
/// ECN-capable transport, ECT(0).
pub const ECT_0: u8 = 0b10;
/// Congestion experienced.
pub const CE: u8 = 0b11;
/// The bits of TOS or traffic class that hold ECN.
pub const MASK: u8 = 0b11;

/// The ECN field that leaves a tunnel, from those of the inner and the outer header; `None`: drop.
///
/// RFC 6040 section 4.2, figure 4; as the kernel (`__INET_ECN_decapsulate`), the two rows that a currently
/// unused combination may raise an alarm for are let through silently.
#[inline(always)]
pub const fn decap(inner: u8, outer: u8) -> Option<u8> {
    match (inner & MASK, outer & MASK) {
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (_, CE) => Some(CE),
        (ECT_0, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}

/// Carries the mark of an outer header into an inner IPv4 header; `None`: drop.
#[inline(always)]
pub const fn mark_v4(ip: &mut Ipv4Hdr, outer: u8) -> Option<()> {
    let Some(marked) = decap(ip.tos, outer) else { return None };
    if marked != ip.tos & MASK {
        let tos = ip.tos & !MASK | marked;
        ip.check = adjust(ip.check, ip.tos, tos);
        ip.tos = tos;
    }
    Some(())
}

/// The second byte of an inner IPv6 header with the mark of an outer header carried into it; `None`: drop.
///
/// The traffic class lies across the first two bytes; its last two bits are ECN.
#[inline(always)]
pub const fn mark_v6(second: u8, outer: u8) -> Option<u8> {
    match decap(second >> 4, outer) {
        Some(marked) => Some(second & !(MASK << 4) | marked << 4),
        None => None,
    }
}

/// The IPv4 header checksum after TOS changed from `old` to `new` (RFC 1624 equation 3).
#[inline(always)]
pub const fn adjust(check: [u8; 2], old: u8, new: u8) -> [u8; 2] {
    let sum = !u16::from_be_bytes(check) as u32 + (!(old as u16)) as u32 + new as u32;
    (!fold(sum)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MacAddr,
        vxlan::{Route, Vtep, ipv4_checksum_holds},
    };
    use core::net::Ipv4Addr;

    #[test]
    fn adjusting_keeps_the_checksum_right() {
        let next_hop = Ipv4Addr::LOCALHOST.into();
        let route = Route { ifindex: 1, next_hop, src_mac: MacAddr::ZERO, dst_mac: None, inner_mtu: 1450 };
        let vtep = Vtep::v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), 4789, route);
        for old in 0..=255 {
            for new in 0..=255 {
                let mut ip = vtep.outer_v4(7, 100, old, [0xc0, 1]).ip;
                ip.check = adjust(ip.check, old, new);
                ip.tos = new;
                assert!(ipv4_checksum_holds(&ip), "{old} to {new}");
            }
        }
    }

    #[test]
    fn decap_is_figure_4_of_rfc_6040() {
        let outer = [NOT_ECT, ECT_0, ECT_1, CE];
        let figure = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, row) in figure {
            for (outer, expected) in outer.into_iter().zip(row) {
                assert_eq!(decap(inner, outer), expected, "inner {inner:02b} outer {outer:02b}");
            }
        }
    }
}
