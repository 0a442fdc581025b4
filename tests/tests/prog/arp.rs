//! ARP of a container: its questions are answered, its claims checked.

use std::net::Ipv4Addr;

use overlay_common::{Counter, DropReason, MacAddr, map::Fdb};

use crate::{
    frames::{eth, read, shortest},
    harness::{Hook, Kernel},
    scene::{EXTRA_MAC, LOCAL, NOBODY, OWN, REMOTE, Station, VNI, has},
};

/// What an ARP packet says.
pub(crate) struct Arp {
    oper: u8,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
}

impl Arp {
    pub(crate) fn request(target: &Station) -> Self {
        Self { oper: 1, sender: (OWN.mac, OWN.v4), target: (MacAddr::ZERO, target.v4) }
    }

    fn packet(&self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, self.oper];
        for (mac, ip) in [self.sender, self.target] {
            packet.extend(mac.octets());
            packet.extend(ip.octets());
        }
        packet
    }

    /// The frame that asks everybody.
    pub(crate) fn broadcast(&self) -> Vec<u8> {
        eth(MacAddr::BROADCAST, OWN.mac, 0x0806, &self.packet())
    }
}

/// Asserts that a request is answered with the target's MAC address, byte by byte.
#[track_caller]
fn answers(kernel: &Kernel, request: &Arp, target: &Station) {
    let answer = Arp { oper: 2, sender: (target.mac, target.v4), target: request.sender };
    let expected = eth(request.sender.0, target.mac, 0x0806, &answer.packet());
    let frame = eth(MacAddr::BROADCAST, request.sender.0, 0x0806, &request.packet());
    assert_eq!(kernel.redirects(Hook::FromContainer, &frame, Counter::ArpAnswered), expected);
}

#[test]
fn a_request_is_answered_from_the_table() {
    let kernel = Kernel::scene();
    answers(&kernel, &Arp::request(&REMOTE), &REMOTE);
    answers(&kernel, &Arp::request(&LOCAL), &LOCAL);
}

#[test]
fn a_request_to_one_station_is_answered_too() {
    let kernel = Kernel::scene();
    let frame = eth(REMOTE.mac, OWN.mac, 0x0806, &Arp::request(&REMOTE).packet());
    let answer = kernel.redirects(Hook::FromContainer, &frame, Counter::ArpAnswered);
    assert_eq!(answer[..12], [OWN.mac.octets(), REMOTE.mac.octets()].concat());
}

#[test]
fn padding_of_a_request_stays() {
    let kernel = Kernel::scene();
    let mut frame = Arp::request(&REMOTE).broadcast();
    frame.extend([0; 18]);
    let answer = kernel.redirects(Hook::FromContainer, &frame, Counter::ArpAnswered);
    assert_eq!((answer.len(), &answer[42..]), (60, &[0; 18][..]));
}

#[test]
fn an_address_that_no_endpoint_has_is_unknown() {
    let kernel = Kernel::scene();
    kernel.refuses(&Arp::request(&NOBODY).broadcast(), DropReason::UnknownNeigh);
    answers(&kernel, &Arp::request(&REMOTE), &REMOTE);
}

#[test]
fn a_mac_address_answers_for_the_address_it_tells_where_the_endpoint_has_it() {
    let mut kernel = Kernel::scene();
    let frame = Arp::request(&NOBODY).broadcast();
    // An endpoint with a MAC address of its own choice, which looks like another's.
    kernel.set_fdb(VNI, NOBODY.mac, has(Fdb::HAS_LINK_LOCAL, Fdb::remote(0, 0)));
    kernel.refuses(&frame, DropReason::UnknownNeigh);
    kernel.set_neigh(NOBODY.v4, LOCAL.mac);
    answers(&kernel, &Arp::request(&NOBODY), &Station { mac: LOCAL.mac, ..NOBODY });
    kernel.set_fdb(VNI, NOBODY.mac, has(Fdb::HAS_IPV4, Fdb::remote(0, 0)));
    answers(&kernel, &Arp::request(&NOBODY), &NOBODY);
}

