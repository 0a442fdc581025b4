//! The inner Ethernet header.

use overlay_common::{
    DropReason::{Bum, Malformed, SplitHorizon, UnknownMac, VlanTagged},
    MacAddr,
};

use super::good;
use crate::{
    build::{EXPERIMENTAL, eth, not_ip, udp_v6},
    case::{Group, filled},
    frame::{Family, Frame},
    inner::{datagram, four, six},
    scene::{EGRESS, EXTERNAL, LOCAL, NAMED, NOBODY, PLAIN, REMOTE, Station},
};

/// Both MAC addresses of the good frame in front of this.
fn typed(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    eth(LOCAL.mac, REMOTE.mac, ethertype, payload)
}

pub(crate) fn lengths(family: Family) -> Group {
    let inner = good(family).inner;
    let mut group = Group::new("inner length", good(family));
    for length in [0, 1, 6, 12, 13] {
        let edit = |frame: &mut Frame| frame.inner.truncate(length);
        group = group.rejects(format!("{length}"), Malformed, edit);
    }
    for (name, ethertype, lengths) in
        [("IPv4", 0x0800, [0, 1, 19].as_slice()), ("IPv6", 0x86dd, &[0, 1, 20, 39])]
    {
        for length in lengths {
            let packet = typed(ethertype, &[if ethertype == 0x0800 { 0x45 } else { 0x60 }; 40][..*length]);
            group = group.refuses(format!("{} of type {name}", 14 + length), Malformed, packet);
        }
    }
    for length in [0, 1, 19] {
        let frame = typed(EXPERIMENTAL, &[0xc3; 60][..length]);
        group = group.carries(format!("{}, not IP", frame.len()), frame);
    }
    group
        .delivers_as(
            "20 and padding behind the datagram, not IP",
            filled(family, typed(EXPERIMENTAL, &[7; 6])),
            |frame| {
                (frame.inner, frame.padding) = (typed(EXPERIMENTAL, &[7; 6]), vec![0xee; 60]);
            },
        )
        .carries("54, not IP", typed(EXPERIMENTAL, &[0xc3; 40]))
        .carries("34 of type IPv4", inner[..34].to_vec())
        .carries("54 of type IPv6", udp_v6(&REMOTE, &LOCAL)[..54].to_vec())
}

pub(crate) fn types(family: Family) -> Group {
    const TAKES: &str = "inner VLAN tag";
    let tagged = |tags: &[[u8; 4]]| {
        let mut frame = good(family).inner;
        frame.splice(12..12, tags.concat());
        frame
    };
    let mut group =
        Group::new("inner EtherType", good(family)).carries("for experiments", not_ip(&REMOTE, &LOCAL));
    for (name, ethertype) in [
        ("a length (802.3)", 0x002e),
        ("Wake-on-LAN", 0x0842),
        ("RARP", 0x8035),
        ("AppleTalk", 0x809b),
        ("IPX", 0x8137),
        ("MPLS", 0x8847),
        ("PPPoE", 0x8864),
        ("EAPOL", 0x888e),
        ("LLDP to one station", 0x88cc),
        ("MACsec", 0x88e5),
        ("PTP", 0x88f7),
        ("FCoE", 0x8906),
        ("double tags of old (0x9100)", 0x9100),
        ("0", 0),
        ("65535", 0xffff),
    ] {
        group = group.carries(name, typed(ethertype, &[0x5a; 46]));
    }
    group
        .refuses("802.1Q, VLAN 7", VlanTagged, tagged(&[[0x81, 0, 0, 7]]))
        .kernel(TAKES)
        .refuses("802.1Q, priority tag", VlanTagged, tagged(&[[0x81, 0, 0, 0]]))
        .kernel(TAKES)
        .refuses("802.1ad", VlanTagged, tagged(&[[0x88, 0xa8, 0, 7]]))
        .kernel(TAKES)
        .refuses("802.1ad and 802.1Q", VlanTagged, tagged(&[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 8]]))
        .kernel(TAKES)
        .refuses("802.1Q and nothing behind it", VlanTagged, tagged(&[[0x81, 0, 0, 7]])[..18].to_vec())
}

