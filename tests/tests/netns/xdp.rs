//! The outer header taken off in XDP, native on a veth, which nobody but who asks for it gets.

use std::time::Duration;

use overlay_tests::{Datagrams, Host, Lab, output_within, over_v6};
use serde_json::Value;

use crate::{
    restart::{assert_none_lost, pinging},
    start::assert_refused,
    stream::assert_carried,
    support::{
        BLUE, Drops, addresses, assert_connected, container, forwarded, hosts, hosts_at, links, programs,
        start, wait_for,
    },
};

/// Ten super-frames of ten datagrams each.
const QUIC: Datagrams = Datagrams { count: 100, length: 1200, at_once: 10 };

/// `a` (1) on the first host and `b` (2) on the second; `mode` of both.
pub(crate) fn pair(mut lab: Lab, mode: &str) -> Lab {
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.hosts.iter().try_for_each(|host| host.set_node("underlay_mode", mode)).expect("set");
    start(&mut lab);
    lab
}

/// The XDP program that the kernel names at the underlay device: its mode and number.
fn at_device(host: &Host) -> Option<(u64, u64)> {
    let link: &Value = &links(&host.netns)["eth0"];
    let xdp = link.get("xdp")?;
    Some((xdp["mode"].as_u64()?, xdp["prog"]["id"].as_u64()?))
}

#[test]
fn what_tc_carries_xdp_carries_over_ipv4() {
    carries(hosts("xdp", 2));
}

#[test]
fn what_tc_carries_xdp_carries_over_ipv6() {
    carries(hosts_at("xdpsix", 2, over_v6));
}

pub(crate) fn carries(lab: Lab) {
    /// `XDP_ATTACHED_DRV`: run by the driver.
    const NATIVE: u64 = 1;
    let lab = pair(lab, "xdp");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for host in &lab.hosts {
        let (name, id, hook) = programs(host).pop().expect("programs");
        assert_eq!((name.as_str(), hook.as_str()), ("xdp_underlay", "xdp ingress"));
        assert_eq!(at_device(host), Some((NATIVE, id)));
    }
    let before = [0, 1].map(|host| Drops::read(&lab.hosts[host]));
    assert_connected(a, b);
    for (from, to, host) in [(a, b, &lab.hosts[1]), (b, a, &lab.hosts[0])] {
        for ip in &to.ips {
            let counted = |name| forwarded(host, name);
            let (all, by_xdp) = (counted("from_underlay"), counted("from_xdp"));
            assert_carried(from, to, *ip);
            let (all, by_xdp) = (counted("from_underlay") - all, counted("from_xdp") - by_xdp);
            // What is not: neighbour discovery, as it comes.
            assert!(by_xdp > 100 && all - by_xdp < 10, "{ip}: {by_xdp} of {all} frames");
            assert_eq!(QUIC.send(&from.netns, &to.netns, *ip).expect("sent"), 100, "{ip}");
        }
        assert_eq!(forwarded(host, "to_anchor"), 0, "nothing of a tunnel is left to be cleared");
    }
    for (host, before) in lab.hosts.iter().zip(before) {
        before.since(host).assert(&[], "nothing is dropped");
    }
}

#[test]
fn a_long_packet_comes_in_several_buffers() {
    let lab = pair(hosts("xdpjumbo", 2), "xdp");
    // A veth takes a program without frags only up to a page, and this for itself and its peer.
    for host in &lab.hosts {
        lab.underlay.netns.ip(&format!("link set {} mtu 9000", host.name)).expect("set");
        host.netns.ip("link set eth0 mtu 9000").expect("set");
    }
    carries_long_packets(&lab);
}

/// Of a lab whose underlay takes 9000 bytes.
pub(crate) fn carries_long_packets(lab: &Lab) {
    let (a, b) = (container(lab, "a"), container(lab, "b"));
    let follows = || [a, b].iter().all(|one| links(&one.netns)["eth0"]["mtu"] == 8950);
    wait_for("the MTU", Duration::from_secs(8), follows);
    for ip in &b.ips {
        assert_carried(a, b, *ip);
        let headers = if ip.is_ipv4() { 28 } else { 48 };
        let (size, to) = ((8950 - headers).to_string(), ip.to_string());
        a.netns.run(&["ping", "-n", "-q", "-c", "3", "-M", "do", "-s", &size, &to]).expect("answered");
    }
    assert!(forwarded(&lab.hosts[1], "from_xdp") > 100);
}

#[test]
fn agents_come_and_go_and_the_mode_changes() {
    come_and_go(hosts("xdpmode", 2), false);
}

/// Waits: the kernel takes a program off its device a little after the last pin of its link is gone
/// (`bpf_link_put_deferred`).
fn is_attached(host: &Host, attached: bool, when: &str) {
    wait_for(when, Duration::from_secs(2), || at_device(host).is_some() == attached);
}

/// `auto` says whether that mode takes XDP on the devices of the lab.
pub(crate) fn come_and_go(lab: Lab, auto: bool) {
    let mut lab = pair(lab, "xdp");
    let before = programs(&lab.hosts[0]);
    let ping = pinging(container(&lab, "a"));
    let host = &mut lab.hosts[0];
    host.kill_agent().expect("killed");
    host.start_agent().expect("started");
    assert_eq!(programs(host), before, "adopted");
    assert_none_lost(ping, "a crash");
    for (mode, attached) in [("tc", false), ("xdp", true), ("auto", auto), ("xdp", true)] {
        let host = &mut lab.hosts[0];
        host.stop_agent().expect("stopped");
        host.set_node("underlay_mode", mode).expect("set");
        host.start_agent().expect("started");
        is_attached(host, attached, mode);
        assert_connected(container(&lab, "a"), container(&lab, "b"));
        let by_xdp = forwarded(&lab.hosts[0], "from_xdp");
        assert_carried(container(&lab, "b"), container(&lab, "a"), addresses(1)[0]);
        assert_eq!(forwarded(&lab.hosts[0], "from_xdp") > by_xdp, attached, "{mode}");
    }
    let host = &mut lab.hosts[0];
    host.stop_agent().expect("stopped");
    let output = output_within(host.overlay().arg("uninstall"), Duration::from_secs(10)).expect("ran");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    is_attached(host, false, "uninstalled");
}

#[test]
fn a_device_that_runs_xdp_only_in_the_stack_is_refused() {
    let mut lab = hosts("xdpgeneric", 1);
    lab.write_cluster().expect("written");
    let host = &lab.hosts[0];
    host.set_node("underlay_mode", "xpd").expect("set");
    assert_refused(host, &["env"], &[], &["overlay.toml:2:", "did you mean \"xdp\"?"]);
    host.set_node("underlay_mode", "xdp").expect("set");
    host.netns.ip("link add link eth0 name mv0 type macvlan").expect("made");
    host.netns.ip("address flush dev eth0").expect("flushed");
    host.netns.ip("address add 10.88.0.1/24 dev mv0").expect("set");
    host.netns.ip("link set mv0 up").expect("set");
    host.set_node("underlay", "mv0").expect("set");
    assert_refused(host, &["env"], &[], &["\"mv0\"", "does not run XDP", "underlay_mode = \"auto\""]);
    host.set_node("underlay_mode", "auto").expect("set");
    lab.hosts[0].start_agent().expect("the control: it starts");
    assert_eq!(programs(&lab.hosts[0]).iter().filter(|(name, ..)| name == "xdp_underlay").count(), 0);
}
