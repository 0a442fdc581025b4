//! VXLAN on the underlay is believed from members of its network alone; what is not VXLAN is the host's.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use overlay_tests::{Capture, Lab, Netns, Node};

use crate::{
    frames::{VXLAN, Vxlan, udp4},
    support::{
        BLUE, BLUE_VNI, Drops, RED, RED_VNI, addresses, assert_connected, container, device_mac, hosts,
        let_capture_see, mac, start, v4,
    },
};

/// The VTEP of the first host, to whom the rogue sends.
const TARGET: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// A VTEP with endpoints in blue.
const MEMBER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
/// A VTEP with endpoints in red alone; no host answers there.
const OTHER_MEMBER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 33);
/// No VTEP of the cluster.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 66);

/// A lab whose underlay has a port for frames of our making.
pub(crate) struct Rogue {
    /// `a` (1) on the first host, `b` (2) on the second, both in blue.
    pub(crate) lab: Lab,
    netns: Netns,
    /// A frame from the member to `a`'s host in blue.
    pub(crate) honest: Vxlan,
}

impl Rogue {
    pub(crate) fn new(name: &str) -> Self {
        let mut lab = hosts(name, 2);
        lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
        lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
        lab.declare_container(0, RED, "r", &addresses(3)).expect("r");
        let vtep = IpAddr::V4(OTHER_MEMBER);
        lab.cluster.nodes.push(Node { name: "far".to_owned(), vteps: vec![vtep], external: true });
        let far = overlay_tests::Endpoint {
            network: RED.to_owned(),
            node: "far".to_owned(),
            ips: addresses(4).to_vec(),
            ..Default::default()
        };
        lab.cluster.endpoints.push(far);
        start(&mut lab);
        let netns = Netns::new(&format!("ovt-{name}-rogue")).expect("a namespace");
        lab.underlay.attach(&netns, "eth0", STRANGER.into(), 24, "rogue").expect("attached");
        let macs = (device_mac(&netns, "eth0"), device_mac(&lab.hosts[0].netns, "eth0"));
        let honest = Vxlan { macs, from: MEMBER, to: TARGET, vni: BLUE_VNI, flags: 8 };
        Self { lab, netns, honest }
    }

    /// Sends frames and gives the markers of those that reach `name`.
    pub(crate) fn delivered(&self, name: &str, frames: &[Vec<u8>]) -> Vec<String> {
        let target = container(&self.lab, name);
        let mut capture = Capture::inbound(&target.netns, "eth0", "").expect("a capture");
        self.netns.inject("eth0", frames).expect("sent");
        let_capture_see();
        capture.fields("udp.srcport == 5555", &["udp.dstport"]).expect("tshark").concat()
    }

    /// Sends `frame`, then an honest one: of both, only the honest one must arrive at `a`, and `reason` be counted.
    pub(crate) fn assert_dropped(&self, frame: Vec<u8>, reason: &str, network: Option<&str>, what: &str) {
        let before = Drops::read(&self.lab.hosts[0]);
        let honest = self.honest.with(&inner(1, 6999));
        assert_eq!(self.delivered("a", &[frame, honest]), ["6999"], "{what}");
        before.since(&self.lab.hosts[0]).assert(&[(reason, network, 1)], what);
    }
}

/// A frame from `b` to endpoint `target`, to be known by `marker`.
pub(crate) fn inner(target: u8, marker: u16) -> Vec<u8> {
    udp4((mac(2), mac(target)), v4(2), v4(target), marker)
}

#[test]
fn vxlan_is_believed_from_members_of_its_network_alone() {
    let rogue = Rogue::new("rogue");
    let honest = || rogue.honest.clone();
    let to_a = inner(1, 6001);
    let frame = Vxlan { from: STRANGER, ..honest() }.with(&to_a);
    rogue.assert_dropped(frame, "unknown_vtep", None, "a stranger");
    let frame = Vxlan { from: OTHER_MEMBER, ..honest() }.with(&to_a);
    rogue.assert_dropped(frame, "vtep_not_in_vni", Some(BLUE), "a member of another network");
    let frame = Vxlan { vni: 999, ..honest() }.with(&to_a);
    rogue.assert_dropped(frame, "unknown_vni", None, "a VNI of nobody");
    let frame = honest().with(&inner(77, 6001));
    rogue.assert_dropped(frame, "unknown_mac", Some(BLUE), "a MAC address of nobody");
    let frame = honest().with(&inner(2, 6001));
    rogue.assert_dropped(frame, "split_horizon", Some(BLUE), "an endpoint behind another VTEP");
}

#[test]
fn a_member_of_one_network_reaches_that_one() {
    let rogue = Rogue::new("rogue2");
    let red = Vxlan { from: OTHER_MEMBER, vni: RED_VNI, ..rogue.honest.clone() };
    let to_r = udp4((mac(4), mac(3)), v4(4), v4(3), 6001);
    assert_eq!(
        rogue.delivered("r", &[red.with(&to_r)]),
        ["6001"],
        "the control of a member of another network"
    );
    // The port of a container in blue has no MAC address in red.
    let before = Drops::read(&rogue.lab.hosts[0]);
    assert_eq!(rogue.delivered("a", &[red.with(&inner(1, 6001))]).len(), 0);
    before.since(&rogue.lab.hosts[0]).assert(&[("unknown_mac", Some(RED), 1)], "blue's MAC address in red");
}

/// Whether a UDP listener of the first host hears a machine without an agent, whose ports are all free.
fn udp_arrives(rogue: &Rogue, port: u16, from_port: u16) -> bool {
    let listener =
        rogue.lab.hosts[0].netns.enter(|| UdpSocket::bind((TARGET, port))).expect("inside").expect("bound");
    listener.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let sender =
        rogue.netns.enter(|| UdpSocket::bind((STRANGER, from_port))).expect("inside").expect("bound");
    sender.send_to(b"hello", (TARGET, port)).expect("sent");
    listener.recv(&mut [0; 16]).is_ok()
}

#[test]
fn what_is_not_vxlan_is_the_hosts() {
    let rogue = Rogue::new("passes");
    let lab = &rogue.lab;
    let before = Drops::read(&lab.hosts[0]);
    assert!(lab.hosts[1].netns.ping(TARGET.into()), "ping of the VTEP address");
    assert!(udp_arrives(&rogue, 4790, 0), "UDP to another port");
    assert!(udp_arrives(&rogue, 53_000, VXLAN), "UDP from our port");
    let listener =
        lab.hosts[0].netns.enter(|| TcpListener::bind((TARGET, VXLAN))).expect("inside").expect("bound");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        text
    });
    let connect = || TcpStream::connect_timeout(&(TARGET, VXLAN).into(), Duration::from_secs(2));
    let mut stream = lab.hosts[1].netns.enter(connect).expect("inside").expect("connected");
    stream.write_all(b"TCP to the port's number").expect("written");
    drop(stream);
    assert_eq!(server.join().expect("read"), "TCP to the port's number");
    before.since(&lab.hosts[0]).assert(&[], "nothing of this is dropped");
    assert_connected(container(lab, "a"), container(lab, "b"));
}
