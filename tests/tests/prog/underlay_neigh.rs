//! ARP and neighbour discovery from a plain VXLAN device: questions to everybody reach the one port they are for, and
//! what a station claims must be true.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::IpNumber;
use overlay_common::{DropReason, MacAddr};

use crate::{
    frames::{eth, icmpv6, v6_with, vxlan},
    harness::Kernel,
    scene::{EGRESS, EXTRA_MAC, LOCAL, NOBODY, PLAIN, PLAIN_VTEP, REMOTE, SECRET_VNI, Station, VNI, VTEP},
};

const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// ARP between two MAC addresses that names a sender and a target.
fn arp(
    (src, dst): (MacAddr, MacAddr),
    request: bool,
    sender: (MacAddr, Ipv4Addr),
    target: Ipv4Addr,
) -> Vec<u8> {
    let (mac, ip) = (sender.0.octets(), sender.1.octets());
    let payload =
        [&[0, 1, 8, 0, 6, 4, 0, 2 - u8::from(request)][..], &mac, &ip, &[0; 6], &target.octets()].concat();
    eth(dst, src, 0x0806, &payload)
}

/// A request to everybody, true unless the addresses are not.
fn request(sender: (MacAddr, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    arp((PLAIN.mac, MacAddr::BROADCAST), true, sender, target)
}

/// The multicast MAC address of who is solicited for an address (RFC 4291 section 2.7.1, RFC 2464 section 7).
fn group(target: Ipv6Addr) -> (MacAddr, Ipv6Addr) {
    let [.., a, b, c] = target.octets();
    let words = [u16::from_be_bytes([0xff, a]), u16::from_be_bytes([b, c])];
    let ip = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, words[0], words[1]);
    (MacAddr::new([0x33, 0x33, 0xff, a, b, c]), ip)
}

/// A neighbour message to one station or a group, with a link-layer address option.
fn neighbour(
    src: MacAddr,
    dst: (MacAddr, Ipv6Addr),
    from: Ipv6Addr,
    kind: u8,
    target: Ipv6Addr,
    claims: Option<MacAddr>,
) -> Vec<u8> {
    let mut body = [&[0; 4][..], &target.octets()].concat();
    if let Some(mac) = claims {
        body.extend([if kind == 135 { 1 } else { 2 }, 1]);
        body.extend(mac.octets());
    }
    let message = icmpv6(from, dst.1, kind, &body);
    let packet = v6_with(from, dst.1, IpNumber::IPV6_ICMP, &message, |ip| ip.hop_limit = 255);
    eth(dst.0, src, 0x86dd, &packet)
}

/// A solicitation to the group of its target.
fn solicitation(from: Ipv6Addr, target: Ipv6Addr, claims: Option<MacAddr>) -> Vec<u8> {
    neighbour(PLAIN.mac, group(target), from, 135, target, claims)
}

/// The frame in VXLAN from the plain device.
fn plain(inner: &[u8]) -> Vec<u8> {
    vxlan(PLAIN_VTEP, VNI, inner)
}

/// Asserts that the frame is dropped.
#[track_caller]
fn rejects(kernel: &Kernel, inner: &[u8], reason: DropReason) {
    kernel.rejects(&plain(inner), VNI, reason);
}

/// Asserts that the frame reaches a port as it is.
#[track_caller]
fn delivers(kernel: &Kernel, inner: &[u8]) {
    assert_eq!(kernel.delivers(&plain(inner)), inner);
}

const STATION: (MacAddr, Ipv4Addr) = (PLAIN.mac, PLAIN.v4);

#[test]
fn a_question_reaches_the_port_it_is_for() {
    let kernel = Kernel::scene();
    for to in [LOCAL, EGRESS] {
        delivers(&kernel, &request(STATION, to.v4));
        // An ARP probe asks without an address.
        delivers(&kernel, &request((PLAIN.mac, UNSPECIFIED), to.v4));
        for target in [to.v6, to.mac.link_local()] {
            for from in [PLAIN.v6, PLAIN.mac.link_local()] {
                delivers(&kernel, &solicitation(from, target, Some(PLAIN.mac)));
                delivers(&kernel, &solicitation(from, target, None));
            }
            delivers(&kernel, &solicitation(Ipv6Addr::UNSPECIFIED, target, None));
        }
    }
}

#[test]
fn a_question_for_another_nodes_or_nobodys_address_goes_nowhere() {
    let kernel = Kernel::scene();
    for (target, reason) in [
        (REMOTE, DropReason::SplitHorizon),
        (NOBODY, DropReason::UnknownNeigh),
        // Its own: an announcement, duplicate address detection.
        (PLAIN, DropReason::OwnNeigh),
    ] {
        rejects(&kernel, &request(STATION, target.v4), reason);
        rejects(&kernel, &request((PLAIN.mac, UNSPECIFIED), target.v4), reason);
        rejects(&kernel, &solicitation(PLAIN.v6, target.v6, Some(PLAIN.mac)), reason);
        rejects(&kernel, &solicitation(Ipv6Addr::UNSPECIFIED, target.v6, None), reason);
    }
    delivers(&kernel, &request(STATION, LOCAL.v4));
}

