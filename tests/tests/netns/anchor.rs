//! What the programs leave to the kernel's VXLAN, by way of the devices `overlay-anchor` and `overlay-anchor6`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use overlay_tests::{
    Capture, Data, Datagrams, Host, Lab, Netns, add_address, figure, over_v4, over_v6, scene::ANCHOR_VNI,
};

use crate::{
    frames::{VXLAN, udp4},
    support::{
        BLUE, Drops, addresses, assert_connected, container, forwarded, hosts_at, let_capture_see, links,
        mac, pair_at, start, v4, wait_for,
    },
};

/// What an underlay of one family has.
struct Family {
    /// Told in the names of labs.
    number: u8,
    vteps: fn(u8) -> Vec<IpAddr>,
    /// The device that takes what comes over it.
    anchor: &'static str,
    /// Any address.
    any: IpAddr,
    /// The inner MTU.
    mtu: u16,
}

const FAMILIES: [Family; 2] = [
    Family {
        number: 4,
        vteps: over_v4,
        anchor: "overlay-anchor",
        any: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        mtu: 1450,
    },
    Family {
        number: 6,
        vteps: over_v6,
        anchor: "overlay-anchor6",
        any: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        mtu: 1430,
    },
];

impl Family {
    /// Two hosts that have found each other; in blue, `a` (1) on the first and `b` (2) on the second.
    fn pair(&self, name: &str) -> Lab {
        let lab = pair_at(&format!("{name}{}", self.number), self.vteps);
        // Over IPv6 the kernel asks for a neighbour only once duplicates of its own link-local address are ruled out.
        wait_for("the next hop", LIMIT, || container(&lab, "a").netns.ping(v4(2).into()));
        lab
    }
}

/// A VNI of nobody's network here.
const FOREIGN_VNI: u32 = 4242;
/// What QUIC sends: two super-frames.
const QUIC: Datagrams = Datagrams { count: 100, length: 1200, at_once: 50 };
const LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// How many frames a host has left to its anchor.
fn left(host: &Host) -> u64 {
    forwarded(host, "to_anchor")
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
    FAMILIES.iter().for_each(super_frames_arrive);
}

fn super_frames_arrive(family: &Family) {
    let lab = family.pair("quic");
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
        let name = format!("datagrams of UDP_SEGMENT that arrived, IPv{version} over IPv{}", family.number);
        figure("anchor", &name, "100 of 100");
    }
    before.since(there).assert(&[], "nothing is dropped");
}

#[test]
fn without_the_device_such_frames_are_dropped_and_counted() {
    FAMILIES.iter().for_each(dropped_without);
}

fn dropped_without(family: &Family) {
    let mut lab = family.pair("noanchor");
    assert!(links(&lab.hosts[1].netns).contains_key(family.anchor), "the control");
    lab.hosts[1].stop_agent().expect("stopped");
    lab.hosts[1].netns.ip(&format!("link delete {}", family.anchor)).expect("deleted");
    let squatter = lab.hosts[1].netns.enter(|| UdpSocket::bind((family.any, VXLAN)));
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
    FAMILIES.iter().for_each(put_back);
}

fn put_back(family: &Family) {
    let lab = family.pair("anchorback");
    let anchor = family.anchor;
    let host = &lab.hosts[1];
    let repaired = || host.status().expect("status")["audit"]["by_kind"]["anchor"].as_u64().unwrap_or(0);
    for what in ["delete", "set down", "set arp on"] {
        let before = repaired();
        let (verb, how) = what.split_once(' ').unwrap_or((what, ""));
        host.netns.ip(&format!("link {verb} {anchor} {how}")).expect("altered");
        wait_for(what, LIMIT, || repaired() > before && arrived(&lab, QUIC, v4(2).into()) == 100);
    }
    host.netns.ip(&format!("address add 10.9.9.9/24 dev {anchor}")).expect("altered");
    wait_for("the address", LIMIT, || {
        !host.netns.ip(&format!("address show dev {anchor}")).expect("shown").contains("10.9.9.9")
    });
}

