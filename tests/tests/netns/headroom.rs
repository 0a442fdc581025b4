//! Headroom for the outer header, by way of a bridge that forwards nothing.

use std::fs;

use overlay_tests::{Capture, Container, Lab};
use serde_json::Value;

use crate::{
    frames::{BROADCAST, udp4},
    support::{BLUE, addresses, container, endpoint, hosts, let_capture_see, links, mac, start, v4},
};

const PORT: u16 = 6200;

/// Two containers of one host.
fn neighbours(name: &str) -> Lab {
    let mut lab = hosts(name, 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(0, BLUE, "c", &addresses(3)).expect("c");
    start(&mut lab);
    lab
}

/// The host's end of a container's veth.
fn veth(lab: &Lab, name: &str) -> String {
    endpoint(&lab.hosts[0], name)["host_ifname"].as_str().expect("bound").to_owned()
}

/// How many of `a`'s broadcasts arrive at `c`.
fn heard(a: &Container, c: &Container) -> usize {
    let mut capture = Capture::inbound(&c.netns, "eth0", "").expect("a capture");
    let frame = udp4((mac(1), BROADCAST), v4(1), v4(3), PORT);
    a.netns.inject("eth0", &[frame.clone(), frame]).expect("sent");
    let_capture_see();
    capture.fields(&format!("udp.port == {PORT}"), &["frame.number"]).expect("tshark").len()
}

#[test]
fn a_veth_is_an_isolated_port_of_a_bridge_that_is_down() {
    let lab = neighbours("room");
    let links = links(&lab.hosts[0].netns);
    let up = |name: &str| links[name]["flags"].as_array().expect("flags").contains(&Value::from("UP"));
    assert!(!up("overlay-room") && !up("overlay-room-vx"));
    assert_eq!(links["overlay-room-vx"]["master"], "overlay-room");
    for name in ["a", "c"] {
        let veth = veth(&lab, name);
        assert!(up(&veth), "the control");
        assert_eq!(links[&veth]["master"], "overlay-room");
        assert_eq!(links[&veth]["linkinfo"]["info_slave_data"]["isolated"], true);
    }
}

#[test]
fn with_every_program_detached_and_the_bridge_up_it_forwards_nothing() {
    let mut lab = neighbours("room-up");
    // While an agent can be asked.
    let veths = [veth(&lab, "a"), veth(&lab, "c")];
    lab.hosts[0].kill_agent().expect("killed");
    for pin in fs::read_dir(lab.hosts[0].pin_dir.join("links")).expect("pins") {
        fs::remove_file(pin.expect("a pin").path()).expect("removed");
    }
    let host = &lab.hosts[0].netns;
    let (a, c) = (container(&lab, "a"), container(&lab, "c"));
    assert_eq!(heard(a, c), 0, "the bridge is down");
    host.ip("link set overlay-room up").expect("set");
    assert_eq!(heard(a, c), 0);
    let set = |what: &str| {
        for veth in &veths {
            let words = ["bridge", "link", "set", "dev", veth].into_iter().chain(what.split(' '));
            host.run(&words.collect::<Vec<_>>()).expect("set");
        }
    };
    set("flood on bcast_flood on mcast_flood on");
    assert_eq!(heard(a, c), 0, "the ports are isolated");
    set("isolated off");
    assert_eq!(heard(a, c), 2, "the control: any other bridge forwards");
}
