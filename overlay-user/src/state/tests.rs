//! What follows from the events.

use std::net::IpAddr;

use overlay_common::{MacAddr, Vni};
use proptest::prelude::*;

use super::*;
use crate::{
    cluster::NodeKind,
    event::NextHop,
    tables::{Anchors, Fdb, Hook, Program, Tables, Vtep},
};

const CLUSTER: &str = r#"
[[node]]
name = "h1"
vtep = "10.88.0.1"
[[node]]
name = "h2"
vtep = "10.88.0.2"
[[node]]
name = "h3"
vtep = "10.88.0.3"
kind = "external"
[[network]]
name = "blue"
vni = 42
subnets = ["10.1.0.0/24", "fd00:1::/64"]
gateways = ["10.1.0.254"]
[[network]]
name = "dark"
vni = 43
subnets = ["10.1.0.0/24"]
mtu = 9000
encrypted = true
[[endpoint]]
network = "blue"
node = "h1"
ips = ["10.1.0.1", "fd00:1::1"]
name = "web"
allowed_ips = ["192.168.0.0/16"]
allowed_macs = ["02:00:00:00:00:07"]
[[endpoint]]
network = "blue"
node = "h1"
ips = ["10.1.0.2"]
name = "web"
[[endpoint]]
network = "blue"
node = "h2"
ips = ["10.1.0.3"]
name = "db"
[[endpoint]]
network = "dark"
node = "h2"
ips = ["10.1.0.4"]
"#;

fn cluster(text: &str) -> Cluster {
    Cluster::parse(text).expect("valid")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn id(text: &str) -> EndpointId {
    text.parse().expect("an ID")
}

fn blue() -> Vni {
    Vni::new(42).expect("a VNI")
}

fn underlay() -> Underlay {
    let next_hop = NextHop {
        ifindex: Ifindex(2),
        via: ip("10.88.0.2"),
        mac: None,
        source_mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
        inner_mtu: 1450,
    };
    Underlay {
        ifindex: Ifindex(2),
        mac: next_hop.source_mac,
        vteps: ip("10.88.0.1").into(),
        mtu: 1500,
        next_hops: [2, 3].map(|n| (IpAddr::from([10, 88, 0, n]), next_hop.clone())).into(),
        xdp: true,
        anchors: Anchors { v4: Some(Ifindex(3)), v6: Some(Ifindex(4)) },
        shared: true,
    }
}

pub(super) fn state_of(text: &str) -> State {
    let mut state = State::new("h1".to_owned(), 4789);
    state.apply(Event::Cluster(cluster(text)));
    state.apply(Event::Underlay(underlay()));
    state
}

fn bound() -> State {
    let mut state = state_of(CLUSTER);
    state.apply(Event::PortUp { id: id("blue.02420a010001"), ifindex: Ifindex(10) });
    state
}

/// The addresses that a MAC address answers for by itself.
fn answers(tables: &Tables, mac: MacAddr) -> Vec<IpAddr> {
    tables.fdb[&(blue(), mac)].answers.ips(mac).collect()
}

fn codes(state: &State) -> Vec<&'static str> {
    state.problems().iter().map(|problem| problem.code).collect()
}

#[test]
fn no_tables_before_cluster_and_underlay() {
    let mut state = State::new("h1".to_owned(), 4789);
    assert_eq!(state.tables(), None);
    state.apply(Event::Cluster(cluster(CLUSTER)));
    assert_eq!(state.tables(), None);
    assert_eq!(state.mtu("blue"), None);
    state.apply(Event::Underlay(underlay()));
    assert!(state.tables().is_some());
}

