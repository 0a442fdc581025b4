//! The lab: two hosts with agents, and a host whose only means is a vxlan device.

use std::net::{IpAddr, Ipv4Addr};

use overlay_tests::{Endpoint, Lab, Netns, Node};

use crate::support::{BLUE, Drops, addresses, container, device_mac, hosts, start, v4, v6};

/// The device in the peer's namespace.
pub(crate) const DEVICE: &str = "vxlan0";
/// Number of the peer's endpoint.
pub(crate) const NUMBER: u8 = 9;
/// The peer's address on the underlay.
const VTEP: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 9);

/// In blue, `a` (1) on the first host, `b` (2) on the second, and the peer (9), whose device sends everything that it
/// knows no better place for to the first host.
pub(crate) struct Peer {
    pub(crate) lab: Lab,
    pub(crate) netns: Netns,
    pub(crate) mac: [u8; 6],
}

impl Peer {
    pub(crate) fn new(name: &str) -> Self {
        let mut lab = hosts(name, 2);
        lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
        lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
        let netns = Netns::new(&format!("ovt-{name}-peer")).expect("a namespace");
        lab.underlay.attach(&netns, "eth0", VTEP.into(), 24, "peer").expect("attached");
        netns
            .ip(&format!("link add {DEVICE} type vxlan id 42 remote 10.88.0.1 dstport 4789"))
            .expect("a vxlan device: the kernel has them");
        // The kernel chose it.
        let mac = device_mac(&netns, DEVICE);
        lab.cluster.nodes.push(Node {
            name: "peer".to_owned(),
            vteps: vec![IpAddr::V4(VTEP)],
            external: true,
        });
        lab.cluster.endpoints.push(Endpoint {
            network: BLUE.to_owned(),
            node: "peer".to_owned(),
            ips: addresses(NUMBER).to_vec(),
            mac: Some(mac.map(|byte| format!("{byte:02x}")).join(":")),
            ..Endpoint::default()
        });
        start(&mut lab);
        // Of its own accord the device takes 1500, whatever the underlay carries.
        netns.ip(&format!("link set {DEVICE} mtu 1450 up")).expect("set");
        netns.ip(&format!("address add {}/24 dev {DEVICE}", v4(NUMBER))).expect("set");
        netns.ip(&format!("address add {}/64 dev {DEVICE} nodad", v6(NUMBER))).expect("set");
        Self { lab, netns, mac }
    }

    /// The namespace of container `a`.
    pub(crate) fn a(&self) -> &Netns {
        &container(&self.lab, "a").netns
    }

    /// Panics if anything was dropped on the first host since, but duplicate address detection of the peer's own
    /// addresses, and what stations send to groups by themselves.
    pub(crate) fn assert_nothing_dropped(&self, before: &Drops) {
        let moved = before.since(&self.lab.hosts[0]);
        let own = moved.count("own_neigh", BLUE);
        let expected = [("own_neigh", Some(BLUE), own)];
        moved.assert(if own == 0 { &[] } else { &expected }, "between the peer and the container");
    }

    /// Both sides forget who is where, neighbours and, at the peer, stations behind VTEPs.
    pub(crate) fn forget(&self) {
        for (netns, device) in [(&self.netns, DEVICE), (self.a(), "eth0")] {
            netns.ip(&format!("neigh flush dev {device}")).expect("flushed");
        }
        // It may have learned none yet.
        let _ = self.netns.run(&["bridge", "fdb", "flush", "dev", DEVICE, "dynamic"]);
    }
}
