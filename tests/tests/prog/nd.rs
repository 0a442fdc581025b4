//! Neighbour discovery of a container: its questions are answered from the table.

use std::net::Ipv6Addr;

use etherparse::IpNumber;
use overlay_common::{Counter, DropReason, MacAddr};

use crate::{
    frames::{eth, extension, icmpv6, icmpv6_sum, v6_with},
    harness::{Hook, Kernel},
    scene::{LOCAL, NOBODY, OWN, REMOTE, Station},
};

/// ICMPv6 types.
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
/// Options: link-layer address of the source, and of the target.
pub(crate) const SOURCE: u8 = 1;
pub(crate) const TARGET: u8 = 2;

/// All nodes, and the MAC address of that group.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr::new([0x33, 0x33, 0, 0, 0, 1]);

/// A link-layer address option.
pub(crate) fn option(kind: u8, mac: MacAddr) -> Vec<u8> {
    [&[kind, 1], &mac.octets()[..]].concat()
}

/// A neighbour discovery message: who says it, to which group or station, and what.
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) from: Ipv6Addr,
    pub(crate) to: (MacAddr, Ipv6Addr),
    pub(crate) flags: u8,
    pub(crate) target: Ipv6Addr,
    pub(crate) options: Vec<u8>,
    pub(crate) hop_limit: u8,
}

impl Message {
    /// A solicitation for an address, to its solicited-node group, as `OWN` sends it.
    pub(crate) fn solicitation(target: Ipv6Addr) -> Self {
        let [.., a, b, c] = target.octets();
        let low = u16::from_be_bytes([b, c]);
        Self {
            kind: SOLICITATION,
            from: OWN.v6,
            to: (
                MacAddr::new([0x33, 0x33, 0xff, a, b, c]),
                Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low),
            ),
            flags: 0,
            target,
            options: option(SOURCE, OWN.mac),
            hop_limit: 255,
        }
    }

    /// An advertisement of its own address from `OWN` to one station.
    pub(crate) fn advertisement(to: &Station) -> Self {
        Self {
            kind: ADVERTISEMENT,
            from: OWN.v6,
            to: (to.mac, to.v6),
            flags: 0x60,
            target: OWN.v6,
            options: option(TARGET, OWN.mac),
            hop_limit: 255,
        }
    }

    /// The ICMPv6 message.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body = [&[self.flags, 0, 0, 0], &self.target.octets()[..], &self.options].concat();
        icmpv6(self.from, self.to.1, self.kind, &body)
    }

    /// The frame, from a MAC address.
    pub(crate) fn frame_from(&self, mac: MacAddr) -> Vec<u8> {
        let packet = v6_with(self.from, self.to.1, IpNumber::IPV6_ICMP, &self.bytes(), |ip| {
            ip.hop_limit = self.hop_limit;
        });
        eth(self.to.0, mac, 0x86dd, &packet)
    }

    /// The frame that `OWN` sends.
    pub(crate) fn frame(&self) -> Vec<u8> {
        self.frame_from(OWN.mac)
    }

    /// The advertisement that answers it with the MAC address of the target, as RFC 4861 section 7.2.4 has it.
    pub(crate) fn answer(&self, mac: MacAddr) -> Vec<u8> {
        let probe = self.from.is_unspecified();
        let answer = Self {
            kind: ADVERTISEMENT,
            from: self.target,
            to: if probe { (ALL_NODES_MAC, ALL_NODES) } else { (OWN.mac, self.from) },
            flags: if probe { 0x20 } else { 0x60 },
            target: self.target,
            options: option(TARGET, mac),
            hop_limit: 255,
        };
        answer.frame_from(mac)
    }
}

/// Asserts that a solicitation is answered with this MAC address, byte by byte.
#[track_caller]
pub(crate) fn answers(kernel: &Kernel, ask: &Message, mac: MacAddr) {
    let answer = kernel.redirects(Hook::FromContainer, &ask.frame(), Counter::NdAnswered);
    assert_eq!(answer, ask.answer(mac));
    let ip = |at: usize| Ipv6Addr::from_octets(answer[at..at + 16].try_into().expect("16 bytes"));
    assert_eq!(icmpv6_sum(ip(22), ip(38), &answer[54..]), 0, "the checksum is wrong");
}

#[test]
fn a_solicitation_is_answered_from_the_table() {
    let kernel = Kernel::scene();
    for station in [REMOTE, LOCAL] {
        answers(&kernel, &Message::solicitation(station.v6), station.mac);
        answers(&kernel, &Message::solicitation(station.mac.link_local()), station.mac);
    }
}

#[test]
fn a_solicitation_from_the_link_local_address_is_answered_to_it() {
    let kernel = Kernel::scene();
    answers(&kernel, &Message { from: OWN.mac.link_local(), ..Message::solicitation(REMOTE.v6) }, REMOTE.mac);
}

#[test]
fn a_solicitation_to_one_station_is_answered_too() {
    let kernel = Kernel::scene();
    answers(
        &kernel,
        &Message { to: (REMOTE.mac, REMOTE.v6), ..Message::solicitation(REMOTE.v6) },
        REMOTE.mac,
    );
}

#[test]
fn a_solicitation_of_any_length_is_answered() {
    let kernel = Kernel::scene();
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for options in [vec![], nonce.to_vec(), [option(SOURCE, OWN.mac), nonce.to_vec()].concat()] {
        answers(&kernel, &Message { options, ..Message::solicitation(REMOTE.v6) }, REMOTE.mac);
    }
}

#[test]
fn a_solicitation_behind_a_hop_by_hop_header_is_answered() {
    let kernel = Kernel::scene();
    let ask = Message::solicitation(REMOTE.v6);
    let payload = [extension(IpNumber::IPV6_ICMP, 0), ask.bytes()].concat();
    let packet =
        v6_with(ask.from, ask.to.1, IpNumber::IPV6_HEADER_HOP_BY_HOP, &payload, |ip| ip.hop_limit = 255);
    let frame = eth(ask.to.0, OWN.mac, 0x86dd, &packet);
    assert_eq!(kernel.redirects(Hook::FromContainer, &frame, Counter::NdAnswered), ask.answer(REMOTE.mac));
}

#[test]
fn an_address_that_no_endpoint_has_is_unknown() {
    let kernel = Kernel::scene();
    kernel.refuses(&Message::solicitation(NOBODY.v6).frame(), DropReason::UnknownNeigh);
    answers(&kernel, &Message::solicitation(REMOTE.v6), REMOTE.mac);
}

#[test]
fn detection_of_an_address_taken_is_answered_to_all_nodes() {
    let kernel = Kernel::scene();
    let probe = Message { from: Ipv6Addr::UNSPECIFIED, options: vec![], ..Message::solicitation(REMOTE.v6) };
    answers(&kernel, &probe, REMOTE.mac);
    // Linux adds a nonce (RFC 7527).
    answers(&kernel, &Message { options: vec![14, 1, 1, 2, 3, 4, 5, 6], ..probe }, REMOTE.mac);
}

#[test]
fn detection_of_its_own_address_needs_no_answer() {
    let kernel = Kernel::scene();
    for own in [OWN.v6, OWN.mac.link_local()] {
        let probe = Message { from: Ipv6Addr::UNSPECIFIED, options: vec![], ..Message::solicitation(own) };
        kernel.refuses(&probe.frame(), DropReason::OwnNeigh);
        kernel.refuses(&Message::solicitation(own).frame(), DropReason::OwnNeigh);
    }
    answers(&kernel, &Message::solicitation(REMOTE.v6), REMOTE.mac);
}
