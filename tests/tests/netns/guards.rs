//! A container sends as itself alone.

use std::net::Ipv4Addr;

use etherparse::ArpOperation;
use overlay_tests::{Capture, Host, Lab};

use crate::{
    frames::{BROADCAST, Macs, advertisement, arp, udp4, udp6},
    support::{BLUE, Drops, addresses, container, hosts, let_capture_see, mac, pair, start, v4, v6},
};

/// Own address of the sender, and of its targets on another host and on its own.
const SENDER: u8 = 1;
const TARGETS: [(&str, u8); 2] = [("b", 2), ("c", 3)];
/// An address and MAC address that nobody has.
const NOBODY: u8 = 77;

/// What a lie is, the reason it is counted under, and how a capture shows it: display filter and field.
struct Lie {
    what: &'static str,
    reason: &'static str,
    frame: Vec<u8>,
    truth: Vec<u8>,
    shown: (&'static str, &'static str),
    /// What the field is in the truth.
    value: String,
}

/// The lies that container 1 may tell to `target`, each with the truth beside it.
fn lies(target: u8) -> Vec<Lie> {
    let own: Macs = (mac(SENDER), mac(target));
    let marked = ("udp.srcport == 5555", "udp.dstport");
    vec![
        Lie {
            what: "another's MAC address",
            reason: "spoofed_mac",
            frame: udp4((mac(NOBODY), own.1), v4(SENDER), v4(target), 6001),
            truth: udp4(own, v4(SENDER), v4(target), 6002),
            shown: marked,
            value: "6002".to_owned(),
        },
        Lie {
            what: "another's IPv4 address",
            reason: "spoofed_ip",
            frame: udp4(own, v4(NOBODY), v4(target), 6003),
            truth: udp4(own, v4(SENDER), v4(target), 6004),
            shown: marked,
            value: "6004".to_owned(),
        },
        Lie {
            what: "another's IPv6 address",
            reason: "spoofed_ip",
            frame: udp6(own, v6(NOBODY), v6(target), 6005),
            truth: udp6(own, v6(SENDER), v6(target), 6006),
            shown: marked,
            value: "6006".to_owned(),
        },
    ]
}

/// The lies about who is where that container 1 may tell to `target`.
fn claims(target: u8) -> Vec<Lie> {
    let own: Macs = (mac(SENDER), mac(target));
    let claim = || arp(own, ArpOperation::REPLY, v4(SENDER), v4(target));
    let advertise = || advertisement(own, v6(SENDER), v6(target), v6(SENDER));
    let shown_arp = ("arp.opcode == 2", "arp.src.proto_ipv4");
    let shown_nd = ("icmpv6.type == 136", "icmpv6.nd.na.target_address");
    vec![
        Lie {
            what: "another's IPv4 address in an ARP answer",
            reason: "spoofed_arp",
            frame: arp(own, ArpOperation::REPLY, v4(NOBODY), v4(target)),
            truth: claim(),
            shown: shown_arp,
            value: v4(SENDER).to_string(),
        },
        Lie {
            what: "another's MAC address in an ARP answer",
            reason: "spoofed_arp",
            frame: with_mac(claim(), 22),
            truth: claim(),
            shown: shown_arp,
            value: v4(SENDER).to_string(),
        },
        Lie {
            what: "another's IPv6 address in a neighbour advertisement",
            reason: "spoofed_nd",
            frame: advertisement(own, v6(SENDER), v6(target), v6(NOBODY)),
            truth: advertise(),
            shown: shown_nd,
            value: v6(SENDER).to_string(),
        },
        Lie {
            what: "another's MAC address in a neighbour advertisement",
            reason: "spoofed_nd",
            frame: with_mac(advertise(), 14 + 40 + 24 + 2),
            truth: advertise(),
            shown: shown_nd,
            value: v6(SENDER).to_string(),
        },
    ]
}

/// The frame with the MAC address of nobody at an offset, where that of the sender was.
fn with_mac(mut frame: Vec<u8>, offset: usize) -> Vec<u8> {
    let field = &mut frame[offset..offset + 6];
    assert_eq!(field, mac(SENDER));
    field.copy_from_slice(&mac(NOBODY));
    frame
}

