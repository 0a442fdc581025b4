//! What others see of us on the underlay, as tshark reads it.

use std::collections::{BTreeMap, BTreeSet};

use overlay_tests::{Capture, Lab};

use crate::{
    support::{BLUE_VNI, container, let_capture_see, pair},
    traffic,
};

/// Packets that the capture must hold at least.
const PACKETS: usize = 10_000;

const FIELDS: [&str; 15] = [
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ip.flags.df",
    "ip.id",
    "udp.srcport",
    "udp.dstport",
    "udp.checksum",
    "vxlan.vni",
    "vxlan.flags",
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "tcp.srcport",
    "ipv6.src",
];

/// The first of a field's values: that of the outer header.
fn outer(row: &[String], field: &str) -> String {
    let index = FIELDS.iter().position(|name| *name == field).expect("a field");
    row[index].split(',').next().unwrap_or_default().to_owned()
}

/// The values that the outer header's field has in all packets.
fn values(rows: &[Vec<String>], field: &str) -> BTreeSet<String> {
    rows.iter().map(|row| outer(row, field)).collect()
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Captures mixed traffic between `a` and `b` on the wire of the first host.
fn captured(lab: &Lab) -> Capture {
    let (a, b) = (container(lab, "a"), container(lab, "b"));
    for container in [a, b] {
        // Checksums that a device would finish, and segments that it would cut, are not on the wire of a veth as
        // they would be on a real one; without offload the container's kernel does both.
        container
            .netns
            .run(&["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off"])
            .expect("ethtool");
    }
    let capture = Capture::start(&lab.underlay.netns, "h1", "ip").expect("a capture");
    traffic::mixed(a, b);
    let_capture_see();
    capture
}

#[test]
fn ten_thousand_packets_are_vxlan_as_it_should_be() {
    let lab = pair("wire");
    let mut capture = captured(&lab);
    let rows = capture.fields("udp.port == 4789", &FIELDS).expect("tshark");
    assert!(rows.len() >= PACKETS, "{} packets", rows.len());
    assert_eq!(values(&rows, "vxlan.vni"), set(&[&BLUE_VNI.to_string()]));
    assert_eq!(values(&rows, "vxlan.flags"), set(&["0x0800"]));
    assert_eq!(values(&rows, "udp.dstport"), set(&["4789"]));
    assert_eq!(values(&rows, "ip.ttl"), set(&["64"]));
    assert_eq!(values(&rows, "ip.id"), set(&["0x0000"]));
    assert_eq!(values(&rows, "udp.checksum"), set(&["0x0000"]));
    assert_eq!(values(&rows, "ip.src"), set(&["10.88.0.1", "10.88.0.2"]));
    assert_eq!(values(&rows, "ip.dst"), set(&["10.88.0.1", "10.88.0.2"]));
    assert_eq!(values(&rows, "_ws.malformed"), set(&[""]));
    let fragmentable = rows.iter().filter(|row| !matches!(outer(row, "ip.flags.df").as_str(), "1" | "True"));
    assert_eq!(fragmentable.count(), 0, "without DF");
    ports_are_spread(&rows);
    // 0 is bad, 1 good; every header of a packet counts, the inner ones too.
    for bad in [
        "ip.checksum.status == 0",
        // The kernel writes a sum of 0 as 0xffff (CSUM_MANGLED_0), which means the same; tshark takes it for wrong.
        "tcp.checksum.status == 0 && tcp.checksum != 0xffff",
        "udp.checksum.status == 0",
        "icmp.checksum.status == 0",
        "icmpv6.checksum.status == 0",
        "_ws.malformed",
    ] {
        let found = capture.fields(bad, &["frame.number", "frame.len", "_ws.col.Info"]).expect("tshark");
        assert_eq!(found, Vec::<Vec<String>>::new(), "{bad}");
    }
    every_protocol_was_there(&mut capture);
}

fn ports_are_spread(rows: &[Vec<String>]) {
    let mut packets: BTreeMap<u16, usize> = BTreeMap::new();
    let mut flows = BTreeSet::new();
    for row in rows.iter().filter(|row| outer(row, "ip.src") == "10.88.0.1") {
        *packets.entry(outer(row, "udp.srcport").parse().expect("a port")).or_default() += 1;
        flows.insert(inner_flow(row));
    }
    let outside: Vec<_> = packets.keys().filter(|port| **port < 49_152).collect();
    assert!(outside.is_empty(), "source ports outside 49152-65535: {outside:?}");
    // The pings are one flow more for each IP version. A capture on a busy machine may miss some.
    assert!(flows.len() >= traffic::FLOWS * 4 / 5, "{} flows of {} captured", flows.len(), traffic::FLOWS);
    // Of some 500 flows in 16384 ports, about 7 meet another by chance.
    let spread = packets.len() * 20 >= flows.len() * 19;
    assert!(spread, "{} source ports for {} flows", packets.len(), flows.len());
    let quarters: BTreeSet<u16> = packets.keys().map(|port| (port - 49_152) / 4096).collect();
    assert_eq!(quarters.len(), 4, "the ports lie in {quarters:?} of four quarters");
}

/// The inner flow of a packet from the first container, by what differs between its flows: version and source port.
fn inner_flow(row: &[String]) -> (bool, String, String) {
    let field = |name: &str| {
        let index = FIELDS.iter().position(|known| *known == name).expect("a field");
        row[index].clone()
    };
    let inner_udp = field("udp.srcport").split(',').nth(1).unwrap_or_default().to_owned();
    (field("ipv6.src").is_empty(), field("tcp.srcport"), inner_udp)
}

fn every_protocol_was_there(capture: &mut Capture) {
    for inner in ["tcp && ipv6", "tcp && !ipv6", "udp && ipv6", "icmp", "icmpv6.type == 128"] {
        let count = capture.fields(inner, &["frame.number"]).expect("tshark").len();
        assert!(count > 500, "{count} packets of {inner}");
    }
    // The control of the checks for bad checksums: tshark looked at them.
    for checked in ["ip.checksum.status == 1", "tcp.checksum.status == 1", "udp.checksum.status == 1"] {
        let count = capture.fields(checked, &["frame.number"]).expect("tshark").len();
        assert!(count > 500, "{count} packets with {checked}");
    }
}