#[test]
fn remote_endpoints_need_no_port() {
    let tables = state_of(CLUSTER).tables().expect("tables");
    let remote = MacAddr::new([2, 0x42, 10, 1, 0, 3]);
    assert_eq!(tables.fdb[&(blue(), remote)].at, Fdb::Remote { vtep: ip("10.88.0.2"), encrypted: false });
    assert_eq!(answers(&tables, remote), [ip("10.1.0.3"), IpAddr::from(remote.link_local())]);
    assert!(tables.neigh.values().all(|mac| *mac != remote), "its MAC address tells both");
    let dark = Vni::new(43).expect("a VNI");
    assert_eq!(tables.members, [(blue(), ip("10.88.0.2")), (dark, ip("10.88.0.2"))].into());
    assert_eq!(tables.vteps.keys().copied().collect::<Vec<_>>(), [ip("10.88.0.2"), ip("10.88.0.3")]);
    let encrypted = &tables.fdb[&(dark, MacAddr::new([2, 0x42, 10, 1, 0, 4]))];
    assert_eq!(encrypted.at, Fdb::Remote { vtep: ip("10.88.0.2"), encrypted: true });
    let node = tables.node.expect("a node");
    assert_eq!((node.vtep_v4.map(IpAddr::from), node.udp_port), (Some(ip("10.88.0.1")), 4789));
    assert_eq!((node.anchors, node.shared), (underlay().anchors, true));
    let at_underlay = [Program::FromUnderlay, Program::ToUnderlay, Program::XdpUnderlay];
    let mut hooks = BTreeSet::from(at_underlay.map(|program| Hook { program, ifindex: Ifindex(2) }));
    hooks.extend([3, 4].map(|index| Hook { program: Program::FromAnchor, ifindex: Ifindex(index) }));
    assert_eq!(tables.hooks, hooks);
    assert!(tables.ports.is_empty());
}

#[test]
fn a_local_endpoint_is_there_while_it_is_bound() {
    let mut state = bound();
    let mac = MacAddr::new([2, 0x42, 10, 1, 0, 1]);
    let tables = state.tables().expect("tables");
    assert_eq!(tables.fdb[&(blue(), mac)].at, Fdb::Local { ifindex: Ifindex(10), forwards: true });
    assert_eq!(answers(&tables, mac), [ip("10.1.0.1"), ip("fe80::42:aff:fe01:1")]);
    assert_eq!(tables.neigh[&(blue(), ip("fd00:1::1"))], mac);
    let extra = MacAddr::new([2, 0, 0, 0, 0, 7]);
    assert_eq!(tables.fdb[&(blue(), extra)].at, Fdb::Local { ifindex: Ifindex(10), forwards: true });
    assert_eq!(answers(&tables, extra), [] as [IpAddr; 0], "no address is that of an allowed MAC address");
    let port = &tables.ports[&Ifindex(10)];
    assert_eq!(port.macs[0], mac);
    let allowed: Vec<String> = port.allowed.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["10.1.0.1/32", "fd00:1::1/128", "fe80::42:aff:fe01:1/128", "192.168.0.0/16"]);
    assert!(tables.hooks.contains(&Hook { program: Program::FromContainer, ifindex: Ifindex(10) }));
    let unbound = MacAddr::new([2, 0x42, 10, 1, 0, 2]);
    assert!(!tables.fdb.contains_key(&(blue(), unbound)), "the unbound one does not answer");
    state.apply(Event::PortDown { id: id("blue.02420a010001") });
    let unbound = state.tables().expect("tables");
    assert_eq!(unbound, state_of(CLUSTER).tables().expect("tables"));
}

#[test]
fn a_removed_endpoint_loses_its_port_and_is_an_orphan() {
    let mut state = bound();
    assert_eq!(state.orphans().count(), 0);
    let removed = CLUSTER.replacen("ips = [\"10.1.0.1\", \"fd00:1::1\"]", "ips = [\"10.1.0.9\"]", 1);
    state.apply(Event::Cluster(cluster(&removed)));
    assert!(state.tables().expect("tables").ports.is_empty());
    let orphans: Vec<_> = state.orphans().collect();
    assert_eq!(orphans, [(&id("blue.02420a010001"), Ifindex(10))]);
}

