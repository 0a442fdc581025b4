//! A container whose second interface the host masquerades cannot pass for a VTEP.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use overlay_tests::{Container, Host, Lab, Netns, figure, run};

use crate::{
    frames::{VXLAN, udp4},
    support::{
        BLUE, BLUE_VNI, Drops, RED, RED_VNI, assert_connected, container, let_capture_see, mac, pair, v4,
        wait_for,
    },
};

/// Datagrams of the attack.
const FORGED: u64 = 10_000;
/// Where the victim would get them.
const PORT: u16 = 7400;
/// The other node, and a host of the underlay that is none.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
const BYSTANDER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 66);
/// A VNI of nobody.
const FOREIGN_VNI: u32 = 4242;

/// Gives a container an interface into its host's network, whose traffic the host masquerades, as Docker does by
/// `docker_gwbridge`.
fn masquerade(host: &Host, container: &Container) {
    let peer = container.netns.name();
    host.netns.ip(&format!("link add gw type veth peer name eth1 netns {peer}")).expect("a veth");
    host.netns.ip("address add 172.31.0.1/24 dev gw").expect("set");
    host.netns.ip("link set gw up").expect("set");
    container.netns.ip("address add 172.31.0.2/24 dev eth1").expect("set");
    container.netns.ip("link set eth1 up").expect("set");
    container.netns.ip("route add default via 172.31.0.1").expect("set");
    host.netns.sysctl("net/ipv4/ip_forward", "1").expect("set");
    let rule = "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; \
                add rule ip nat post ip saddr 172.31.0.0/24 oifname eth0 masquerade";
    run(host.netns.command("nft").arg(rule)).expect("masqueraded");
}

/// A VXLAN header with this in it.
fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), inner].concat()
}

/// A frame to the victim in blue, as if from `a`.
fn forged() -> Vec<u8> {
    vxlan(BLUE_VNI, &udp4((mac(1), mac(2)), v4(1), v4(2), PORT))
}

fn socket(netns: &Netns, at: impl Into<SocketAddr>) -> UdpSocket {
    let at = at.into();
    let socket = netns.enter(|| UdpSocket::bind(at)).expect("inside").expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    socket
}

/// Sends the attack from `a`; how much of it the victim got.
fn attack(lab: &Lab) -> u64 {
    let victim = socket(&container(lab, "b").netns, (v4(2), PORT));
    let sender = socket(&container(lab, "a").netns, (Ipv4Addr::UNSPECIFIED, 0));
    let sent = AtomicBool::new(false);
    thread::scope(|scope| {
        let got = scope.spawn(|| {
            let mut got = 0;
            loop {
                match victim.recv(&mut [0; 64]) {
                    Ok(_) => got += 1,
                    Err(_) if sent.load(Ordering::Acquire) => return got,
                    Err(_) => {}
                }
            }
        });
        let forged = forged();
        for number in 0..FORGED {
            sender.send_to(&forged, (NODE, VXLAN)).expect("sent");
            if number % 100 == 0 {
                // The queues on the way are shorter than the attack.
                thread::sleep(Duration::from_millis(1));
            }
        }
        sent.store(true, Ordering::Release);
        got.join().expect("counted")
    })
}

#[test]
fn forged_vxlan_does_not_leave_the_host() {
    let mut lab = pair("masq");
    masquerade(&lab.hosts[0], container(&lab, "a"));
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    let delivered = attack(&lab);
    let counted = before[0].since(&lab.hosts[0]);
    figure("masquerade", "forged VXLAN sent", FORGED);
    figure("masquerade", "delivered", delivered);
    figure("masquerade", "counted as vxlan_from_container", counted.count("vxlan_from_container", BLUE));
    assert_eq!(delivered, 0);
    counted.assert(&[("vxlan_from_container", Some(BLUE), FORGED)], "where they would leave");
    before[1].since(&lab.hosts[1]).assert(&[], "where they would arrive");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    // The control: without the program they arrive, and are believed.
    lab.hosts[0].kill_agent().expect("killed");
    fs::remove_file(lab.hosts[0].pin_dir.join("links/to_underlay@eth0")).expect("was pinned");
    let delivered = attack(&lab);
    figure("masquerade", "delivered without to_underlay (control)", delivered);
    assert!(delivered > FORGED / 2, "the control: {delivered} delivered");
    lab.hosts[0].start_agent().expect("started again");
    wait_for("the program", Duration::from_secs(5), || attack(&lab) == 0);
}

