//! Neighbour discovery (RFC 4861): the advertisement that answers a solicitation.

use crate::{
    Ip16, MacAddr,
    header::{ethertype, icmpv6, protocol},
    vxlan::{fold, sum},
};

/// Bytes of an advertisement with a target link-layer address option, from the Ethernet header on.
pub const ADVERTISEMENT_LEN: usize = 14 + 40 + 24 + 8;
/// Hop limit of neighbour discovery: anything else came through a router (RFC 4861 section 7.1).
pub const HOP_LIMIT: u8 = 255;
/// Option: source link-layer address.
pub const SOURCE_MAC: u8 = 1;
/// Option: target link-layer address.
pub const TARGET_MAC: u8 = 2;
/// Flag of an advertisement: answers a solicitation.
const SOLICITED: u8 = 0x40;
/// Flag of an advertisement: replaces what the receiver has cached.
const OVERRIDE: u8 = 0x20;

/// A solicitation to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// MAC address that asks.
    pub from_mac: MacAddr,
    /// Address that asks; `::` for duplicate address detection.
    pub from: Ip16,
    /// Address asked for.
    pub target: Ip16,
}

impl Solicitation {
    /// Writes the whole frame that names `mac` as the owner of the target.
    ///
    /// To `::` it goes to all nodes, unsolicited (RFC 4861 section 7.2.4), so that an address taken is found out.
    #[inline(always)]
    pub fn advertisement(&self, mac: MacAddr, frame: &mut [u8; ADVERTISEMENT_LEN]) {
        let probe = self.from == Ip16::ZERO;
        let (to, to_mac, flags) = if probe {
            (ALL_NODES, ALL_NODES_MAC, OVERRIDE)
        } else {
            (self.from, self.from_mac, SOLICITED | OVERRIDE)
        };
        *frame = [0; ADVERTISEMENT_LEN];
        frame[..6].copy_from_slice(&to_mac.octets());
        frame[6..12].copy_from_slice(&mac.octets());
        frame[12..14].copy_from_slice(&ethertype::IPV6);
        frame[14] = 0x60;
        frame[19] = 32;
        frame[20] = protocol::ICMPV6;
        frame[21] = HOP_LIMIT;
        self.target.write(&mut frame[22..38]);
        to.write(&mut frame[38..54]);
        frame[54] = icmpv6::NEIGHBOUR_ADVERTISEMENT;
        frame[58] = flags;
        self.target.write(&mut frame[62..78]);
        frame[78] = TARGET_MAC;
        frame[79] = 1;
        frame[80..86].copy_from_slice(&mac.octets());
        // Pseudo-header (RFC 8200 section 8.1): both addresses, length 32, protocol 58. Its source is the target.
        let message = u32::from_be_bytes([0, 0, icmpv6::NEIGHBOUR_ADVERTISEMENT, 0])
            + u32::from_be_bytes([0, 0, flags, 0])
            + u32::from_be_bytes([0, 0, TARGET_MAC, 1]);
        let total = 2 * self.target.sum()
            + to.sum()
            + sum(&mac.octets())
            + message
            + 32
            + u32::from(protocol::ICMPV6);
        frame[56..58].copy_from_slice(&(!fold(total)).to_be_bytes());
    }
}

/// `ff02::1`.
const ALL_NODES: Ip16 = Ip16::v6([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// `33:33:00:00:00:01` (RFC 2464 section 7).
const ALL_NODES_MAC: MacAddr = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;

    const MAC: MacAddr = MacAddr::new([2, 0x42, 10, 1, 0, 2]);

    fn ask(from: &str) -> [u8; ADVERTISEMENT_LEN] {
        let ask = Solicitation {
            from_mac: MacAddr::new([2, 0x42, 10, 1, 0, 1]),
            from: Ip16::v6(from.parse::<Ipv6Addr>().expect("an address").octets()),
            target: Ip16::v6("fd00:1::2".parse::<Ipv6Addr>().expect("an address").octets()),
        };
        let mut frame = [0xaa; ADVERTISEMENT_LEN];
        ask.advertisement(MAC, &mut frame);
        frame
    }

    /// The checksum of an ICMPv6 message with its pseudo-header, computed the long way.
    fn checksum_holds(frame: &[u8; ADVERTISEMENT_LEN]) -> bool {
        let mut bytes = std::vec::Vec::from(&frame[22..54]);
        bytes.extend([0, 0, 0, 32, 0, 0, 0, 58]);
        bytes.extend(&frame[54..]);
        let total: u32 = bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        fold(total) == 0xffff
    }

    #[test]
    fn an_answer_goes_to_who_asked() {
        let frame = ask("fd00:1::1");
        assert_eq!(frame[..6], [2, 0x42, 10, 1, 0, 1]);
        assert_eq!(frame[6..12], MAC.octets());
        assert_eq!(frame[58], SOLICITED | OVERRIDE);
        assert_eq!(frame[80..86], MAC.octets());
        assert!(checksum_holds(&frame));
    }

    #[test]
    fn a_probe_is_answered_to_all_nodes() {
        let frame = ask("::");
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(frame[38..54], ALL_NODES.octets());
        assert_eq!(frame[58], OVERRIDE);
        assert!(checksum_holds(&frame));
    }
}