/// `a` (1) and `c` (3) on the first host, `b` (2) on the second.
fn trio(name: &str) -> Lab {
    let mut lab = hosts(name, 2);
    for (name, number, host) in [("a", SENDER, 0), ("b", 2, 1), ("c", 3, 0)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    lab
}

#[test]
fn a_lie_is_counted_and_not_delivered_and_the_truth_beside_it_is() {
    let lab = trio("lies");
    let sender = container(&lab, "a");
    for (name, number) in TARGETS {
        let target = container(&lab, name);
        for lie in lies(number).into_iter().chain(claims(number)) {
            let what = format!("{} to {name}", lie.what);
            let before = Drops::read(&lab.hosts[0]);
            let mut capture = Capture::inbound(&target.netns, "eth0", "").expect("a capture");
            sender.netns.inject("eth0", &[lie.frame, lie.truth]).expect("sent");
            let_capture_see();
            let seen = capture.fields(lie.shown.0, &[lie.shown.1]).expect("tshark");
            assert_eq!(seen, [[lie.value]], "{what}");
            before.since(&lab.hosts[0]).assert(&[(lie.reason, Some(BLUE), 1)], &what);
        }
    }
}

/// The answers to ARP requests sent raw from `a`: who they say is there.
fn asked(lab: &Lab, frames: &[Vec<u8>]) -> Vec<Vec<String>> {
    let a = container(lab, "a");
    let mut capture = Capture::inbound(&a.netns, "eth0", "arp").expect("a capture");
    a.netns.inject("eth0", frames).expect("sent");
    let_capture_see();
    capture.fields("arp.opcode == 2", &["arp.src.proto_ipv4", "arp.src.hw_mac"]).expect("tshark")
}

#[test]
fn arp_requests_of_a_liar_get_no_answer() {
    let lab = pair("arplie");
    let host: &Host = &lab.hosts[0];
    let question = |sender: Ipv4Addr| arp((mac(1), BROADCAST), ArpOperation::REQUEST, sender, v4(2));
    let before = Drops::read(host);
    assert_eq!(asked(&lab, &[question(v4(NOBODY))]).len(), 0);
    before.since(host).assert(&[("spoofed_arp", Some(BLUE), 1)], "a lie");
    let before = Drops::read(host);
    assert_eq!(asked(&lab, &[question(v4(1))]), [[v4(2).to_string(), "02:42:0a:01:00:02".to_owned()]]);
    before.since(host).assert(&[], "the truth");
}

#[test]
fn an_arp_probe_finds_a_taken_address_and_not_its_own() {
    let lab = pair("probe");
    let host: &Host = &lab.hosts[0];
    let probe =
        |target: Ipv4Addr| arp((mac(1), BROADCAST), ArpOperation::REQUEST, Ipv4Addr::UNSPECIFIED, target);
    let before = Drops::read(host);
    assert_eq!(asked(&lab, &[probe(v4(1))]).len(), 0, "its own address is free for it");
    before.since(host).assert(&[("own_neigh", Some(BLUE), 1)], "own address");
    let before = Drops::read(host);
    assert_eq!(asked(&lab, &[probe(v4(2))])[0][0], v4(2).to_string(), "another's is taken");
    before.since(host).assert(&[], "taken address");
    let before = Drops::read(host);
    assert_eq!(asked(&lab, &[probe(v4(NOBODY))]).len(), 0, "nobody's is free");
    before.since(host).assert(&[("unknown_neigh", Some(BLUE), 1)], "free address");
}

#[test]
fn allowed_addresses_are_not_lies() {
    let mut lab = hosts("allowed", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.cluster.endpoints[0].options =
        "allowed_ips = [\"10.1.0.77\", \"192.168.7.0/24\"]\nallowed_macs = [\"02:42:0a:01:00:4d\"]\n"
            .to_owned();
    start(&mut lab);
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let before = Drops::read(&lab.hosts[0]);
    let mut capture = Capture::inbound(&b.netns, "eth0", "").expect("a capture");
    let frames = [
        udp4((mac(1), mac(2)), v4(NOBODY), v4(2), 6001),
        udp4((mac(1), mac(2)), Ipv4Addr::new(192, 168, 7, 9), v4(2), 6002),
        udp4((mac(NOBODY), mac(2)), v4(1), v4(2), 6003),
        udp4((mac(1), mac(2)), Ipv4Addr::new(192, 168, 8, 9), v4(2), 6004),
    ];
    a.netns.inject("eth0", &frames).expect("sent");
    let_capture_see();
    let seen = capture.fields("udp.srcport == 5555", &["udp.dstport"]).expect("tshark");
    assert_eq!(seen.concat(), ["6001", "6002", "6003"]);
    before.since(&lab.hosts[0]).assert(&[("spoofed_ip", Some(BLUE), 1)], "beside what is allowed");
}

#[test]
fn a_frame_to_nobody_or_to_the_sender_itself_is_counted() {
    let lab = pair("nowhere");
    let (a, host) = (container(&lab, "a"), &lab.hosts[0]);
    for (number, reason) in [(NOBODY, "unknown_mac"), (SENDER, "hairpin")] {
        let before = Drops::read(host);
        a.netns
            .inject("eth0", &[udp4((mac(SENDER), mac(number)), v4(SENDER), v4(number), 6001)])
            .expect("sent");
        let_capture_see();
        before.since(host).assert(&[(reason, Some(BLUE), 1)], reason);
    }
}