#[test]
fn what_comes_to_the_device_by_another_way_is_dropped() {
    FAMILIES.iter().for_each(forged_is_dropped);
}

fn forged_is_dropped(family: &Family) {
    let lab = family.pair("forged");
    let host = &lab.hosts[0];
    let inner = udp4((mac(2), mac(1)), v4(2), v4(1), 6001);
    let forged = [&[8, 0, 0, 0][..], &(ANCHOR_VNI << 8).to_be_bytes(), &inner].concat();
    let a = container(&lab, "a");
    let mut capture = Capture::inbound(&a.netns, "eth0", "udp").expect("a capture");
    let before = Drops::read(host);
    let socket = host.netns.enter(|| UdpSocket::bind((family.any, 0))).expect("inside").expect("bound");
    socket.send_to(&forged, (host.vtep, VXLAN)).expect("sent");
    let_capture_see();
    before.since(host).assert(&[("forged_anchor", None, 1)], "from the host itself");
    // From another node: no network has the VNI.
    let before = Drops::read(host);
    let other = &lab.hosts[1].netns;
    let socket = other.enter(|| UdpSocket::bind((family.any, 0))).expect("inside").expect("bound");
    socket.send_to(&forged, (host.vtep, VXLAN)).expect("sent");
    let_capture_see();
    before.since(host).assert(&[("unknown_vni", None, 1)], "from the underlay");
    assert_eq!(capture.fields("udp.port == 6001", &["frame.number"]).expect("tshark").len(), 0);
    assert_connected(a, container(&lab, "b"));
}

#[test]
fn other_vxlan_devices_on_the_port_go_on() {
    FAMILIES.iter().for_each(others_go_on);
}

fn others_go_on(family: &Family) {
    let mut lab = hosts_at(&format!("beside{}", family.number), 2, family.vteps);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    let add = |host: &Host, own: u8, other: u8| {
        let remote = (family.vteps)(other)[0];
        // What ours bears, too: two sockets of one port over IPv6 must not differ in that.
        let sums = if family.number == 6 { "udp6zerocsumrx" } else { "" };
        let words =
            format!("link add other type vxlan id {FOREIGN_VNI} remote {remote} dstport {VXLAN} {sums}");
        host.netns.ip(&words).expect("made");
        host.netns.ip(&format!("address add 192.168.77.{own}/24 dev other")).expect("set");
        host.netns.ip(&format!("link set other mtu {} up", family.mtu)).expect("set");
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
    let data = Data::new("segment").expect("a file");
    for family in &FAMILIES {
        survives(family, &data);
    }
}

fn survives(family: &Family, data: &Data) {
    let lab = family.pair("segment");
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
        let name = format!("MiB equal by SHA-256 over IPv{}, {words}", family.number);
        figure("a_stream_survives", &name, data.mebibytes);
    }
    for (host, before) in lab.hosts.iter().zip(before) {
        before.since(host).assert(&[], "offloads are no faults");
    }
}

/// Puts a host behind container `b`, which forwards to it, and computes checksums itself on the way.
fn put_behind(lab: &Lab, behind: &Netns, mtu: u16) {
    let forwarder = &container(lab, "b").netns;
    forwarder.ip(&format!("link add eth1 type veth peer name eth0 netns {}", behind.name())).expect("a veth");
    forwarder.ip("address add 10.7.0.1/24 dev eth1").expect("set");
    forwarder.ip(&format!("link set eth1 mtu {mtu} up")).expect("set");
    behind.ip("address add 10.7.0.2/24 dev eth0").expect("set");
    behind.ip(&format!("link set eth0 mtu {mtu} up")).expect("set");
    behind.ip("route add default via 10.7.0.1").expect("set");
    forwarder.sysctl("net/ipv4/ip_forward", "1").expect("set");
    offloads(forwarder, "eth1", "tx off tso off gso off");
    container(lab, "a").netns.ip("route add 10.7.0.0/24 via 10.1.0.2").expect("set");
}

