//! A container whose second interface the host masquerades cannot pass for a VTEP over IPv6 either.

use std::{
    fs,
    net::{Ipv6Addr, UdpSocket},
    time::Duration,
};

use overlay_tests::{Container, Host, Lab, Netns, over_v6, run};

use crate::{
    frames::{VXLAN, udp4},
    support::{
        BLUE, BLUE_VNI, Drops, addresses, assert_connected, container, hosts_at, mac, start, v4, wait_for,
    },
};

/// Datagrams of the attack.
const FORGED: usize = 100;
/// Where the victim would get them.
const PORT: u16 = 7401;
/// The other node.
const NODE: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 2);
/// A VNI of nobody.
const FOREIGN_VNI: u32 = 4242;

/// Gives a container an interface into its host's network, whose traffic the host masquerades.
fn masquerade(host: &Host, container: &Container) {
    let peer = container.netns.name();
    host.netns.ip(&format!("link add gw type veth peer name eth1 netns {peer}")).expect("a veth");
    overlay_tests::add_address(&host.netns, "gw", "fd17::1".parse().expect("IPv6"), 64).expect("set");
    host.netns.ip("link set gw up").expect("set");
    overlay_tests::add_address(&container.netns, "eth1", "fd17::2".parse().expect("IPv6"), 64).expect("set");
    container.netns.ip("link set eth1 up").expect("set");
    container.netns.ip("-6 route add default via fd17::1").expect("set");
    host.netns.sysctl("net/ipv6/conf/all/forwarding", "1").expect("set");
    let rule = "add table ip6 nat; add chain ip6 nat post { type nat hook postrouting priority 100; }; \
                add rule ip6 nat post ip6 saddr fd17::/64 oifname eth0 masquerade";
    run(host.netns.command("nft").arg(rule)).expect("masqueraded");
    // Until neighbours know each other, nothing gets through.
    wait_for("the way to the other node", Duration::from_secs(5), || container.netns.ping(NODE.into()));
}

/// A frame to the victim, as if from `a`.
fn forged(vni: u32) -> Vec<u8> {
    let inner = udp4((mac(1), mac(2)), v4(1), v4(2), PORT);
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), &inner].concat()
}

fn within<T: Send>(netns: &Netns, make: impl FnOnce() -> std::io::Result<T> + Send) -> T {
    netns.enter(make).expect("inside").expect("made")
}

/// Sends the attack from `a`; how much of it the victim got.
fn attack(lab: &Lab) -> usize {
    let victim = within(&container(lab, "b").netns, || UdpSocket::bind((v4(2), PORT)));
    let sender = within(&container(lab, "a").netns, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)));
    for _ in 0..FORGED {
        sender.send_to(&forged(BLUE_VNI), (NODE, VXLAN)).expect("sent");
    }
    victim.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    std::iter::from_fn(|| victim.recv(&mut [0; 64]).ok()).count()
}

#[test]
fn forged_vxlan_over_ipv6_does_not_leave_the_host() {
    let mut lab = hosts_at("masqsix", 2, over_v6);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    start(&mut lab);
    masquerade(&lab.hosts[0], container(&lab, "a"));
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    assert_eq!(attack(&lab), 0);
    let counted = before[0].since(&lab.hosts[0]);
    counted.assert(&[("vxlan_from_container", Some(BLUE), FORGED as u64)], "where they would leave");
    before[1].since(&lab.hosts[1]).assert(&[], "where they would arrive");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    // What is of no network of ours leaves; the other node is a member's, and counts it.
    let sender = within(&container(&lab, "a").netns, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)));
    let unknown = Drops::read(&lab.hosts[1]);
    sender.send_to(&forged(FOREIGN_VNI), (NODE, VXLAN)).expect("sent");
    let arrived = || unknown.since(&lab.hosts[1]).total("unknown_vni") == 1;
    wait_for("another network's", Duration::from_secs(2), arrived);
    // The control: without the program they arrive, and are believed.
    lab.hosts[0].kill_agent().expect("killed");
    fs::remove_file(lab.hosts[0].pin_dir.join("links/to_underlay@eth0")).expect("was pinned");
    let delivered = attack(&lab);
    assert!(delivered > FORGED / 2, "the control: {delivered} delivered");
    lab.hosts[0].start_agent().expect("started again");
    wait_for("the program", Duration::from_secs(5), || attack(&lab) == 0);
}