#[test]
fn what_is_not_of_our_networks_leaves() {
    let lab = pair("masqpass");
    let host = &lab.hosts[0];
    let a = container(&lab, "a");
    masquerade(host, a);
    let bystander = Netns::new("ovt-masqpass-by").expect("a namespace");
    lab.underlay.attach(&bystander, "eth0", BYSTANDER.into(), 24, "by").expect("attached");
    let service = socket(&bystander, (BYSTANDER, VXLAN));
    let arrives = |from: &Netns, payload: &[u8]| {
        socket(from, (Ipv4Addr::UNSPECIFIED, 0)).send_to(payload, (BYSTANDER, VXLAN)).expect("sent");
        let mut buffer = [0; 512];
        service.recv_from(&mut buffer).ok().map(|(length, from)| (buffer[..length].to_vec(), from.ip()))
    };
    let before = Drops::read(host);
    for from in [&a.netns, &host.netns] {
        let foreign = vxlan(FOREIGN_VNI, &udp4((mac(1), mac(2)), v4(1), v4(2), PORT));
        for payload in [&b"a question to a foreign service"[..], b"", &foreign] {
            // By the address it is from: it went the way that the attack goes.
            assert_eq!(arrives(from, payload), Some((payload.to_vec(), host.vtep)), "from {}", from.name());
        }
    }
    before.since(host).assert(&[], "nothing of this is dropped");
    // Nor does it go to hosts that are no nodes: they may be switches.
    assert_eq!(arrives(&a.netns, &forged()), None);
    assert_eq!(arrives(&a.netns, &vxlan(RED_VNI, b"")), None);
    let expected = [("vxlan_from_container", Some(BLUE), 1), ("vxlan_from_container", Some(RED), 1)];
    before.since(host).assert(&expected, "networks of ours");
}

/// Sends datagrams of one length from a container in one super-frame, as QUIC does (`UDP_SEGMENT`).
fn send_segments(from: &Netns, datagrams: &[Vec<u8>]) {
    use std::io::Write as _;
    let target = format!("UDP4-SENDTO:{BYSTANDER}:{VXLAN},setsockopt-int=17:103:{}", datagrams[0].len());
    let mut socat = from.command("socat");
    let socat = socat.args(["-u", "-b", "65000", "STDIN", &target]).stdin(std::process::Stdio::piped());
    let mut socat = socat.spawn().expect("socat");
    // One write to the pipe is one read in socat, and so one call that sends.
    socat.stdin.take().expect("piped").write_all(&datagrams.concat()).expect("written");
    assert!(socat.wait().expect("waited").success(), "socat");
}

#[test]
fn a_segment_of_a_super_frame_does_not_hide_forged_vxlan() {
    let lab = pair("masqseg");
    let host = &lab.hosts[0];
    let a = container(&lab, "a");
    masquerade(host, a);
    let bystander = Netns::new("ovt-masqseg-by").expect("a namespace");
    lab.underlay.attach(&bystander, "eth0", BYSTANDER.into(), 24, "by").expect("attached");
    let service = socket(&bystander, (BYSTANDER, VXLAN));
    let arrived = || std::iter::from_fn(|| service.recv(&mut [0; 512]).ok()).count();
    let foreign = vxlan(FOREIGN_VNI, &udp4((mac(1), mac(2)), v4(1), v4(2), PORT));
    let mut datagrams = vec![foreign; 20];
    let before = Drops::read(host);
    send_segments(&a.netns, &datagrams);
    assert_eq!(arrived(), 20, "the control: another network's");
    before.since(host).assert(&[], "the control");
    datagrams[13] = forged();
    send_segments(&a.netns, &datagrams);
    let_capture_see();
    assert_eq!(arrived(), 0);
    before.since(host).assert(&[("vxlan_from_container", Some(BLUE), 1)], "one super-frame");
}
