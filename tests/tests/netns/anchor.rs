//! What the programs leave to the kernel's VXLAN, by way of the device `overlay-anchor`.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use overlay_tests::{Capture, Data, Datagrams, Host, Lab, Netns, figure};

use crate::{
    frames::{VXLAN, udp4},
    support::{
        BLUE, Drops, addresses, assert_connected, container, hosts, let_capture_see, links, mac, pair, start,
        v4, wait_for,
    },
};

const ANCHOR: &str = "overlay-anchor";
/// Its VNI.
const ANCHOR_VNI: u32 = 0x00ff_fffe;
/// A VNI of nobody's network here.
const FOREIGN_VNI: u32 = 4242;
/// What QUIC sends: two super-frames.
const QUIC: Datagrams = Datagrams { count: 100, length: 1200, at_once: 50 };
const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// How many frames a host has left to its anchor.
fn left(host: &Host) -> u64 {
    host.status().expect("status")["forwarded"]["to_anchor"].as_u64().expect("a counter")
}

/// Sends from `a` to `b`; how much arrived.
fn arrived(lab: &Lab, datagrams: Datagrams, ip: IpAddr) -> usize {
    datagrams.send(&container(lab, "a").netns, &container(lab, "b").netns, ip).expect("sent")
}

fn offloads(netns: &Netns, device: &str, words: &str) {
    let all = ["ethtool", "-K", device].into_iter().chain(words.split(' '));
    netns.run(&all.collect::<Vec<_>>()).expect("set");
}

#[test]
fn super_frames_of_udp_arrive_and_single_datagrams_need_no_device() {
    let lab = pair("quic");
    let (there, before) = (&lab.hosts[1], Drops::read(&lab.hosts[1]));
    for ip in addresses(2) {
        let first = left(there);
        assert_eq!(arrived(&lab, Datagrams { at_once: 1, ..QUIC }, ip), 100);
        assert_eq!(left(there), first, "the control: one by one they go without");
        assert_eq!(arrived(&lab, QUIC, ip), 100);
        assert_eq!(left(there), first + 2, "two super-frames");
        // Too long for an outer packet as it is: cut up in the container.
        assert_eq!(arrived(&lab, Datagrams { length: 1310, ..QUIC }, ip), 100);
        let version = if ip.is_ipv4() { 4 } else { 6 };
        figure("anchor", &format!("datagrams of UDP_SEGMENT that arrived, IPv{version}"), "100 of 100");
    }
    before.since(there).assert(&[], "nothing is dropped");
}

#[test]
fn without_the_device_such_frames_are_dropped_and_counted() {
    let mut lab = pair("noanchor");
    assert!(links(&lab.hosts[1].netns).contains_key(ANCHOR), "the control");
    lab.hosts[1].stop_agent().expect("stopped");
    lab.hosts[1].netns.ip(&format!("link delete {ANCHOR}")).expect("deleted");
    let squatter = lab.hosts[1].netns.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, VXLAN)));
    let squatter = squatter.expect("inside").expect("the port was the device's alone");
    lab.hosts[1].start_agent().expect("started");
    let host = &lab.hosts[1];
    let status = host.status().expect("status");
    assert_eq!(status["problems"][0]["code"], "anchor", "{status}");
    let before = Drops::read(host);
    assert_eq!(arrived(&lab, QUIC, v4(2).into()), 0);
    before.since(host).assert(&[("no_anchor", Some(BLUE), 2)], "two super-frames");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    squatter.set_nonblocking(true).expect("set");
    assert!(squatter.recv(&mut [0; 2048]).is_err(), "nothing of it went up to the host");
    drop(squatter);
    wait_for("the device", LIMIT, || host.status().is_ok_and(|status| status["state"] == "healthy"));
    assert_eq!(arrived(&lab, QUIC, v4(2).into()), 100);
}

#[test]
fn a_device_that_was_deleted_or_altered_is_put_back() {
    let lab = pair("anchorback");
    let host = &lab.hosts[1];
    let repaired = || host.status().expect("status")["audit"]["by_kind"]["anchor"].as_u64().unwrap_or(0);
    for what in
        ["link delete overlay-anchor", "link set overlay-anchor down", "link set overlay-anchor arp on"]
    {
        let before = repaired();
        host.netns.ip(what).expect("altered");
        wait_for(what, LIMIT, || repaired() > before && arrived(&lab, QUIC, v4(2).into()) == 100);
    }
    host.netns.ip("address add 10.9.9.9/24 dev overlay-anchor").expect("altered");
    wait_for("the address", LIMIT, || {
        !host.netns.ip("address show dev overlay-anchor").expect("shown").contains("10.9.9.9")
    });
}

#[test]
fn what_comes_to_the_device_by_another_way_is_dropped() {
    let lab = pair("forged");
    let host = &lab.hosts[0];
    let inner = udp4((mac(2), mac(1)), v4(2), v4(1), 6001);
    let forged = [&[8, 0, 0, 0][..], &(ANCHOR_VNI << 8).to_be_bytes(), &inner].concat();
    let a = container(&lab, "a");
    let mut capture = Capture::inbound(&a.netns, "eth0", "udp").expect("a capture");
    let before = Drops::read(host);
    let socket =
        host.netns.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("inside").expect("bound");
    socket.send_to(&forged, (host.vtep, VXLAN)).expect("sent");
    let_capture_see();
    before.since(host).assert(&[("forged_anchor", None, 1)], "from the host itself");
    // From another node: no network has the VNI.
    let before = Drops::read(host);
    let other = &lab.hosts[1].netns;
    let socket = other.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("inside").expect("bound");
    socket.send_to(&forged, (host.vtep, VXLAN)).expect("sent");
    let_capture_see();
    before.since(host).assert(&[("unknown_vni", None, 1)], "from the underlay");
    assert_eq!(capture.fields("udp.port == 6001", &["frame.number"]).expect("tshark").len(), 0);
    assert_connected(a, container(&lab, "b"));
}

