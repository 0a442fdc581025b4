//! The lab of a column.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result, ensure};
use overlay_tests::{Data, Endpoint, Family, Lab, Netns, Node};

use crate::{
    columns::{Description, Far, Side},
    forwarded::Forwarded,
    rows::Row,
    support::{BLUE, Drops, addresses, container, device_mac, hosts_at, start, v4, v6},
};

/// The endpoint of the far end if it is ours, and if it is the kernel's.
const FAR: u8 = 2;
const PEER: u8 = 9;
/// The container that forwards.
const FORWARDER: u8 = 3;

/// In blue, `a` (1) and `f` (3) on the first host; the far end; and behind `f` a host of its own network.
pub(crate) struct Setting {
    description: Description,
    lab: Lab,
    /// The peer's namespace, where the far end is one.
    peer: Option<Netns>,
    pub(crate) behind: Netns,
}

/// The two ends, for one version of IP.
pub(crate) struct Ends<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) near: &'a Netns,
    pub(crate) far: &'a Netns,
    pub(crate) near_ip: IpAddr,
    pub(crate) far_ip: IpAddr,
    /// The host behind the container that forwards.
    pub(crate) behind_ip: IpAddr,
}

/// The addresses of the network behind the container that forwards.
fn beyond(number: u8) -> [IpAddr; 2] {
    let v6 = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, number.into());
    [Ipv4Addr::new(10, 7, 0, number).into(), v6.into()]
}

impl Setting {
    pub(crate) fn new(description: Description) -> Self {
        let name = description.lab();
        let mut lab = hosts_at(&name, 2, description.vteps());
        for host in &lab.hosts {
            host.set_node("underlay_mode", description.side.mode()).expect("written");
        }
        lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
        lab.declare_container(0, BLUE, "f", &addresses(FORWARDER)).expect("f");
        lab.cluster.endpoints[1].options.push_str("allowed_ips = [\"10.7.0.0/24\", \"fd07::/64\"]\n");
        lab.declare_container(1, BLUE, "b", &addresses(FAR)).expect("b");
        let peer = (description.far == Far::Kernel).then(|| declare_peer(&mut lab, &name, description));
        start(&mut lab);
        if let Some(netns) = &peer {
            netns.ip(&format!("link set vxlan0 mtu {} up", description.mtu())).expect("set");
            netns.ip(&format!("address add {}/24 dev vxlan0", v4(PEER))).expect("set");
            netns.ip(&format!("address add {}/64 dev vxlan0 nodad", v6(PEER))).expect("set");
        }
        let behind = Netns::new(&format!("ovt-{name}-x")).expect("a namespace");
        put_behind(&container(&lab, "f").netns, &behind, description.mtu());
        let this = Self { description, lab, peer, behind };
        for [base, length, via] in
            [["10.7.0.0", "24", &v4(3).to_string()], ["fd07::", "64", &v6(3).to_string()]]
        {
            this.far().ip(&format!("route add {base}/{length} via {via}")).expect("set");
        }
        this
    }

    /// The longest packet of the network.
    pub(crate) fn mtu(&self) -> u32 {
        self.description.mtu()
    }

    fn far(&self) -> &Netns {
        self.peer.as_ref().unwrap_or_else(|| &container(&self.lab, "b").netns)
    }

    /// Runs a row; nothing may be dropped on the way but what stations ask of themselves, and what comes in must come
    /// by where the column says.
    pub(crate) fn run(&self, row: &Row, inner: Family, data: &Data) -> Result<String> {
        let of = |[v4, v6]: [IpAddr; 2]| match inner {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        let ends = Ends {
            setting: self,
            near: &container(&self.lab, "a").netns,
            far: self.far(),
            near_ip: of(addresses(1)),
            far_ip: of(addresses(if self.peer.is_some() { PEER } else { FAR })),
            behind_ip: of(beyond(2)),
        };
        let hosts = &self.lab.hosts;
        let before: Vec<_> = hosts.iter().map(|host| (Drops::read(host), Forwarded::read(host))).collect();
        let cell = (row.run)(&ends, data)?;
        let refused = row.by_xdp.refuses(inner);
        for (number, (host, (drops, forwarded))) in hosts.iter().zip(before).enumerate() {
            let moved = drops.since(host);
            ensure!(moved.total_but("own_neigh") == 0, "dropped on {}: {moved:?}", host.name);
            // Of the second host nothing takes part where the far end is a peer.
            if number == 0 || self.peer.is_none() {
                let side = self.description.side;
                let forwards = row.forwards && number == 0;
                forwarded.since(host).check(side, refused.is_some(), forwards).context(host.name.clone())?;
            }
        }
        Ok(match (self.description.side, refused) {
            (Side::Xdp, Some(why)) => format!("{cell}, by TC: {why}"),
            _ => cell,
        })
    }
}

/// Declares a stock vxlan device as a node that sends all it has to the first host.
fn declare_peer(lab: &mut Lab, name: &str, description: Description) -> Netns {
    let [vtep, remote] = [PEER, 1].map(|number| (description.vteps())(number)[0]);
    // Our nodes send without a checksum.
    let sums = if vtep.is_ipv6() { "udp6zerocsumrx" } else { "" };
    let netns = Netns::new(&format!("ovt-{name}-peer")).expect("a namespace");
    lab.underlay.attach(&netns, "eth0", vtep, description.prefix_length(), "peer").expect("attached");
    netns
        .ip(&format!("link add vxlan0 type vxlan id 42 remote {remote} dstport 4789 {sums}"))
        .expect("a vxlan device");
    let mac = device_mac(&netns, "vxlan0").map(|byte| format!("{byte:02x}")).join(":");
    lab.cluster.nodes.push(Node { name: "peer".to_owned(), vteps: vec![vtep], external: true });
    lab.cluster.endpoints.push(Endpoint {
        network: BLUE.to_owned(),
        node: "peer".to_owned(),
        ips: addresses(PEER).to_vec(),
        mac: Some(mac),
        ..Endpoint::default()
    });
    netns
}

/// Puts a host behind a container, which forwards between it and the overlay.
fn put_behind(forwarder: &Netns, behind: &Netns, mtu: u32) {
    forwarder.ip(&format!("link add eth1 type veth peer name eth0 netns {}", behind.name())).expect("a veth");
    for (netns, device, number) in [(forwarder, "eth1", 1), (behind, "eth0", 2)] {
        for (ip, length) in beyond(number).into_iter().zip(["24", "64 nodad"]) {
            let (length, nodad) = length.split_once(' ').unwrap_or((length, ""));
            netns.ip(&format!("address add {ip}/{length} dev {device} {nodad}")).expect("set");
        }
        netns.ip(&format!("link set {device} mtu {mtu} up")).expect("set");
    }
    for gateway in beyond(1) {
        behind.ip(&format!("route add default via {gateway}")).expect("set");
    }
    forwarder.sysctl("net/ipv4/ip_forward", "1").expect("set");
    forwarder.sysctl("net/ipv6/conf/all/forwarding", "1").expect("set");
}