#[test]
fn a_probe_for_an_address_taken_is_answered() {
    let kernel = Kernel::scene();
    let probe = Arp { sender: (OWN.mac, Ipv4Addr::UNSPECIFIED), ..Arp::request(&REMOTE) };
    answers(&kernel, &probe, &REMOTE);
}

#[test]
fn a_probe_or_announcement_of_its_own_address_needs_no_answer() {
    let kernel = Kernel::scene();
    let probe = Arp { sender: (OWN.mac, Ipv4Addr::UNSPECIFIED), ..Arp::request(&OWN) };
    kernel.refuses(&probe.broadcast(), DropReason::OwnNeigh);
    kernel.refuses(&Arp::request(&OWN).broadcast(), DropReason::OwnNeigh);
    answers(&kernel, &Arp::request(&REMOTE), &REMOTE);
}

#[test]
fn a_sender_that_is_not_itself_is_spoofed() {
    let kernel = Kernel::scene();
    for sender in [(OWN.mac, REMOTE.v4), (OWN.mac, NOBODY.v4), (REMOTE.mac, OWN.v4), (EXTRA_MAC, OWN.v4)] {
        for oper in [1, 2] {
            let spoofed = Arp { oper, sender, ..Arp::request(&LOCAL) };
            kernel.refuses(&spoofed.broadcast(), DropReason::SpoofedArp);
            let unicast = eth(LOCAL.mac, OWN.mac, 0x0806, &spoofed.packet());
            kernel.refuses(&unicast, DropReason::SpoofedArp);
        }
    }
    answers(&kernel, &Arp::request(&LOCAL), &LOCAL);
}

#[test]
fn an_address_that_the_endpoint_adds_may_ask() {
    let kernel = Kernel::scene();
    let added = Ipv4Addr::new(192, 168, 7, 7);
    answers(&kernel, &Arp { sender: (OWN.mac, added), ..Arp::request(&REMOTE) }, &REMOTE);
    answers(&kernel, &Arp { sender: (EXTRA_MAC, added), ..Arp::request(&REMOTE) }, &REMOTE);
    let other = Arp { sender: (OWN.mac, Ipv4Addr::new(192, 168, 8, 7)), ..Arp::request(&REMOTE) };
    kernel.refuses(&other.broadcast(), DropReason::SpoofedArp);
}

#[test]
fn a_reply_is_forwarded_to_whom_it_is_for() {
    let kernel = Kernel::scene();
    let reply = Arp { oper: 2, sender: (OWN.mac, OWN.v4), target: (REMOTE.mac, REMOTE.v4) };
    let frame = eth(REMOTE.mac, OWN.mac, 0x0806, &reply.packet());
    assert_eq!(read(&kernel.sends(&frame)).inner, frame);
    kernel.refuses(&reply.broadcast(), DropReason::Bum);
}

#[test]
fn what_is_not_ipv4_over_ethernet_is_malformed() {
    let kernel = Kernel::scene();
    let good = Arp::request(&REMOTE).broadcast();
    answers(&kernel, &Arp::request(&REMOTE), &REMOTE);
    // Hardware type, protocol type, both address lengths, operation.
    for (offset, value) in
        [(1, 6), (0, 1), (2, 0x86), (3, 0xdd), (4, 8), (5, 16), (7, 3), (7, 0), (7, 8), (6, 1)]
    {
        let mut bad = good.clone();
        bad[14 + offset] = value;
        kernel.refuses(&bad, DropReason::Malformed);
    }
}

#[test]
fn a_packet_cut_short_is_malformed() {
    let kernel = Kernel::scene();
    let good = Arp::request(&REMOTE).broadcast();
    for len in shortest(&good)..good.len() {
        kernel.refuses(&good[..len], DropReason::Malformed);
    }
}
