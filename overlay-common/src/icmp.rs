//! What tells a sender that its packet was too big: ICMP "fragmentation needed" (RFC 792, RFC 1191 section 4) and
//! ICMPv6 "packet too big" (RFC 4443 section 3.2).

use crate::{
    Ip16,
    header::{Eth, ethertype, protocol},
    vxlan::{fold, sum},
};

/// Bytes of the refused IPv4 packet that the answer quotes; all of it is within the 576 bytes of RFC 1812 section
/// 4.3.2.3.
pub const QUOTE_V4: usize = 512;
/// Bytes of the refused IPv6 packet that the answer quotes; all of it is within the 1280 bytes of RFC 4443 section 2.4.
pub const QUOTE_V6: usize = 2 * 512;
/// What stands before the quote over IPv4: Ethernet, IPv4 and ICMP headers.
pub const BEFORE_V4: usize = 14 + 20 + 8;
/// What stands before the quote over IPv6.
pub const BEFORE_V6: usize = 14 + 40 + 8;
/// The lowest MTU that is told over IPv4, and over IPv6: hosts do without the answer rather than go below
/// (`iptunnel_pmtud_check_icmp`).
pub const LEAST_MTU_V4: u16 = 576;
/// See `LEAST_MTU_V4` (RFC 8200 section 5, `iptunnel_pmtud_check_icmpv6`).
pub const LEAST_MTU_V6: u16 = 1280;
/// Don't fragment and nothing else: no fragment, and its sender asks to be told.
pub const ONLY_DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// TTL and hop limit of the answer, as the kernel's.
const TTL: u8 = 64;
/// Destination unreachable, fragmentation needed.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
/// Packet too big.
const PACKET_TOO_BIG: [u8; 2] = [2, 0];

