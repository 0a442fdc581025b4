//! Neighbour discovery of a container: what it says of itself and others is checked.

use std::net::Ipv6Addr;

use overlay_common::{DropReason, MacAddr};

use crate::{
    frames::{read, shortest},
    harness::Kernel,
    nd::{Message, SOURCE, TARGET, answers, option},
    scene::{EXTRA_MAC, LOCAL, OWN, REMOTE},
};

const NONCE: [u8; 8] = [14, 1, 1, 2, 3, 4, 5, 6];

#[test]
fn a_solicitation_from_another_address_is_spoofed() {
    let kernel = Kernel::scene();
    let spoofed = Message { from: LOCAL.v6, ..Message::solicitation(REMOTE.v6) };
    kernel.refuses(&spoofed.frame(), DropReason::SpoofedIp);
    kernel.refuses(&Message::solicitation(REMOTE.v6).frame_from(LOCAL.mac), DropReason::SpoofedMac);
    answers(&kernel, &Message::solicitation(REMOTE.v6), REMOTE.mac);
}

#[test]
fn a_solicitation_that_names_another_source_mac_is_spoofed() {
    let kernel = Kernel::scene();
    let with = |options| Message { options, ..Message::solicitation(REMOTE.v6) };
    for mac in [LOCAL.mac, MacAddr::ZERO, MacAddr::BROADCAST] {
        kernel.refuses(&with(option(SOURCE, mac)).frame(), DropReason::SpoofedNd);
        // Behind another option, and behind its own.
        kernel.refuses(&with([NONCE.to_vec(), option(SOURCE, mac)].concat()).frame(), DropReason::SpoofedNd);
        let both = [option(SOURCE, OWN.mac), option(SOURCE, mac)].concat();
        kernel.refuses(&with(both).frame(), DropReason::SpoofedNd);
    }
    answers(&kernel, &with(option(SOURCE, OWN.mac)), REMOTE.mac);
    answers(&kernel, &with(option(SOURCE, EXTRA_MAC)), REMOTE.mac);
}

#[test]
fn an_advertisement_of_its_own_address_is_forwarded() {
    let kernel = Kernel::scene();
    for target in [OWN.v6, OWN.mac.link_local(), Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 9)] {
        let frame = Message { target, ..Message::advertisement(&REMOTE) }.frame();
        assert_eq!(read(&kernel.sends(&frame)).inner, frame);
    }
}

#[test]
fn an_advertisement_of_anothers_address_is_spoofed() {
    let kernel = Kernel::scene();
    for target in [LOCAL.v6, REMOTE.v6, LOCAL.mac.link_local(), Ipv6Addr::UNSPECIFIED] {
        let spoofed = Message { target, ..Message::advertisement(&REMOTE) };
        kernel.refuses(&spoofed.frame(), DropReason::SpoofedNd);
        kernel.refuses(&Message { options: vec![], ..spoofed }.frame(), DropReason::SpoofedNd);
    }
    kernel.sends(&Message::advertisement(&REMOTE).frame());
}

#[test]
fn an_advertisement_that_names_another_target_mac_is_spoofed() {
    let kernel = Kernel::scene();
    let with = |options| Message { options, ..Message::advertisement(&REMOTE) }.frame();
    kernel.refuses(&with(option(TARGET, LOCAL.mac)), DropReason::SpoofedNd);
    kernel.refuses(&with([NONCE.to_vec(), option(TARGET, LOCAL.mac)].concat()), DropReason::SpoofedNd);
    kernel.sends(&with(option(TARGET, OWN.mac)));
    kernel.sends(&with(option(TARGET, EXTRA_MAC)));
}

#[test]
fn an_advertisement_to_all_nodes_is_multicast() {
    let kernel = Kernel::scene();
    let to = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    kernel.refuses(&Message { to, ..Message::advertisement(&REMOTE) }.frame(), DropReason::Bum);
}

#[test]
fn a_message_that_came_through_a_router_is_malformed() {
    let kernel = Kernel::scene();
    for hop_limit in [0, 1, 64, 254] {
        let ask = Message { hop_limit, ..Message::solicitation(REMOTE.v6) };
        kernel.refuses(&ask.frame(), DropReason::Malformed);
        let claim = Message { hop_limit, ..Message::advertisement(&REMOTE) };
        kernel.refuses(&claim.frame(), DropReason::Malformed);
    }
    answers(&kernel, &Message::solicitation(REMOTE.v6), REMOTE.mac);
}

#[test]
fn an_option_of_length_0_is_malformed() {
    let kernel = Kernel::scene();
    for kind in [SOURCE, TARGET, 14, 0] {
        let mut empty = option(kind, OWN.mac);
        empty[1] = 0;
        let ask = Message { options: empty.clone(), ..Message::solicitation(REMOTE.v6) };
        kernel.refuses(&ask.frame(), DropReason::Malformed);
        let second = [NONCE.to_vec(), empty.clone()].concat();
        let ask = Message { options: second, ..Message::solicitation(REMOTE.v6) };
        kernel.refuses(&ask.frame(), DropReason::Malformed);
        let claim = Message { options: empty, ..Message::advertisement(&REMOTE) };
        kernel.refuses(&claim.frame(), DropReason::Malformed);
    }
}

#[test]
fn more_options_than_are_followed_are_malformed() {
    let kernel = Kernel::scene();
    let with = |count| Message { options: NONCE.repeat(count), ..Message::solicitation(REMOTE.v6) };
    answers(&kernel, &with(4), REMOTE.mac);
    kernel.refuses(&with(5).frame(), DropReason::Malformed);
}

#[test]
fn an_option_longer_than_8_bytes_is_stepped_over() {
    let kernel = Kernel::scene();
    let mut long = vec![0; 24];
    long[..2].copy_from_slice(&[14, 3]);
    let with = |mac| Message {
        options: [long.clone(), option(SOURCE, mac)].concat(),
        ..Message::solicitation(REMOTE.v6)
    };
    answers(&kernel, &with(OWN.mac), REMOTE.mac);
    kernel.refuses(&with(LOCAL.mac).frame(), DropReason::SpoofedNd);
}

#[test]
fn a_mapped_ipv4_address_as_target_is_malformed() {
    let kernel = Kernel::scene();
    let mapped = REMOTE.v4.to_ipv6_mapped();
    kernel.refuses(&Message::solicitation(mapped).frame(), DropReason::Malformed);
    let own = Message { target: OWN.v4.to_ipv6_mapped(), ..Message::advertisement(&REMOTE) };
    kernel.refuses(&own.frame(), DropReason::Malformed);
}

#[test]
fn a_message_cut_short_is_malformed() {
    let kernel = Kernel::scene();
    let frame = Message { options: vec![], ..Message::solicitation(REMOTE.v6) }.frame();
    for len in shortest(&frame)..frame.len() {
        kernel.refuses(&frame[..len], DropReason::Malformed);
    }
}
