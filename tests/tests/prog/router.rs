//! Only an endpoint that may be a router speaks as one; and what cannot be followed is not let through.

use etherparse::IpNumber;
use overlay_common::{DropReason, map::Port};

use crate::{
    frames::{eth, extension, icmpv6, read, udp, v6, v6_with},
    harness::Kernel,
    nd::Message,
    scene::{OWN, REMOTE, port},
};

/// ICMPv6 types: echo request, router solicitation and advertisement, redirect.
const ECHO: u8 = 128;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;

/// An ICMPv6 message behind extension headers, each named by its number.
fn behind(headers: &[IpNumber], kind: u8) -> Vec<u8> {
    let mut next = IpNumber::IPV6_ICMP;
    let mut payload = icmpv6(OWN.v6, REMOTE.v6, kind, &[0; 36]);
    for (place, header) in headers.iter().enumerate().rev() {
        payload = [extension(next, u8::try_from(place).expect("few headers")), payload].concat();
        next = *header;
    }
    let packet = v6_with(OWN.v6, REMOTE.v6, next, &payload, |ip| ip.hop_limit = 255);
    eth(REMOTE.mac, OWN.mac, 0x86dd, &packet)
}

const HOP_BY_HOP: IpNumber = IpNumber::IPV6_HEADER_HOP_BY_HOP;
const OPTIONS: IpNumber = IpNumber::IPV6_DESTINATION_OPTIONS;
const ROUTING: IpNumber = IpNumber::IPV6_ROUTE_HEADER;

#[test]
fn advertisements_and_redirects_of_a_router_are_dropped() {
    let kernel = Kernel::scene();
    for headers in [
        &[][..],
        &[HOP_BY_HOP],
        &[OPTIONS],
        &[ROUTING],
        &[HOP_BY_HOP, OPTIONS],
        &[HOP_BY_HOP, OPTIONS, ROUTING],
        &[HOP_BY_HOP, OPTIONS, ROUTING, OPTIONS],
    ] {
        for kind in [ROUTER_ADVERTISEMENT, REDIRECT] {
            kernel.refuses(&behind(headers, kind), DropReason::RogueRa);
        }
        for kind in [ECHO, ROUTER_SOLICITATION] {
            let frame = behind(headers, kind);
            assert_eq!(read(&kernel.sends(&frame)).inner, frame);
        }
    }
}

#[test]
fn an_endpoint_that_may_be_a_router_is_let_through() {
    let mut kernel = Kernel::scene();
    kernel.set_port(&port(&[], Port::ALLOW_DHCP_SERVER));
    kernel.refuses(&behind(&[], ROUTER_ADVERTISEMENT), DropReason::RogueRa);
    kernel.set_port(&port(&[], Port::ALLOW_RA));
    kernel.sends(&behind(&[], ROUTER_ADVERTISEMENT));
    kernel.sends(&behind(&[HOP_BY_HOP], REDIRECT));
}

#[test]
fn an_icmpv6_type_counts_in_ipv6_only() {
    let kernel = Kernel::scene();
    let payload = icmpv6(OWN.v6, REMOTE.v6, ROUTER_ADVERTISEMENT, &[0; 12]);
    let packet = crate::frames::v4(OWN.v4, REMOTE.v4, IpNumber::IPV6_ICMP, &payload);
    kernel.sends(&eth(REMOTE.mac, OWN.mac, 0x0800, &packet));
}

#[test]
fn more_extension_headers_than_are_followed_are_malformed() {
    let kernel = Kernel::scene();
    kernel.sends(&behind(&[OPTIONS; 4], ECHO));
    kernel.refuses(&behind(&[OPTIONS; 5], ECHO), DropReason::Malformed);
    kernel.refuses(&behind(&[OPTIONS; 8], ECHO), DropReason::Malformed);
}

#[test]
fn an_extension_header_that_leads_past_the_frame_is_malformed() {
    let kernel = Kernel::scene();
    let with = |len| {
        let mut payload = [extension(IpNumber::UDP, 0), udp(1, 2, &[0; 64])].concat();
        payload[1] = len;
        eth(REMOTE.mac, OWN.mac, 0x86dd, &v6(OWN.v6, REMOTE.v6, OPTIONS, &payload))
    };
    kernel.sends(&with(0));
    kernel.sends(&with(8));
    for len in [9, 10, 255] {
        kernel.refuses(&with(len), DropReason::Malformed);
    }
    // An option header that is not there at all.
    kernel.refuses(
        &eth(REMOTE.mac, OWN.mac, 0x86dd, &v6(OWN.v6, REMOTE.v6, OPTIONS, &[])),
        DropReason::Malformed,
    );
}

/// An ICMPv6 message in a fragment.
fn fragment(place: u16, message: &[u8]) -> Vec<u8> {
    let [high, low] = place.to_be_bytes();
    let payload = [&[IpNumber::IPV6_ICMP.0, 0, high, low, 0, 0, 0, 1], message].concat();
    let packet =
        v6_with(OWN.v6, REMOTE.v6, IpNumber::IPV6_FRAGMENTATION_HEADER, &payload, |ip| ip.hop_limit = 255);
    eth(REMOTE.mac, OWN.mac, 0x86dd, &packet)
}

#[test]
fn neighbour_discovery_in_fragments_is_malformed() {
    let kernel = Kernel::scene();
    // RFC 6980: no node fragments these; who does hides from such guards as this one.
    let spoofed = Message { target: REMOTE.v6, ..Message::advertisement(&REMOTE) };
    for more in [0, 1] {
        for kind in [ROUTER_ADVERTISEMENT, REDIRECT] {
            kernel
                .refuses(&fragment(more, &icmpv6(OWN.v6, REMOTE.v6, kind, &[0; 36])), DropReason::Malformed);
        }
        kernel.refuses(&fragment(more, &spoofed.bytes()), DropReason::Malformed);
        kernel.sends(&fragment(more, &icmpv6(OWN.v6, REMOTE.v6, ECHO, &[0; 36])));
    }
    // A later fragment begins anywhere.
    kernel.sends(&fragment(64, &[ROUTER_ADVERTISEMENT; 40]));
}