/// Whether an ICMP type tells of an error: such a message is never answered with another (RFC 1122 section 3.2.2).
#[inline(always)]
pub const fn is_error_v4(kind: u8) -> bool {
    // Destination unreachable, source quench, redirect, time exceeded, parameter problem.
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

/// Whether an ICMPv6 type tells of an error (RFC 4443 section 2.1).
#[inline(always)]
pub const fn is_error_v6(kind: u8) -> bool {
    kind < 128
}

/// Who an answer is from and to.
#[derive(Clone, Copy)]
pub struct Ends<A> {
    /// Address of who answers.
    pub from: A,
    /// Address of the refused packet's sender.
    pub to: A,
}

/// Writes what stands before the quote, to the sender of the refused packet and from the MAC address it was sent to.
///
/// `eth` is the refused packet's header, `quoted` the sum of the quote's 16-bit words in the order of the wire, folded;
/// `mtu` in host order.
#[inline(always)]
pub fn too_big_v4(eth: &Eth, ends: Ends<[u8; 4]>, mtu: u16, quoted: u16, out: &mut [u8; BEFORE_V4]) {
    const LEN: u16 = (BEFORE_V4 - 14 + QUOTE_V4) as u16;
    *out = [0; BEFORE_V4];
    ethernet(eth, ethertype::IPV4, &mut out[..14]);
    (out[14], out[22], out[23]) = (0x45, TTL, protocol::ICMP);
    out[16..18].copy_from_slice(&LEN.to_be_bytes());
    out[20..22].copy_from_slice(&ONLY_DONT_FRAGMENT);
    out[26..30].copy_from_slice(&ends.from);
    out[30..34].copy_from_slice(&ends.to);
    let header = u32::from(u16::from_be_bytes([0x45, 0]))
        + u32::from(LEN)
        + u32::from(u16::from_be_bytes(ONLY_DONT_FRAGMENT))
        + u32::from(u16::from_be_bytes([TTL, protocol::ICMP]))
        + sum(&ends.from)
        + sum(&ends.to);
    out[24..26].copy_from_slice(&(!fold(header)).to_be_bytes());
    out[34..36].copy_from_slice(&FRAGMENTATION_NEEDED);
    out[40..42].copy_from_slice(&mtu.to_be_bytes());
    let message = u32::from(u16::from_be_bytes(FRAGMENTATION_NEEDED)) + u32::from(mtu) + u32::from(quoted);
    out[36..38].copy_from_slice(&(!fold(message)).to_be_bytes());
}

/// As `too_big_v4`, over IPv6.
#[inline(always)]
pub fn too_big_v6(eth: &Eth, ends: Ends<Ip16>, mtu: u16, quoted: u16, out: &mut [u8; BEFORE_V6]) {
    const LEN: u16 = (8 + QUOTE_V6) as u16;
    *out = [0; BEFORE_V6];
    ethernet(eth, ethertype::IPV6, &mut out[..14]);
    out[14] = 0x60;
    out[18..20].copy_from_slice(&LEN.to_be_bytes());
    (out[20], out[21]) = (protocol::ICMPV6, TTL);
    ends.from.write(&mut out[22..38]);
    ends.to.write(&mut out[38..54]);
    out[54..56].copy_from_slice(&PACKET_TOO_BIG);
    out[60..62].copy_from_slice(&mtu.to_be_bytes());
    // With the pseudo-header (RFC 8200 section 8.1).
    let message = ends.from.sum()
        + ends.to.sum()
        + u32::from(LEN)
        + u32::from(protocol::ICMPV6)
        + u32::from(u16::from_be_bytes(PACKET_TOO_BIG))
        + u32::from(mtu)
        + u32::from(quoted);
    out[56..58].copy_from_slice(&(!fold(message)).to_be_bytes());
}

/// The Ethernet header of an answer.
#[inline(always)]
fn ethernet(asked: &Eth, ethertype: [u8; 2], out: &mut [u8]) {
    out[..6].copy_from_slice(&asked.src.octets());
    out[6..12].copy_from_slice(&asked.dst.octets());
    out[12..14].copy_from_slice(&ethertype);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MacAddr;

    const ETH: Eth = Eth {
        dst: MacAddr::new([2, 0, 0, 0, 0, 2]),
        src: MacAddr::new([2, 0, 0, 0, 0, 1]),
        ethertype: ethertype::IPV4,
    };

    /// The folded sum of bytes, the long way.
    fn total(bytes: &[u8]) -> u16 {
        fold(bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum())
    }

    #[test]
    fn an_answer_over_ipv4_has_both_checksums_and_goes_back() {
        let ends = Ends { from: [10, 1, 0, 2], to: [10, 1, 0, 1] };
        let quote: std::vec::Vec<u8> = (0..QUOTE_V4).map(|n| (n * 7) as u8).collect();
        let mut out = [0xaa; BEFORE_V4];
        too_big_v4(&ETH, ends, 1450, total(&quote), &mut out);
        assert_eq!((&out[..6], &out[6..12]), (&ETH.src.octets()[..], &ETH.dst.octets()[..]));
        assert_eq!((&out[26..30], &out[30..34]), (&[10, 1, 0, 2][..], &[10, 1, 0, 1][..]));
        assert_eq!(total(&out[14..34]), 0xffff);
        assert_eq!(u16::from_be_bytes([out[16], out[17]]), 20 + 8 + 512);
        assert_eq!((&out[34..36], &out[38..42]), (&[3, 4][..], &[0, 0, 5, 0xaa][..]));
        assert_eq!(total(&[&out[34..], &quote[..]].concat()), 0xffff);
    }

    #[test]
    fn an_answer_over_ipv6_has_the_checksum_of_its_pseudo_header() {
        let ends = Ends { from: Ip16::v6([0xfe; 16]), to: Ip16::v6([0xfd; 16]) };
        let quote: std::vec::Vec<u8> = (0..QUOTE_V6).map(|n| (n * 5) as u8).collect();
        let mut out = [0xaa; BEFORE_V6];
        too_big_v6(&ETH, ends, 1450, total(&quote), &mut out);
        assert_eq!((&out[22..38], &out[38..54]), (&[0xfe; 16][..], &[0xfd; 16][..]));
        let length = u16::from_be_bytes([out[18], out[19]]);
        assert_eq!(usize::from(length), 8 + QUOTE_V6);
        assert_eq!((&out[54..56], &out[58..62]), (&[2, 0][..], &[0, 0, 5, 0xaa][..]));
        let pseudo = [&out[22..54], &[0, 0], &out[18..20], &[0, 0, 0, 58], &out[54..], &quote[..]].concat();
        assert_eq!(total(&pseudo), 0xffff);
    }

    #[test]
    fn errors_are_told_from_questions() {
        assert!(is_error_v4(3) && is_error_v4(11) && !is_error_v4(8) && !is_error_v4(0));
        assert!(is_error_v6(1) && is_error_v6(2) && !is_error_v6(128) && !is_error_v6(135));
    }
}