#[test]
fn an_endpoint_that_moved_away_is_remote_and_an_orphan() {
    let mut state = bound();
    let moved =
        CLUSTER.replacen("node = \"h1\"\nips = [\"10.1.0.1\"", "node = \"h2\"\nips = [\"10.1.0.1\"", 1);
    state.apply(Event::Cluster(cluster(&moved)));
    let tables = state.tables().expect("tables");
    let mac = MacAddr::new([2, 0x42, 10, 1, 0, 1]);
    assert_eq!(tables.fdb[&(blue(), mac)].at, Fdb::Remote { vtep: ip("10.88.0.2"), encrypted: false });
    assert!(tables.ports.is_empty());
    assert_eq!(state.orphans().count(), 1);
}

#[test]
fn an_index_used_again_belongs_to_the_new_port() {
    let mut state = bound();
    state.apply(Event::PortUp { id: id("blue.02420a010002"), ifindex: Ifindex(10) });
    assert_eq!(state.bound(&id("blue.02420a010001")), None);
    assert_eq!(state.tables().expect("tables").ports.len(), 1);
}

#[test]
fn a_failed_source_keeps_the_last_good_cluster() {
    let mut state = state_of(CLUSTER);
    let before = state.tables();
    let message = "/c.toml:3:7: endpoint.ips: wrong; right".to_owned();
    state.apply(Event::SourceFailed(SourceError {
        message: message.clone(),
        line: Some(3),
        column: Some(7),
    }));
    assert_eq!(state.tables(), before);
    let problem = &state.problems()[0];
    assert_eq!((problem.code, &problem.message), ("source_failed", &message));
    state.apply(Event::Cluster(cluster(CLUSTER)));
    assert!(!codes(&state).contains(&"source_failed"));
}

#[test]
fn problems_are_told_with_their_code() {
    let healthy = CLUSTER.replace("encrypted = true\n", "").replace("mtu = 9000\n", "");
    assert_eq!(state_of(&healthy).problems(), []);
    assert_eq!(codes(&state_of(CLUSTER)), ["mtu_too_large"]);
    let across = CLUSTER.replace(
        "\"dark\"\nnode",
        "\"dark\"\nnode = \"h1\"\nips = [\"10.1.0.5\"]\n[[endpoint]]\nnetwork = \"dark\"\nnode",
    );
    assert_eq!(codes(&state_of(&across)), ["mtu_too_large", "not_encrypted"]);
    assert_eq!(codes(&state_of(&healthy.replace("10.88.0.1", "10.88.0.7"))), ["vtep_mismatch"]);
    assert_eq!(codes(&state_of(&healthy.replace("10.88.0.3", "10.89.0.3"))), ["vtep_unroutable"]);
    let renamed = state_of(&healthy.replace("\"h1\"", "\"h11\""));
    assert_eq!(codes(&renamed), ["node_unknown"]);
    assert!(renamed.problems()[0].fix.contains("did you mean \"h11\"?"));
    let mut narrow = state_of(&healthy);
    narrow.apply(Event::Underlay(Underlay { mtu: 1300, ..underlay() }));
    assert_eq!(codes(&narrow), ["mtu_too_small"]);
}

#[test]
fn the_mtu_is_that_of_the_file_where_the_underlay_allows_it() {
    let state = state_of(&CLUSTER.replace("vni = 42", "vni = 42\nmtu = 1300"));
    assert_eq!(state.mtu("blue"), Some(1300));
    assert_eq!(state.mtu("dark"), Some(1450));
    assert_eq!(state.mtu("red"), None);
}

#[test]
fn a_node_that_claims_our_address_is_not_sent_to() {
    let mut state = state_of(CLUSTER);
    state.apply(Event::Underlay(Underlay { vteps: ip("10.88.0.2").into(), ..underlay() }));
    let tables = state.tables().expect("tables");
    assert!(!tables.vteps.contains_key(&ip("10.88.0.2")));
    assert!(tables.fdb.is_empty() && tables.members.is_empty());
}

