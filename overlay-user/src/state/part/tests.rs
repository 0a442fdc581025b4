use std::net::IpAddr;

use overlay_common::MacAddr;
use proptest::{collection, prelude::*};

use super::super::tests::state_of;
use crate::{
    cluster::{Endpoint, EndpointId},
    event::Event,
    plan,
    tables::{Ifindex, Tables},
};

const CLUSTER: &str = r#"
[[node]]
name = "h1"
vtep = "10.88.0.1"
[[node]]
name = "h2"
vtep = ["10.88.0.2", "fd88::2"]
[[node]]
name = "h3"
vtep = "10.88.0.3"
[[network]]
name = "blue"
vni = 42
subnets = ["10.1.0.0/16"]
[[network]]
name = "red"
vni = 43
subnets = ["10.1.0.0/16"]
"#;

fn endpoint(number: u8, node: u8, second: Option<u8>) -> Endpoint {
    let ips = [[10, 1, 0, number]].into_iter().chain(second.map(|second| [10, 1, second, number]));
    Endpoint {
        network: network(number).to_owned(),
        node: format!("h{node}"),
        ips: ips.map(IpAddr::from).collect(),
        mac: mac(number),
        name: None,
        allowed_ips: Vec::new(),
        allowed_macs: Vec::new(),
        allow_ra: false,
        allow_dhcp_server: false,
    }
}

/// That of some follows from their address.
fn mac(number: u8) -> MacAddr {
    let derived = MacAddr::from_ipv4([10, 1, 0, number].into());
    if number < 4 { derived } else { MacAddr::new([2, 0, 0, 0, 0, number]) }
}

/// A network that is not there is among them.
fn network(number: u8) -> &'static str {
    ["blue", "red", "gone"][usize::from(number % 3)]
}

fn id(number: u8) -> EndpointId {
    EndpointId::new(network(number), mac(number))
}

fn event() -> impl Strategy<Value = Event> {
    // A node that is not there is among them.
    let change = (1..9_u8, prop::option::of((1..5_u8, prop::option::of(1..3_u8))));
    let change =
        change.prop_map(|(number, at)| (id(number), at.map(|(node, second)| endpoint(number, node, second))));
    prop_oneof![
        4 => collection::btree_map(1..9_u8, Just(()), 1..4).prop_flat_map(move |numbers| {
            let count = numbers.len();
            collection::vec(change.clone(), count..=count)
        }).prop_map(|changes| Event::Endpoints(changes.into_iter().collect())),
        2 => (1..9_u8, 10..13_u32).prop_map(|(number, ifindex)| Event::PortUp { id: id(number), ifindex: Ifindex(ifindex) }),
        1 => (1..9_u8).prop_map(|number| Event::PortDown { id: id(number) }),
    ]
}

proptest! {
    #[test]
    fn a_part_brings_the_tables_to_what_all_makes(events in collection::vec(event(), 1..40)) {
        let mut state = state_of(CLUSTER);
        let mut installed = state.tables().expect("tables");
        for event in events {
            let touched = state.touched(&event).expect("only some");
            let before = state.part(&touched).expect("a part");
            state.apply(event.clone());
            let after = state.part(&touched).expect("a part");
            for op in plan::diff(&after, &installed.where_in(&[&before, &after])) {
                op.apply_to(&mut installed);
            }
            prop_assert_eq!(&installed, &state.tables().expect("tables"), "after {:?}", event);
        }
    }
}

#[test]
fn what_failed_before_is_not_taken_for_done() {
    let mut state = state_of(CLUSTER);
    let added = Event::Endpoints([(id(1), Some(endpoint(1, 2, None)))].into());
    let touched = state.touched(&added).expect("only some");
    state.apply(added);
    let part = state.part(&touched).expect("a part");
    let steps = |installed: &Tables| plan::diff(&part, &installed.where_in(&[&part]));
    assert!(steps(&part).is_empty(), "the control: it is there");
    assert!(!steps(&Tables::default()).is_empty(), "it is not");
}
