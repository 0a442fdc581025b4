//! ARP and neighbour discovery of a plain VXLAN device: what it claims, and whom it asks for.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::IpNumber;
use overlay_common::{
    DropReason::{
        Bum, Malformed, OwnNeigh, SplitHorizon, SpoofedArp, SpoofedIp, SpoofedMac, SpoofedNd, UnknownNeigh,
    },
    MacAddr,
};

use crate::{
    build::{extension, icmpv6},
    case::{Group, filled},
    frame::{Family, Frame},
    inner::{Neighbour, arp as packet, solicited},
    scene::{EGRESS, EXTERNAL, LOCAL, NAMED, NOBODY, PLAIN, REMOTE},
};

const ALL: MacAddr = MacAddr::BROADCAST;
const CLAIMS_ARP: &str = "claim: ARP";
const CLAIMS_MAC: &str = "claim: another VTEP";
const CLAIMS_ND_SOURCE: &str = "claim: ND source";
const CLAIMS_ND_OPTION: &str = "claim: ND option";
const TOLD: &str = "neighbours: no question";

/// In VXLAN from the plain device.
fn plain(family: Family, inner: Vec<u8>) -> Frame {
    Frame::new(family, inner).from(EXTERNAL)
}

/// A true request to everybody for an address.
fn request(target: Ipv4Addr) -> Vec<u8> {
    packet((PLAIN.mac, ALL), true, (PLAIN.mac, PLAIN.v4), target)
}

fn edited(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    frame[14 + at] = value;
    frame
}

/// Whom questions and answers reach.
pub(crate) fn arp(family: Family) -> Group {
    let probe = |target| packet((PLAIN.mac, ALL), true, (PLAIN.mac, Ipv4Addr::UNSPECIFIED), target);
    let to_one = |request| packet((PLAIN.mac, LOCAL.mac), request, (PLAIN.mac, PLAIN.v4), LOCAL.v4);
    Group::new("ARP", plain(family, request(LOCAL.v4)))
        .carries("request for one delivered to through its device", request(EGRESS.v4))
        .carries("request for one with another MAC", request(NAMED.v4))
        .carries("probe", probe(LOCAL.v4))
        .carries("request to one station", to_one(true))
        .carries("reply", to_one(false))
        .carries("padded to 60 bytes", [request(LOCAL.v4), vec![0; 18]].concat())
        .refuses("request for a station elsewhere", SplitHorizon, request(REMOTE.v4))
        .kernel("neighbours: elsewhere")
        .refuses("request for nobody", UnknownNeigh, request(NOBODY.v4))
        .kernel("neighbours: nobody")
        .refuses("announcement", OwnNeigh, request(PLAIN.v4))
        .kernel("neighbours: own")
        .refuses("probe for its own address", OwnNeigh, probe(PLAIN.v4))
        .kernel("neighbours: own")
        .refuses("reply to everybody", Bum, packet((PLAIN.mac, ALL), false, (PLAIN.mac, PLAIN.v4), PLAIN.v4))
        .kernel(TOLD)
}

