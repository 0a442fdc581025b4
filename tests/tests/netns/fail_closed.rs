//! With the programs gone, nothing of a container gets anywhere in clear.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use overlay_tests::{Capture, Container, Host, Lab, run};

use crate::{
    frames::{BROADCAST, udp4, udp6},
    support::{assert_connected, container, device_mac, endpoint, let_capture_see, mac, pair, v4, v6},
};

/// The VTEP address of the container's host.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
const PORT: u16 = 6100;

/// A UDP socket of the host's on every address.
fn listener(host: &Host) -> UdpSocket {
    let socket = host.netns.enter(|| UdpSocket::bind(("::", PORT))).expect("inside").expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    socket
}

/// Frames of container `a` to its host's stack, with every source it could hope for.
fn to_host(lab: &Lab) -> Vec<Vec<u8>> {
    let host = &lab.hosts[0];
    let ifname = endpoint(host, "a")["host_ifname"].as_str().expect("bound").to_owned();
    let macs = (mac(1), device_mac(&host.netns, &ifname));
    let sources = [v4(1), Ipv4Addr::new(10, 88, 0, 2), HOST, Ipv4Addr::new(192, 0, 2, 1)];
    let mut frames: Vec<_> = sources.map(|source| udp4(macs, source, HOST, PORT)).into();
    frames.push(udp4((macs.0, BROADCAST), v4(1), HOST, PORT));
    frames.push(udp6(macs, v6(1), v6(9), PORT));
    // The host as a router, to the next host.
    frames.push(udp4(macs, v4(1), Ipv4Addr::new(10, 88, 0, 2), PORT));
    frames
}

/// Stops the agent as a crash does, and removes what holds the programs.
fn detach(host: &mut Host) {
    host.kill_agent().expect("killed");
    for pin in pins(host) {
        fs::remove_file(&pin).unwrap_or_else(|error| panic!("{}: {error}", pin.display()));
    }
}

/// The pins of the links that hold the programs to their devices.
fn pins(host: &Host) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.pin_dir.join("links")).expect("pins");
    let pins: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(pins.len(), 5, "{pins:?}");
    pins
}

/// What leaves the host on the wire while `a` pings and sends; by Ethernet source.
fn leaving(lab: &Lab, a: &Container, frames: &[Vec<u8>]) -> Vec<Vec<String>> {
    let mut capture = Capture::inbound(&lab.underlay.netns, "h1", "").expect("a capture");
    for ip in [v4(2).into(), v6(2).into()] {
        a.netns.ping(ip);
    }
    a.netns.inject("eth0", frames).expect("sent");
    let_capture_see();
    // Not the multicast that the host sends by itself.
    let ours = "udp.port == 6100 || eth.src == 02:42:0a:01:00:01 || ip.addr == 10.1.0.0/24 || ipv6.addr == fd00:1::/64";
    capture.fields(ours, &["frame.number", "_ws.col.Info"]).expect("tshark")
}

#[test]
fn with_every_program_detached_nothing_leaves_a_container() {
    let mut lab = pair("closed");
    // As distributions set it, and a route to everywhere: every source would be believed of a device with an address.
    lab.hosts[0].netns.sysctl("net/ipv4/conf/all/rp_filter", "2").expect("set");
    lab.hosts[0].netns.ip("route add default via 10.88.0.2").expect("set");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    let frames = to_host(&lab);
    let socket = listener(&lab.hosts[0]);
    // Controls: another host reaches the socket, and the capture shows what leaves.
    let other = lab.hosts[1].netns.enter(|| UdpSocket::bind(("0.0.0.0", 0))).expect("inside").expect("bound");
    other.send_to(b"hello", (HOST, PORT)).expect("sent");
    socket.recv(&mut [0; 16]).expect("the control of the socket");
    assert!(
        !leaving(&lab, container(&lab, "a"), &frames).is_empty(),
        "the control of the capture: pings in VXLAN"
    );
    assert!(socket.recv(&mut [0; 16]).is_err(), "attached, the guard keeps the host's stack");
    detach(&mut lab.hosts[0]);
    let left = leaving(&lab, container(&lab, "a"), &frames);
    assert_eq!(left, Vec::<Vec<String>>::new(), "on the underlay");
    let mut buffer = [0; 64];
    assert!(socket.recv(&mut buffer).is_err(), "the host's stack got a frame: {buffer:?}");
    lab.hosts[0].start_agent().expect("started again");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn with_the_guard_detached_the_host_hears_nothing_at_all() {
    let mut lab = pair("unguarded");
    let listening = |ip: Ipv4Addr, port: u16| {
        let socket =
            lab.hosts[0].netns.enter(|| UdpSocket::bind((ip, port))).expect("inside").expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        socket
    };
    // What the host's stack takes from any device: as a client of DHCP asks before it has an address.
    let asking = udp4((mac(1), BROADCAST), Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, PORT);
    let socket = listening(Ipv4Addr::UNSPECIFIED, PORT);
    let veth = endpoint(&lab.hosts[0], "a")["host_ifname"].as_str().expect("bound").to_owned();
    lab.hosts[0].kill_agent().expect("killed");
    let guard = |program: &str| {
        pins(&lab.hosts[0]).into_iter().find(|pin| pin.to_string_lossy().contains(program)).expect("pinned")
    };
    let (from_container, unguarded) = (guard("/from_container@"), guard("/unguarded@"));
    fs::remove_file(&from_container).expect("detached");
    container(&lab, "a").netns.inject("eth0", std::slice::from_ref(&asking)).expect("sent");
    assert!(socket.recv(&mut [0; 64]).is_err(), "nothing comes by without the guard");
    fs::remove_file(&unguarded).expect("detached");
    container(&lab, "a").netns.inject("eth0", std::slice::from_ref(&asking)).expect("sent");
    assert!(socket.recv(&mut [0; 64]).is_err(), "the bridge is down");
    // The control: without any of what stands behind the guard it would.
    lab.hosts[0].netns.ip(&format!("link set {veth} nomaster")).expect("set");
    container(&lab, "a").netns.inject("eth0", std::slice::from_ref(&asking)).expect("sent");
    socket.recv(&mut [0; 64]).expect("the control");
    lab.hosts[0].start_agent().expect("started again");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    let rows = lab.hosts[0].ask(&["drops"]).expect("drops");
    let rows = rows.as_array().expect("a list");
    let counted = rows.iter().find(|row| row["reason"] == "unguarded" && row["network"] == "blue");
    assert!(counted.is_some_and(|row| row["count"].as_u64() >= Some(1)), "{rows:?}");
}

#[test]
fn a_program_detached_behind_the_agents_back_is_attached_again() {
    let lab = pair("heals");
    let host = &lab.hosts[0];
    let repaired = || host.status().expect("an answer")["audit"]["repaired"].as_u64().expect("a count");
    assert_eq!(repaired(), 0);
    for pin in pins(host) {
        run(Command::new("bpftool").args(["link", "detach", "pinned"]).arg(pin)).expect("detached");
    }
    assert!(!container(&lab, "a").netns.ping(v4(2).into()), "detached");
    // The agent looks every five seconds.
    crate::support::wait_for("the repair", Duration::from_secs(8), || repaired() >= 5);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    assert_eq!(host.status().expect("an answer")["state"], "healthy");
}
