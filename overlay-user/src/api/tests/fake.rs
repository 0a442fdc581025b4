//! What stands behind the server instead of an agent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    api::{
        server::{Answer, Control, Refusal},
        types::{
            Accepted, Audit, BlockInfo, Change, ChangeKind, Counts, DropInfo, EndpointAdd, EndpointInfo,
            EndpointState, FdbRow, GossipStatus, Health, IpamFault, IpamInfo, KeyInfo, KeyInstall,
            KeyInstalled, NeighRow, NetworkCreate, NetworkInfo, NodeInfo, NodeState, PortRow, Problem,
            Program, Reserve, Row, SourceStatus, Status, StatusNode, SubnetInfo, Table, VtepRow,
        },
    },
    netns::NamespaceFds,
};

/// An agent, and how often something was to be changed.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<AtomicUsize>);

impl Fake {
    /// How often something was to be changed.
    pub(super) fn changes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn change(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn blue() -> NetworkInfo {
    let subnets = vec!["10.1.0.0/24".to_owned()];
    let gateways = vec!["10.1.0.254".into()];
    NetworkInfo { name: "blue".into(), vni: 42, subnets, gateways, mtu: Some(1450), encrypted: false }
}

pub(super) fn web() -> EndpointInfo {
    EndpointInfo {
        id: "blue.02420a010001".into(),
        network: "blue".into(),
        node: "h1".into(),
        ifname: Some("eth0".into()),
        mac: "02:42:0a:01:00:01".into(),
        ips: vec!["10.1.0.1/24".into()],
        name: None,
        local: true,
        state: EndpointState::Ready,
        netns: Some("/run/netns/c1".into()),
        host_ifname: Some("ovabc".into()),
        why: None,
    }
}

pub(super) fn drops() -> Vec<DropInfo> {
    vec![DropInfo { reason: "spoofed_ip".into(), network: Some("blue".into()), count: 3 }]
}

pub(super) fn node() -> NodeInfo {
    NodeInfo {
        name: "h1".into(),
        vtep: "10.88.0.1".into(),
        vteps: vec!["10.88.0.1".into()],
        kind: "agent".into(),
        state: NodeState::This,
        version: Some("0.1.0".into()),
        gossip: None,
        rtt_us: Some(250),
        endpoints: 1,
        changed: Some(1),
    }
}

pub(super) fn ipam() -> IpamInfo {
    let block = BlockInfo {
        block: "10.1.0.64/26".into(),
        node: "h1".into(),
        state: "held".into(),
        used: 1,
        size: 64,
    };
    let subnet = SubnetInfo {
        subnet: "10.1.0.0/24".into(),
        size: 256,
        reserved: vec!["10.1.0.240/28".into()],
        gateways: vec!["10.1.0.254".into()],
        blocks: vec![block],
        used_outside_blocks: 0,
    };
    IpamInfo { network: "blue".into(), subnets: vec![subnet] }
}

pub(super) fn key() -> KeyInfo {
    KeyInfo { id: "1a2b3c4d".into(), in_use: true, nodes: vec!["h1".into()], missing: Vec::new() }
}

pub(super) fn change() -> Change {
    Change { at: 1, kind: ChangeKind::Node, name: "h2".into(), what: "dead".into(), detail: String::new() }
}

pub(super) fn status() -> Status {
    Status {
        state: Health::Healthy,
        node: StatusNode { name: "h1".into(), vtep: None, vteps: Vec::new(), underlay: None, mtu: None },
        problems: vec![Problem { code: "x".into(), message: "wrong".into(), fix: "do".into() }],
        programs: vec![Program { name: "p".into(), id: 1, device: "eth0".into(), hook: "h".into() }],
        forwarded: BTreeMap::from([("to_local".to_owned(), 3)]),
        audit: Audit::default(),
        source: SourceStatus { engine: "file".into(), ok: true, error: None, line: None, column: None },
        gossip: Some(GossipStatus {
            address: "10.88.0.1:7950".into(),
            seeds: Vec::new(),
            sealed: true,
            peers: 2,
            quarantined: 0,
            held: 0,
            limits: BTreeMap::from([("nodes".to_owned(), 512)]),
            counters: BTreeMap::from([("received".to_owned(), 9)]),
        }),
        counts: Counts::default(),
        version: "0".into(),
        abi: 1,
    }
}

pub(super) fn rows(table: Table) -> Vec<Row> {
    let (network, vni) = (Some("blue".to_owned()), 42);
    let mac = "02:42:0a:01:00:01".to_owned();
    let row = match table {
        Table::Fdb => Row::Fdb(FdbRow { network, vni, mac, to: "local".into(), vtep: None, ifname: None }),
        Table::Neigh => Row::Neigh(NeighRow { network, vni, ip: "10.1.0.1".into(), mac }),
        Table::Vteps => Row::Vtep(VtepRow {
            vtep: "10.88.0.1".into(),
            node: None,
            next_hop: None,
            mac: Some(mac),
            device: None,
            mtu: None,
            networks: Vec::new(),
        }),
        Table::Ports => Row::Port(PortRow {
            ifname: "ovabc".into(),
            ifindex: 7,
            network,
            vni,
            macs: vec![mac],
            allowed: Vec::new(),
        }),
        Table::Flood => return Vec::new(),
    };
    vec![row]
}

impl Control for Fake {
    async fn status(&self) -> Answer<Status> {
        Ok(status())
    }
    async fn networks(&self) -> Answer<Vec<NetworkInfo>> {
        Ok(vec![blue()])
    }
    async fn network(&self, name: String) -> Answer<NetworkInfo> {
        if name == "blue" {
            Ok(blue())
        } else {
            Err(Refusal::not_found(format!("network {name:?} does not exist")))
        }
    }
    async fn network_create(&self, create: NetworkCreate) -> Answer<NetworkInfo> {
        self.change();
        Err(Refusal::conflict(format!("paste {} into cluster.toml", create.name)))
    }
    async fn network_delete(&self, _name: String) -> Answer<()> {
        self.change();
        Ok(())
    }
    async fn endpoints(&self) -> Answer<Vec<EndpointInfo>> {
        Ok(vec![web()])
    }
    async fn endpoint(&self, id: String) -> Answer<EndpointInfo> {
        if id == web().id { Ok(web()) } else { Err(Refusal::not_found(id)) }
    }
    async fn endpoint_add(&self, _add: EndpointAdd, _namespace: NamespaceFds) -> Answer<EndpointInfo> {
        self.change();
        Ok(web())
    }
    async fn endpoint_delete(&self, _id: String) -> Answer<()> {
        self.change();
        Err(Refusal::failed("the kernel refused"))
    }
    async fn nodes(&self) -> Answer<Vec<NodeInfo>> {
        Ok(vec![node()])
    }
    async fn events(&self) -> Answer<Vec<Change>> {
        Ok(vec![change()])
    }
    async fn ipam(&self) -> Answer<Vec<IpamInfo>> {
        Ok(vec![ipam()])
    }
    async fn ipam_check(&self) -> Answer<Vec<IpamFault>> {
        Ok(vec![IpamFault { code: "mac_twice".into(), message: "delete one".into() }])
    }
    async fn ipam_reserve(&self, _network: String, _reserve: Reserve) -> Answer<IpamInfo> {
        self.change();
        Ok(ipam())
    }
    async fn accept(&self) -> Answer<Accepted> {
        self.change();
        Ok(Accepted { endpoints: 3 })
    }
    async fn keys(&self) -> Answer<Vec<KeyInfo>> {
        Ok(vec![key()])
    }
    async fn key_install(&self, _install: KeyInstall) -> Answer<KeyInstalled> {
        self.change();
        Ok(KeyInstalled { id: "1a2b3c4d".into(), token: "overlay1.x".into() })
    }
    async fn key_use(&self, _id: String) -> Answer<Vec<KeyInfo>> {
        self.change();
        Ok(vec![key()])
    }
    async fn key_remove(&self, _id: String) -> Answer<()> {
        self.change();
        Err(Refusal::conflict("in use"))
    }
    async fn drops(&self) -> Answer<Vec<DropInfo>> {
        Ok(drops())
    }
    async fn dump(&self, table: Table) -> Answer<Vec<Row>> {
        Ok(rows(table))
    }
}