/// What it claims.
pub(crate) fn arp_checked(family: Family) -> Group {
    const UNREAD: &str = "neighbours: malformed";
    let names = |mac, ip| packet((PLAIN.mac, ALL), true, (mac, ip), EGRESS.v4);
    let from = |mac| packet((mac, ALL), true, (mac, PLAIN.v4), LOCAL.v4);
    let good = || request(LOCAL.v4);
    let node_arp = |station: &crate::scene::Station| {
        packet((station.mac, ALL), true, (station.mac, station.v4), LOCAL.v4)
    };
    let mut group = Group::new("ARP claim", plain(family, good()));
    for (name, mac, ip) in [
        ("another's address", PLAIN.mac, REMOTE.v4),
        ("the address of a station here", PLAIN.mac, LOCAL.v4),
        ("an address of nobody", PLAIN.mac, NOBODY.v4),
        ("broadcast as its address", PLAIN.mac, Ipv4Addr::BROADCAST),
        ("another's MAC", LOCAL.mac, PLAIN.v4),
        ("a MAC of zero", MacAddr::ZERO, PLAIN.v4),
        ("a MAC of everybody", ALL, PLAIN.v4),
    ] {
        group = group.refuses(name, SpoofedArp, names(mac, ip)).kernel(CLAIMS_ARP);
    }
    let reply = packet((PLAIN.mac, LOCAL.mac), false, (PLAIN.mac, REMOTE.v4), LOCAL.v4);
    group
        .refuses("another's address in a reply", SpoofedArp, reply)
        .kernel(CLAIMS_ARP)
        .refuses("from a station behind another VTEP", SpoofedMac, from(REMOTE.mac))
        .kernel(CLAIMS_MAC)
        .refuses("from a station here", SpoofedMac, from(EGRESS.mac))
        .kernel(CLAIMS_MAC)
        .refuses("from a station in no table", SpoofedMac, from(NOBODY.mac))
        .kernel(CLAIMS_MAC)
        .refuses("hardware type 6", Malformed, edited(good(), 1, 6))
        .kernel(UNREAD)
        .refuses("protocol IPv6", Malformed, edited(edited(good(), 2, 0x86), 3, 0xdd))
        .kernel(UNREAD)
        .refuses("hardware address of 5 bytes", Malformed, edited(good(), 4, 5))
        .kernel(UNREAD)
        .refuses("protocol address of 16 bytes", Malformed, edited(good(), 5, 16))
        .kernel(UNREAD)
        .refuses("cut before its last byte", Malformed, good()[..41].to_vec())
        .kernel(UNREAD)
        .refuses("nothing but Ethernet", Malformed, good()[..14].to_vec())
        .kernel(UNREAD)
        .delivers_as("of a node of ours, to everybody", filled(family, node_arp(&REMOTE)), |frame| {
            *frame = Frame::new(family, node_arp(&REMOTE));
        })
        .drops("of a node of ours, for a station that it has not", SpoofedMac, |frame| {
            *frame = Frame::new(family, node_arp(&PLAIN));
        })
        .kernel(CLAIMS_MAC)
}