#[test]
fn a_question_from_a_station_that_is_not_behind_the_vtep_is_dropped() {
    let kernel = Kernel::scene();
    for Station { mac, v4, v6 } in [REMOTE, LOCAL, NOBODY] {
        let frame = arp((mac, MacAddr::BROADCAST), true, (mac, v4), LOCAL.v4);
        rejects(&kernel, &frame, DropReason::SpoofedMac);
        let frame = arp((mac, LOCAL.mac), false, (mac, v4), LOCAL.v4);
        rejects(&kernel, &frame, DropReason::SpoofedMac);
        let frame = neighbour(mac, group(LOCAL.v6), v6, 135, LOCAL.v6, None);
        rejects(&kernel, &frame, DropReason::SpoofedMac);
        let frame = neighbour(mac, (LOCAL.mac, LOCAL.v6), v6, 136, v6, Some(mac));
        rejects(&kernel, &frame, DropReason::SpoofedMac);
    }
    // From its own VTEP the first of them is true.
    let frame = arp((REMOTE.mac, MacAddr::BROADCAST), true, (REMOTE.mac, REMOTE.v4), LOCAL.v4);
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &frame)), frame);
}

#[test]
fn arp_that_names_another_sender_is_dropped() {
    let kernel = Kernel::scene();
    for (mac, ip) in [
        (PLAIN.mac, LOCAL.v4),
        (PLAIN.mac, REMOTE.v4),
        (PLAIN.mac, NOBODY.v4),
        (LOCAL.mac, PLAIN.v4),
        (EXTRA_MAC, PLAIN.v4),
    ] {
        rejects(&kernel, &request((mac, ip), EGRESS.v4), DropReason::SpoofedArp);
        for request in [false, true] {
            let frame = arp((PLAIN.mac, LOCAL.mac), request, (mac, ip), EGRESS.v4);
            rejects(&kernel, &frame, DropReason::SpoofedArp);
        }
    }
    delivers(&kernel, &request(STATION, EGRESS.v4));
    for request in [false, true] {
        delivers(&kernel, &arp((PLAIN.mac, LOCAL.mac), request, STATION, LOCAL.v4));
    }
}

#[test]
fn neighbour_discovery_that_claims_anothers_address_is_dropped() {
    let kernel = Kernel::scene();
    for Station { mac, v6, .. } in [LOCAL, REMOTE, NOBODY] {
        let frame = solicitation(v6, EGRESS.v6, Some(PLAIN.mac));
        rejects(&kernel, &frame, DropReason::SpoofedIp);
        let frame = solicitation(PLAIN.v6, EGRESS.v6, Some(mac));
        rejects(&kernel, &frame, DropReason::SpoofedNd);
        let to = (LOCAL.mac, LOCAL.v6);
        for (from, target, claims, reason) in [
            (v6, LOCAL.v6, PLAIN.mac, DropReason::SpoofedIp),
            (PLAIN.v6, LOCAL.v6, mac, DropReason::SpoofedNd),
        ] {
            let frame = neighbour(PLAIN.mac, to, from, 135, target, Some(claims));
            rejects(&kernel, &frame, reason);
        }
        for (target, claims) in [(v6, PLAIN.mac), (PLAIN.v6, mac)] {
            let frame = neighbour(PLAIN.mac, to, PLAIN.v6, 136, target, Some(claims));
            rejects(&kernel, &frame, DropReason::SpoofedNd);
        }
    }
    delivers(&kernel, &solicitation(PLAIN.v6, EGRESS.v6, Some(PLAIN.mac)));
    for (kind, target) in [(135, LOCAL.v6), (136, PLAIN.v6)] {
        let frame = neighbour(PLAIN.mac, (LOCAL.mac, LOCAL.v6), PLAIN.v6, kind, target, Some(PLAIN.mac));
        delivers(&kernel, &frame);
    }
}

#[test]
fn a_hop_limit_or_arp_header_that_is_wrong_is_malformed() {
    let kernel = Kernel::scene();
    let mut frame = solicitation(PLAIN.v6, LOCAL.v6, None);
    delivers(&kernel, &frame);
    frame[14 + 7] = 254;
    rejects(&kernel, &frame, DropReason::Malformed);
    let mut frame = request(STATION, LOCAL.v4);
    frame[14 + 7] = 3;
    rejects(&kernel, &frame, DropReason::Malformed);
    rejects(&kernel, &request(STATION, LOCAL.v4)[..30], DropReason::Malformed);
}

#[test]
fn what_asks_nothing_is_not_given_to_everybody() {
    let kernel = Kernel::scene();
    let reply = arp((PLAIN.mac, MacAddr::BROADCAST), false, STATION, PLAIN.v4);
    rejects(&kernel, &reply, DropReason::Bum);
    let all = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), "ff02::1".parse().expect("an address"));
    for kind in [128, 133, 134, 136, 137, 143] {
        let frame = neighbour(PLAIN.mac, all, PLAIN.v6, kind, PLAIN.v6, None);
        rejects(&kernel, &frame, DropReason::Bum);
    }
}

#[test]
fn plain_traffic_is_not_checked_by_its_sender() {
    let kernel = Kernel::scene();
    for inner in crate::frames::each_kind(&PLAIN, &LOCAL) {
        delivers(&kernel, &inner);
    }
    let echo = neighbour(PLAIN.mac, (LOCAL.mac, LOCAL.v6), PLAIN.v6, 128, PLAIN.v6, None);
    delivers(&kernel, &echo);
}

#[test]
fn an_encrypted_network_takes_no_question_in_clear() {
    let kernel = Kernel::scene();
    let frame = arp((REMOTE.mac, MacAddr::BROADCAST), true, (REMOTE.mac, REMOTE.v4), LOCAL.v4);
    kernel.rejects(&vxlan(VTEP, SECRET_VNI, &frame), SECRET_VNI, DropReason::NotEncrypted);
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &frame)), frame);
}