#[test]
fn other_vxlan_devices_on_the_port_go_on() {
    let mut lab = hosts("beside", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    let add = |host: &Host, own: u8, other: u8| {
        let words =
            format!("link add other type vxlan id {FOREIGN_VNI} remote 10.88.0.{other} dstport {VXLAN}");
        host.netns.ip(&words).expect("made");
        host.netns.ip(&format!("address add 192.168.77.{own}/24 dev other")).expect("set");
        host.netns.ip("link set other mtu 1450 up").expect("set");
    };
    add(&lab.hosts[0], 1, 2);
    start(&mut lab);
    // One is there before the agent, the other comes after it.
    add(&lab.hosts[1], 2, 1);
    let far = Ipv4Addr::new(192, 168, 77, 2).into();
    wait_for("the other device", LIMIT, || lab.hosts[0].netns.ping(far));
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    lab.hosts[0]
        .netns
        .run(&["ping", "-n", "-q", "-c", "100", "-i", "0.002", "192.168.77.2"])
        .expect("all answered");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    assert_eq!(arrived(&lab, QUIC, v4(2).into()), 100);
    for (host, before) in lab.hosts.iter().zip(before) {
        before.since(host).assert(&[], "beside another device");
    }
    // The control: alone on the port, a VNI of nobody is counted.
    lab.hosts[1].netns.ip("link delete other").expect("deleted");
    wait_for("unknown_vni", LIMIT, || {
        let before = Drops::read(&lab.hosts[1]);
        lab.hosts[0].netns.ping(far);
        before.since(&lab.hosts[1]).total("unknown_vni") > 0
    });
}

#[test]
fn a_stream_survives_segmenting_and_merging_on_the_underlay() {
    let lab = pair("segment");
    let data = Data::new("segment").expect("a file");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    for words in ["tso off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off gro on", "tx off"] {
        for host in &lab.hosts {
            offloads(&host.netns, "eth0", words);
        }
        for (from, to) in [(a, b), (b, a)] {
            for ip in &to.ips {
                let sum = data.carry(&from.netns, &to.netns, *ip, "sha256sum").expect("sent");
                assert_eq!(sum, data.sum, "{} to {ip}, {words}", from.name);
            }
        }
        for ip in addresses(2) {
            assert_eq!(arrived(&lab, QUIC, ip), 100, "{words}");
        }
        figure("a_stream_survives", &format!("MiB equal by SHA-256, {words}"), data.mebibytes);
    }
    for (host, before) in lab.hosts.iter().zip(before) {
        before.since(host).assert(&[], "offloads are no faults");
    }
}

/// Puts a host behind container `b`, which forwards to it, and computes checksums itself on the way.
fn put_behind(lab: &Lab, behind: &Netns) {
    let forwarder = &container(lab, "b").netns;
    forwarder.ip(&format!("link add eth1 type veth peer name eth0 netns {}", behind.name())).expect("a veth");
    forwarder.ip("address add 10.7.0.1/24 dev eth1").expect("set");
    forwarder.ip("link set eth1 mtu 1450 up").expect("set");
    behind.ip("address add 10.7.0.2/24 dev eth0").expect("set");
    behind.ip("link set eth0 mtu 1450 up").expect("set");
    behind.ip("route add default via 10.7.0.1").expect("set");
    forwarder.sysctl("net/ipv4/ip_forward", "1").expect("set");
    offloads(forwarder, "eth1", "tx off tso off gso off");
    container(lab, "a").netns.ip("route add 10.7.0.0/24 via 10.1.0.2").expect("set");
}

#[test]
fn a_container_that_forwards_sends_on_sound_packets() {
    let mut lab = hosts("onward", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.cluster.endpoints[1].options.push_str("allowed_ips = [\"10.7.0.0/24\"]\n");
    start(&mut lab);
    let behind = Netns::new("ovt-onward-x").expect("a namespace");
    put_behind(&lab, &behind);
    let a = &container(&lab, "a").netns;
    let far: IpAddr = Ipv4Addr::new(10, 7, 0, 2).into();
    assert!(a.ping(far), "the way there and back");
    let before = Drops::read(&lab.hosts[1]);
    let mut capture = Capture::inbound(&behind, "eth0", "tcp or udp").expect("a capture");
    let data = Data::new("onward").expect("a file");
    assert_eq!(data.carry(a, &behind, far, "sha256sum").expect("sent"), data.sum);
    assert_eq!(QUIC.send(a, &behind, far).expect("sent"), 100);
    let_capture_see();
    let frames = |filter: &str| capture.fields(filter, &["frame.number"]).expect("tshark").len();
    let mut frames = frames;
    let whole = "tcp.len > 0 || udp.length == 1208";
    let sound = frames(&format!("({whole}) && (tcp.checksum.status == 1 || udp.checksum.status == 1)"));
    assert!(sound > 20_000, "{sound} packets with data and a sound checksum");
    assert_eq!(frames("tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0"), 0);
    assert_eq!(frames("ip.len > 1450"), 0, "each was cut to the MTU");
    figure("onward", "packets sent on with a sound checksum", sound);
    let moved = before.since(&lab.hosts[1]);
    assert_eq!(moved.total_but("own_neigh"), 0, "{moved:?}");
    assert!(left(&lab.hosts[1]) > 0);
}