#[test]
fn a_container_that_forwards_sends_on_sound_packets() {
    FAMILIES.iter().for_each(sent_on);
}

fn sent_on(family: &Family) {
    let name = format!("onward{}", family.number);
    let mut lab = hosts_at(&name, 2, family.vteps);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.cluster.endpoints[1].options.push_str("allowed_ips = [\"10.7.0.0/24\"]\n");
    start(&mut lab);
    let behind = Netns::new(&format!("ovt-{name}-x")).expect("a namespace");
    put_behind(&lab, &behind, family.mtu);
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
    assert_eq!(frames(&format!("ip.len > {}", family.mtu)), 0, "each was cut to the MTU");
    let what = format!("packets sent on with a sound checksum, over IPv{}", family.number);
    figure("onward", &what, sound);
    let moved = before.since(&lab.hosts[1]);
    assert_eq!(moved.total_but("own_neigh"), 0, "{moved:?}");
    assert!(left(&lab.hosts[1]) > 0);
}

#[test]
fn a_node_has_a_device_for_each_family_of_its_addresses() {
    let both = |number| [over_v4(number), over_v6(number)].concat();
    let mut lab = pair_at("anchors", both);
    let anchors = |lab: &Lab| {
        links(&lab.hosts[1].netns)
            .into_keys()
            .filter(|name| name.starts_with("overlay-anchor"))
            .collect::<Vec<_>>()
    };
    assert_eq!(anchors(&lab), ["overlay-anchor", "overlay-anchor6"]);
    for (family, other) in [(0, 1), (1, 0)] {
        let gone = (FAMILIES[family].vteps)(2)[0];
        let length = if gone.is_ipv4() { 24 } else { 64 };
        lab.hosts[1].netns.ip(&format!("address del {gone}/{length} dev eth0")).expect("removed");
        lab.cluster.nodes[1].vteps = (FAMILIES[other].vteps)(2);
        lab.write_cluster().expect("written");
        wait_for("the other device alone", LIMIT, || anchors(&lab) == [FAMILIES[other].anchor]);
        wait_for("its way", LIMIT, || arrived(&lab, QUIC, v4(2).into()) == 100);
        add_address(&lab.hosts[1].netns, "eth0", gone, length).expect("added");
        lab.cluster.nodes[1].vteps = both(2);
        lab.write_cluster().expect("written");
        wait_for("both", LIMIT, || anchors(&lab).len() == 2 && arrived(&lab, QUIC, v4(2).into()) == 100);
    }
    let status = lab.hosts[1].status().expect("an answer");
    assert_eq!((&status["state"], &status["audit"]["repaired"]), (&"healthy".into(), &0.into()), "{status}");
    lab.hosts[1].stop_agent().expect("stopped");
    let output = lab.hosts[1].overlay().arg("uninstall").output().expect("ran");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(anchors(&lab).is_empty(), "{:?}", anchors(&lab));
}

#[test]
fn a_device_over_ipv6_that_insists_on_checksums_is_told_of() {
    let mut lab = pair_at("insists", over_v6);
    lab.hosts[1].stop_agent().expect("stopped");
    let netns = &lab.hosts[1].netns;
    netns.ip("link delete overlay-anchor6").expect("deleted");
    netns.ip("link add other type vxlan id 7 remote fd88::1 dstport 4789").expect("made");
    netns.ip("link set other up").expect("set");
    lab.hosts[1].start_agent().expect("started");
    let status = lab.hosts[1].status().expect("an answer");
    let problem = &status["problems"][0];
    assert_eq!(problem["code"], "anchor", "{status}");
    assert!(problem["message"].as_str().is_some_and(|text| text.contains("udp6zerocsumrx")), "{status}");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    lab.hosts[1].netns.ip("link delete other").expect("deleted");
    wait_for("the device", LIMIT, || arrived(&lab, QUIC, v4(2).into()) == 100);
}