#[test]
fn a_node_is_sent_to_by_the_family_that_both_have_and_believed_from_both() {
    let text = CLUSTER
        .replace("vtep = \"10.88.0.2\"", "vtep = [\"fd88::2\", \"10.88.0.2\"]")
        .replace("vtep = \"10.88.0.3\"", "vtep = \"fd88::3\"")
        .replace("mtu = 9000\n", "");
    let mut state = state_of(&text);
    let hop = underlay().next_hops[&ip("10.88.0.2")].clone();
    let vtep = |next_hop: Option<NextHop>, other: Option<&str>, external| Vtep {
        next_hop,
        other: other.map(ip),
        external,
    };
    // Over IPv4 alone: the one by its second address, the other not at all.
    assert_eq!(state.sends_to(underlay().vteps), [ip("10.88.0.2")].into());
    let tables = state.tables().expect("tables");
    assert_eq!(tables.vteps[&ip("10.88.0.2")], vtep(Some(hop.clone()), Some("fd88::2"), false));
    assert_eq!(tables.vteps[&ip("fd88::3")], vtep(None, None, true));
    let members = [ip("10.88.0.2"), ip("fd88::2")];
    assert!(members.into_iter().all(|vtep| tables.members.contains(&(blue(), vtep))));
    assert_eq!(codes(&state), ["vtep_family"]);
    // The MTU is that of the family which the others use among themselves, on every node.
    assert_eq!(state.mtu("blue"), Some(1430));
    // With both: as each of them prefers.
    let vteps = Vteps::of([ip("10.88.0.1"), ip("fd88::1")]).expect("two");
    assert_eq!(state.sends_to(vteps), [ip("fd88::2"), ip("fd88::3")].into());
    let way = |n: u16, inner_mtu| {
        let via = IpAddr::from([0xfd88, 0, 0, 0, 0, 0, 0, n]);
        (via, NextHop { via, inner_mtu, ..hop.clone() })
    };
    let next_hops = BTreeMap::from([way(2, 1430), way(3, 1330)]);
    state.apply(Event::Cluster(cluster(&text.replacen("\"10.88.0.1\"", "[\"10.88.0.1\", \"fd88::1\"]", 1))));
    state.apply(Event::Underlay(Underlay { vteps, next_hops, ..underlay() }));
    let tables = state.tables().expect("tables");
    assert_eq!(tables.vteps[&ip("fd88::2")], vtep(Some(way(2, 1430).1), Some("10.88.0.2"), false));
    assert_eq!(tables.vteps.len(), 2);
    assert_eq!(codes(&state), ["vtep_mtu"]);
    // An address that only the cluster knows of.
    state.apply(Event::Underlay(Underlay { vteps: ip("fd88::1").into(), ..underlay() }));
    assert!(codes(&state).contains(&"vtep_missing"));
}

#[test]
fn an_unroutable_vtep_is_in_the_tables_without_a_way() {
    let mut state = state_of(CLUSTER);
    state.apply(Event::Underlay(Underlay { next_hops: BTreeMap::new(), ..underlay() }));
    let tables = state.tables().expect("tables");
    assert_eq!(tables.vteps[&ip("10.88.0.2")], Vtep { next_hop: None, other: None, external: false });
    assert_eq!(cluster(CLUSTER).nodes["h3"].kind, NodeKind::External);
}

fn find(network: &str, ips: &[&str], mac: Option<&str>, name: Option<&str>) -> Result<EndpointId, String> {
    let state = state_of(CLUSTER);
    let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
    let found = state.find_declared(&Wanted { network, ips: &ips, mac, name });
    found.map(Endpoint::id).map_err(|error| error.to_string())
}

#[test]
fn a_declared_endpoint_is_found() {
    let web = Ok(id("blue.02420a010001"));
    assert_eq!(find("blue", &["10.1.0.1"], None, None), web);
    assert_eq!(find("blue", &["10.1.0.1/24", "fd00:1::1/64"], Some("02:42:0a:01:00:01"), Some("web")), web);
    assert_eq!(find("blue", &[], Some("02:42:0a:01:00:01"), None), web);
}

