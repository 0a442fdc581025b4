use std::{net::IpAddr, time::Duration};

use overlay_common::MacAddr;

use super::{FEW, Guard, HOLD, Held};
use crate::{
    cluster::{Endpoint, Node, NodeKind},
    membership::{record::Definition, resolve::View},
    vteps::Vteps,
};

const SECOND: Duration = Duration::from_secs(1);

/// A cluster of nodes h1, h2, ... with so many endpoints each.
fn view(counts: &[usize]) -> View {
    let mut view = View::default();
    let definition = Definition {
        vni: 42,
        subnets: vec!["10.0.0.0/8".parse().expect("a prefix")],
        gateways: Vec::new(),
        reserved: Vec::new(),
        mtu: None,
        internal: false,
    };
    let network = definition.named("blue").expect("a network");
    view.cluster.networks.insert("blue".to_owned(), network);
    for (place, count) in counts.iter().enumerate() {
        let name = format!("h{}", place + 1);
        let vteps = Vteps::of([IpAddr::from([10, 88, 0, place as u8 + 1])]).expect("an address");
        view.cluster.nodes.insert(name.clone(), Node { name, vteps, kind: NodeKind::Agent });
        for number in 0..*count {
            add(&mut view, place as u8 + 1, number);
        }
    }
    view
}

fn add(view: &mut View, node: u8, number: usize) {
    let ip = [10, node, (number / 256) as u8, (number % 256) as u8];
    let endpoint = Endpoint {
        network: "blue".to_owned(),
        node: format!("h{node}"),
        ips: vec![ip.into()],
        mac: MacAddr::from_ipv4(ip.into()),
        name: None,
        allowed_ips: Vec::new(),
        allowed_macs: Vec::new(),
        allow_ra: false,
        allow_dhcp_server: false,
    };
    view.cluster.endpoints.insert(endpoint.id(), endpoint);
}

#[test]
fn an_emptied_node_is_held_up_for_a_minute() {
    let (full, emptied) = (view(&[9, 400]), view(&[9, 0]));
    let mut guard = Guard::new("h1");
    assert_eq!(guard.next(full.clone(), SECOND), (full.clone(), None));
    let held = Some(Held { endpoints: 400, since: SECOND * 2 });
    assert_eq!(guard.next(emptied.clone(), SECOND * 2), (full.clone(), held));
    assert_eq!(guard.next(emptied.clone(), SECOND + HOLD), (full, held));
    assert_eq!(guard.next(emptied.clone(), SECOND * 2 + HOLD), (emptied.clone(), None));
    assert_eq!(guard.next(emptied.clone(), SECOND * 3 + HOLD), (emptied, None), "and not again");
}

#[test]
fn what_an_operator_accepts_goes() {
    let emptied = view(&[9, 0]);
    let mut guard = Guard::new("h1");
    guard.next(view(&[9, 400]), SECOND);
    assert!(guard.next(emptied.clone(), SECOND * 2).1.is_some());
    guard.accept();
    assert_eq!(guard.next(emptied.clone(), SECOND * 3), (emptied, None));
}

#[test]
fn what_is_not_most_or_not_many_or_goes_with_its_node_goes_at_once() {
    let mut dead = view(&[9, 400, 3]);
    dead.cluster.nodes.remove("h2");
    dead.cluster.endpoints.retain(|_, endpoint| endpoint.node != "h2");
    for (what, before, after) in [
        ("few", view(&[9, FEW, 0]), view(&[9, 0, 0])),
        ("not most", view(&[9, 400, 400]), view(&[9, 0, 400])),
        ("its own", view(&[400, 3]), view(&[0, 3])),
        ("a dead node's", view(&[9, 400, 3]), dead),
    ] {
        let mut guard = Guard::new("h1");
        guard.next(before, SECOND);
        assert_eq!(guard.next(after.clone(), SECOND * 2), (after, None), "{what}");
    }
    let mut guard = Guard::new("h1");
    guard.next(view(&[9, FEW + 1, 0]), SECOND);
    assert!(guard.next(view(&[9, 0, 0]), SECOND * 2).1.is_some(), "one more than few");
}

#[test]
fn what_changes_meanwhile_goes_through() {
    let mut guard = Guard::new("h1");
    guard.next(view(&[9, 400, 5]), SECOND);
    // In two pieces; then an address of them is another's, one is back, another node deletes one and dies itself.
    assert_eq!(guard.next(view(&[9, 100, 5]), SECOND * 2).1.map(|held| held.endpoints), Some(300));
    assert_eq!(guard.next(view(&[9, 0, 5]), SECOND * 3).1.map(|held| held.endpoints), Some(400));
    let mut next = view(&[9, 1, 4]);
    let mac = MacAddr::new([2, 0, 0, 0, 0, 1]);
    let ip = IpAddr::from([10, 2, 0, 7]);
    let mut taker = next.cluster.endpoints.values().next().expect("one of h1").clone();
    (taker.ips, taker.mac) = (vec![ip], mac);
    next.cluster.endpoints.insert(taker.id(), taker.clone());
    let (in_force, held) = guard.next(next.clone(), SECOND * 4);
    assert_eq!(held, Some(Held { endpoints: 398, since: SECOND * 2 }));
    let holders = in_force.cluster.endpoints.values().filter(|endpoint| endpoint.ips.contains(&ip));
    assert_eq!(holders.collect::<Vec<_>>(), [&taker]);
    assert_eq!(in_force.cluster.endpoints.values().filter(|endpoint| endpoint.node == "h3").count(), 4);
    next.cluster.nodes.remove("h2");
    next.cluster.endpoints.retain(|_, endpoint| endpoint.node != "h2");
    assert_eq!(guard.next(next.clone(), SECOND * 5), (next, None), "its node has gone");
}

#[test]
fn what_has_lost_its_network_keeps_it() {
    let mut next = view(&[9, 400]);
    next.cluster.networks.clear();
    next.cluster.endpoints.clear();
    let mut guard = Guard::new("h1");
    guard.next(view(&[9, 400]), SECOND);
    let (in_force, held) = guard.next(next, SECOND * 2);
    assert_eq!(held.map(|held| held.endpoints), Some(400));
    assert!(in_force.cluster.networks.contains_key("blue"));
    let mut other = view(&[9, 0]);
    let another = Definition {
        vni: 43,
        subnets: Vec::new(),
        gateways: Vec::new(),
        reserved: Vec::new(),
        mtu: None,
        internal: false,
    };
    other.cluster.networks.insert("blue".to_owned(), another.named("blue").expect("a network"));
    assert_eq!(guard.next(other.clone(), SECOND * 3), (other, None), "they are none of a later network");
}