pub(crate) fn sources(family: Family) -> Group {
    const TAKES: &str = "inner source MAC";
    let from = |mac: [u8; 6]| {
        let mut frame = good(family).inner;
        frame[6..12].copy_from_slice(&mac);
        frame
    };
    Group::new("inner source", good(family))
        .refuses("zero", Malformed, from([0; 6]))
        .kernel(TAKES)
        .refuses("broadcast", Malformed, from([0xff; 6]))
        .kernel(TAKES)
        .refuses("IPv4 multicast", Malformed, from([1, 0, 0x5e, 0, 0, 1]))
        .kernel(TAKES)
        .refuses("IPv6 multicast", Malformed, from([0x33, 0x33, 0, 0, 0, 1]))
        .kernel(TAKES)
        .refuses("a group bit", Malformed, from([3, 0x42, 10, 1, 0, 3]))
        .kernel(TAKES)
        // Its node has checked it; of an external VTEP only what it says in ARP and neighbour discovery is.
        .carries("a station in no table", from(NOBODY.mac.octets()))
        .carries("a station behind another VTEP", from(PLAIN.mac.octets()))
        .carries("the destination itself", from(LOCAL.mac.octets()))
        .carries("another station here", from(EGRESS.mac.octets()))
        .carries("the underlay device's", from([2, 0, 0, 0, 0, 0x51]))
        .carries("a universal address", from([0, 0x1b, 0x21, 1, 2, 3]))
}

pub(crate) fn destinations(family: Family) -> Group {
    const FLOODS: &str = "broadcast, multicast";
    const LEARNS: &str = "MAC in no table";
    const LOOPS: &str = "behind a VTEP";
    let all = |group: [u8; 6]| Station { mac: MacAddr::new(group), ..LOCAL };
    let to = |group: [u8; 6]| four(&REMOTE, &all(group), 17, &datagram());
    let mut group = Group::new("inner destination", good(family))
        .carries("another station here, through its device", four(&REMOTE, &EGRESS, 17, &datagram()))
        .carries("one whose MAC is not derived from its address", four(&REMOTE, &NAMED, 17, &datagram()))
        .delivers_as("ours, from the other member", four(&PLAIN, &LOCAL, 17, &datagram()), |frame| {
            *frame = Frame::new(family, four(&PLAIN, &LOCAL, 17, &datagram())).from(EXTERNAL);
        });
    for (name, mac) in [
        ("broadcast", [0xff; 6]),
        ("IPv4 multicast", [1, 0, 0x5e, 0, 0, 251]),
        ("IPv6 multicast", [0x33, 0x33, 0, 0, 0, 1]),
        ("bridges (STP)", [1, 0x80, 0xc2, 0, 0, 0]),
        ("any group", [3, 0, 0, 0, 0, 1]),
    ] {
        group = group.refuses(name, Bum, to(mac)).kernel(FLOODS);
    }
    group = group
        .refuses("broadcast, IPv6 UDP", Bum, six(&REMOTE, &all([0xff; 6]), 17, &datagram()))
        .kernel(FLOODS)
        .refuses("broadcast, not IP", Bum, eth(MacAddr::BROADCAST, REMOTE.mac, EXPERIMENTAL, &[1; 46]))
        .kernel(FLOODS)
        .refuses("broadcast, tagged", Bum, eth(MacAddr::BROADCAST, REMOTE.mac, 0x8100, &[1; 46]))
        .kernel(FLOODS);
    for (name, station) in [
        ("a station in no table", NOBODY),
        ("zero", all([0; 6])),
        ("one bit from a station's", all([2, 0x42, 10, 1, 0, 0x81])),
        ("the underlay device's", all([2, 0, 0, 0, 0, 0x51])),
    ] {
        group = group.refuses(name, UnknownMac, four(&REMOTE, &station, 17, &datagram())).kernel(LEARNS);
    }
    group
        .refuses("a station in no table, not IP", UnknownMac, not_ip(&REMOTE, &NOBODY))
        .kernel(LEARNS)
        .refuses("the sender itself", SplitHorizon, four(&REMOTE, &REMOTE, 17, &datagram()))
        .kernel(LOOPS)
        .refuses("a station behind another VTEP", SplitHorizon, four(&REMOTE, &PLAIN, 17, &datagram()))
        .kernel(LOOPS)
        .refuses("a station behind another VTEP, IPv6", SplitHorizon, six(&REMOTE, &PLAIN, 17, &datagram()))
        .kernel(LOOPS)
        .refuses("a station behind another VTEP, not IP", SplitHorizon, not_ip(&REMOTE, &PLAIN))
        .kernel(LOOPS)
}