#[test]
fn what_cannot_be_bound_is_told_why() {
    let refused = |network, ips: &[&str], mac, name| find(network, ips, mac, name).expect_err("refused");
    assert_eq!(refused("bleu", &[], None, None), "there is no network \"bleu\"; did you mean \"blue\"?");
    assert_eq!(refused("red", &[], None, None), "there is no network \"red\"; the networks are blue, dark");
    assert_eq!(
        refused("blue", &["10.1.0.9/24"], None, Some("api")),
        "no endpoint with 10.1.0.9 is declared for network \"blue\" on node \"h1\"; add this to the cluster file:\n\n\
         [[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\nips = [\"10.1.0.9\"]\nname = \"api\"\n"
    );
    assert!(refused("blue", &[], None, Some("api")).ends_with("ips = [\"10.1.0.4\"]\nname = \"api\"\n"));
    assert!(
        refused("dark", &[], None, None).starts_with("no endpoint is declared for network \"dark\" on node")
    );
    assert_eq!(
        refused("blue", &["10.1.0.3"], None, None),
        "the endpoint with 10.1.0.3 is declared for node \"h2\"; add it there, or change its node in the cluster file"
    );
    assert_eq!(
        refused("blue", &[], None, None),
        "several endpoints of this node fit; choose one by --ip or --name: web (10.1.0.1, fd00:1::1), web (10.1.0.2)"
    );
    assert_eq!(
        refused("blue", &["10.1.0.1", "10.1.0.2"], None, None),
        "--ip 10.1.0.1 and --ip 10.1.0.2 do not belong to one endpoint; choose by what belongs to one"
    );
    assert_eq!(
        refused("blue", &["10.1.0.1"], None, Some("db")),
        "--ip 10.1.0.1 and --name \"db\" do not belong to one endpoint; choose by what belongs to one"
    );
    assert_eq!(
        refused("blue", &["10.1.0.1"], Some("02:00:00:00:00:01"), None),
        "--mac: the endpoint has 02:42:0a:01:00:01, not 02:00:00:00:00:01; leave --mac out, or change the cluster file"
    );
    assert_eq!(
        refused("blue", &["10.1.0.1/16"], None, None),
        "--ip: 10.1.0.1/16 is not of the subnet 10.1.0.0/24; write 10.1.0.1/24"
    );
    assert!(
        refused("blue", &["10.2.0.1"], None, None).starts_with("--ip: 10.2.0.1 lies outside the subnets of")
    );
    assert!(refused("blue", &["web"], None, None).starts_with("--ip: \"web\" is no IP address"));
    assert!(refused("blue", &[], Some("x"), None).starts_with("--mac: \"x\" is no MAC address"));
}

proptest! {
    #[test]
    fn tables_refer_only_to_what_is_in_them(
        nodes in prop::collection::vec((1..4_u8, 1..4_u8), 0..6),
        ports in prop::collection::vec((0..6_u8, 10..13_u32), 0..4),
        own in 1..4_u8,
    ) {
        let mut text = CLUSTER[..CLUSTER.find("[[endpoint]]").expect("endpoints")].to_owned();
        for (n, (node, _)) in nodes.iter().enumerate() {
            text += &crate::cluster::endpoint_block("blue", &format!("h{node}"), &[format!("10.1.0.{}", n + 1)], None, None);
        }
        let mut state = state_of(&text);
        state.apply(Event::Underlay(Underlay { vteps: IpAddr::from([10, 88, 0, own]).into(), ..underlay() }));
        for (n, ifindex) in ports {
            state.apply(Event::PortUp { id: EndpointId::new("blue", MacAddr::new([2, 0x42, 10, 1, 0, n + 1])), ifindex: Ifindex(ifindex) });
        }
        let tables = state.tables().expect("tables");
        for (vni, vtep) in &tables.members {
            prop_assert!(tables.nets.contains_key(vni) && tables.vteps.contains_key(vtep));
        }
        for ((vni, _), station) in &tables.fdb {
            prop_assert!(tables.nets.contains_key(vni));
            match &station.at {
                Fdb::Local { ifindex, .. } => prop_assert!(tables.ports.contains_key(ifindex)),
                Fdb::Remote { vtep, .. } => prop_assert!(tables.members.contains(&(*vni, *vtep))),
            }
        }
    }
}
