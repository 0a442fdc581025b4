//! What the peer says of others is dropped and counted; the truth beside it arrives.

use etherparse::ArpOperation;
use overlay_tests::{Capture, figure};

use crate::{
    frames::{BROADCAST, advertisement, arp, icmpv6},
    peer::{DEVICE, NUMBER, Peer},
    support::{BLUE, Drops, let_capture_see, mac, v4, v6},
};

/// The group of who is solicited for the address of `a`, and its MAC address.
const GROUP: ([u8; 6], &str) = ([0x33, 0x33, 0xff, 0, 0, 1], "ff02::1:ff00:1");

/// A solicitation for `a` from a MAC address and an address, with an option that names a MAC address.
fn solicitation(from_mac: [u8; 6], from: u8, option: [u8; 6]) -> Vec<u8> {
    let body = [&v6(1).octets()[..], &[1, 1], &option].concat();
    icmpv6((from_mac, GROUP.0), v6(from), GROUP.1.parse().expect("an address"), (135, [0; 4]), &body)
}

#[test]
fn the_peer_claims_nothing_that_is_anothers() {
    let peer = Peer::new("pclaim");
    let own = peer.mac;
    let (all, to_a) = ((own, BROADCAST), (own, mac(1)));
    let request = |macs, sender| arp(macs, ArpOperation::REQUEST, v4(sender), v4(1));
    let reply = |sender| arp(to_a, ArpOperation::REPLY, v4(sender), v4(1));
    let advertise = |target| advertisement(to_a, v6(NUMBER), v6(1), v6(target));
    let arp_shown = "arp";
    let nd_shown = "icmpv6.type == 135 || icmpv6.type == 136";
    let cases = [
        ("an ARP request in the name of b", "spoofed_arp", request(all, 2), request(all, NUMBER), arp_shown),
        ("an ARP answer in the name of b", "spoofed_arp", reply(2), reply(NUMBER), arp_shown),
        (
            "an ARP request from the MAC address of b",
            "spoofed_mac",
            request((mac(2), BROADCAST), 2),
            request(all, NUMBER),
            arp_shown,
        ),
        (
            "a solicitation from the address of b",
            "spoofed_ip",
            solicitation(own, 2, own),
            solicitation(own, NUMBER, own),
            nd_shown,
        ),
        (
            "a solicitation that names the MAC address of b",
            "spoofed_nd",
            solicitation(own, NUMBER, mac(2)),
            solicitation(own, NUMBER, own),
            nd_shown,
        ),
        (
            "a solicitation from the MAC address of b",
            "spoofed_mac",
            solicitation(mac(2), 2, mac(2)),
            solicitation(own, NUMBER, own),
            nd_shown,
        ),
        ("an advertisement of the address of b", "spoofed_nd", advertise(2), advertise(NUMBER), nd_shown),
    ];
    let mut dropped = 0;
    for (what, reason, lie, truth, shown) in cases {
        let before = Drops::read(&peer.lab.hosts[0]);
        let arrive = |frame: Vec<u8>| {
            let mut capture = Capture::inbound(peer.a(), "eth0", "arp or icmp6").expect("a capture");
            peer.netns.inject(DEVICE, &[frame]).expect("sent");
            let_capture_see();
            // The container asks by itself, too, and is answered by its own node.
            let from_peer =
                format!("({shown}) && eth.src == {}", peer.mac.map(|b| format!("{b:02x}")).join(":"));
            capture.fields(&from_peer, &["frame.number"]).expect("tshark").len()
        };
        let arrived = arrive(lie);
        let moved = before.since(&peer.lab.hosts[0]);
        assert_eq!((arrived, moved.count(reason, BLUE)), (0, 1), "{what}: {moved:?}");
        dropped += 1;
        assert!(arrive(truth) >= 1, "the control of {what}");
        assert_eq!(before.since(&peer.lab.hosts[0]).count(reason, BLUE), 1, "the control of {what}");
    }
    figure("the_peer_claims_nothing", "lies in ARP and neighbour discovery dropped", dropped);
    assert!(peer.netns.ping(v4(1).into()) && peer.a().ping(v4(NUMBER).into()));
}