/// Questions by neighbour discovery.
pub(crate) fn solicitations(family: Family) -> Group {
    let good = Neighbour::question(&PLAIN, LOCAL.v6);
    let asks = |target| Neighbour::question(&PLAIN, target).frame();
    let dad = |target| Neighbour {
        src: (PLAIN.mac, Ipv6Addr::UNSPECIFIED),
        claims: None,
        ..Neighbour::question(&PLAIN, target)
    };
    let from = |src| Neighbour { src, ..good }.frame();
    let hidden = [extension(IpNumber::IPV6_ICMP, 0), good.message()].concat();
    let to_one = Neighbour { dst: (LOCAL.mac, LOCAL.v6), ..good };
    let fragment = [&[58, 0, 0, 1, 0, 0, 0, 7][..], &to_one.message()].concat();
    Group::new("solicitation", plain(family, good.frame()))
        .carries("for the link-local address", asks(LOCAL.mac.link_local()))
        .carries("for one delivered to through its device", asks(EGRESS.v6))
        .carries("from the link-local address", from((PLAIN.mac, PLAIN.mac.link_local())))
        .carries("without a link-layer address", Neighbour { claims: None, ..good }.frame())
        .carries("to one station", to_one.frame())
        .carries("duplicate address detection", dad(LOCAL.v6).frame())
        .refuses("for a station elsewhere", SplitHorizon, asks(REMOTE.v6))
        .kernel("neighbours: elsewhere")
        .refuses("for nobody", UnknownNeigh, asks(NOBODY.v6))
        .kernel("neighbours: nobody")
        .refuses("duplicate address detection of its own", OwnNeigh, dad(PLAIN.v6).frame())
        .kernel("neighbours: own")
        .refuses("from another's address", SpoofedIp, from((PLAIN.mac, REMOTE.v6)))
        .kernel(CLAIMS_ND_SOURCE)
        .refuses("from the address of a station here", SpoofedIp, from((PLAIN.mac, LOCAL.v6)))
        .kernel(CLAIMS_ND_SOURCE)
        .refuses("from its IPv4 address, mapped", SpoofedIp, from((PLAIN.mac, PLAIN.v4.to_ipv6_mapped())))
        .kernel(CLAIMS_ND_SOURCE)
        .refuses("from a station behind another VTEP", SpoofedMac, from((REMOTE.mac, PLAIN.v6)))
        .kernel(CLAIMS_MAC)
        .refuses("claims another's MAC", SpoofedNd, Neighbour { claims: Some(LOCAL.mac), ..good }.frame())
        .kernel(CLAIMS_ND_OPTION)
        .refuses("hop limit 254", Malformed, Neighbour { hops: 254, ..good }.frame())
        .kernel("neighbours: malformed")
        .refuses("for an IPv4 address, mapped", Malformed, asks(LOCAL.v4.to_ipv6_mapped()))
        .kernel("neighbours: malformed")
        .refuses("an option of no length", Malformed, {
            let body = [&[0; 4][..], &good.target.octets(), &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
            good.with(IpNumber::IPV6_ICMP, &icmpv6(good.src.1, good.dst.1, 135, &body))
        })
        .kernel("neighbours: malformed")
        .refuses("cut in its target", Malformed, good.frame()[..14 + 40 + 20].to_vec())
        .kernel("neighbours: malformed")
        .refuses("behind an extension header, to a group", Bum, good.with(IpNumber(60), &hidden))
        .kernel("broadcast, multicast")
        .carries("behind an extension header, to one station", to_one.with(IpNumber(60), &hidden_of(&to_one)))
        .refuses("in a fragment, to one station (RFC 6980)", Malformed, to_one.with(IpNumber(44), &fragment))
        .kernel("neighbours: malformed")
        .refuses("to all nodes, for a station elsewhere", SplitHorizon, {
            let all = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
            Neighbour { dst: all, ..Neighbour::question(&PLAIN, REMOTE.v6) }.frame()
        })
        .kernel("neighbours: elsewhere")
}

/// A message behind an extension header.
fn hidden_of(neighbour: &Neighbour) -> Vec<u8> {
    [extension(IpNumber::IPV6_ICMP, 0), neighbour.message()].concat()
}

/// What it says of itself by neighbour discovery, and what else is for groups.
pub(crate) fn advertisements(family: Family) -> Group {
    let good = Neighbour::answer(&PLAIN, &LOCAL);
    let all = (MacAddr::new([0x33, 0x33, 0, 0, 0, 1]), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let target = |target| Neighbour { target, ..good }.frame();
    let spoofed = |claims| Neighbour { claims: Some(claims), ..good }.frame();
    let mut group = Group::new("advertisement", plain(family, good.frame()))
        .carries("of the link-local address", target(PLAIN.mac.link_local()))
        .carries("without a link-layer address", Neighbour { claims: None, ..good }.frame())
        .refuses("of another's address", SpoofedNd, target(REMOTE.v6))
        .kernel(CLAIMS_ND_OPTION)
        .refuses("of an address of a station here", SpoofedNd, target(EGRESS.v6))
        .kernel(CLAIMS_ND_OPTION)
        .refuses("of an address of nobody", SpoofedNd, target(NOBODY.v6))
        .kernel(CLAIMS_ND_OPTION)
        .refuses("claims another's MAC", SpoofedNd, spoofed(REMOTE.mac))
        .kernel(CLAIMS_ND_OPTION)
        .refuses("claims the MAC of who is told", SpoofedNd, spoofed(LOCAL.mac))
        .kernel(CLAIMS_ND_OPTION)
        .refuses("hop limit 64", Malformed, Neighbour { hops: 64, ..good }.frame())
        .kernel("neighbours: malformed")
        .refuses("to all nodes", Bum, Neighbour { dst: all, ..good }.frame())
        .kernel(TOLD)
        .refuses("to the group of an address", Bum, Neighbour { dst: solicited(LOCAL.v6), ..good }.frame())
        .kernel(TOLD)
        .refuses("from a station in no table", SpoofedMac, Neighbour::answer(&NOBODY, &LOCAL).frame())
        .kernel(CLAIMS_MAC);
    for (name, kind) in [
        ("echo request", 128),
        ("router solicitation", 133),
        ("router advertisement", 134),
        ("redirect", 137),
        ("multicast listener report", 143),
    ] {
        let frame = Neighbour { kind, dst: all, claims: None, ..good }.frame();
        group = group.refuses(format!("{name} to all nodes"), Bum, frame).kernel("broadcast, multicast");
    }
    group
}
