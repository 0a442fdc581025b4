use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use crate::membership::{
    ipam::IpamProblem,
    machine::{Machine, Wanted},
    record::{Definition, Key, Mode, NodeRecord, Record},
    refusal::Refusal,
};

fn machine(name: &str, number: u8) -> Machine {
    let vteps = vec![IpAddr::from([10, 88, 0, number])];
    let node = NodeRecord { vteps, version: "1.0.0".to_owned(), mode: Mode::Up, seq: 0, keys: Vec::new() };
    Machine::new(name, 1, node, Vec::new())
}

fn definition() -> Definition {
    Definition {
        vni: 0,
        subnets: vec![prefix("10.1.0.0/24")],
        gateways: vec![ip("10.1.0.1")],
        reserved: Vec::new(),
        mtu: None,
        internal: false,
    }
}

fn prefix(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn wanted(ips: &[&str]) -> Wanted {
    Wanted {
        network: "blue".to_owned(),
        ips: ips.iter().map(|text| ip(text)).collect(),
        mac: None,
        name: None,
    }
}

/// Has one hear all that the other publishes.
fn tell(from: &mut Machine, to: &mut Machine) {
    let name = from.name().to_owned();
    for change in from.take_changes() {
        let value = change.record.as_ref().map(Record::text);
        to.learn(&name, 1, &change.key.to_string(), value.as_deref());
    }
    to.heard(&name);
}

fn settle(machine: &mut Machine, from: u64) {
    for step in 1..=4 {
        machine.tick(Duration::from_millis(from + 500 * step));
    }
}

fn leased(machine: &mut Machine) -> IpAddr {
    let id = machine.add_endpoint(wanted(&[])).expect("settled");
    machine.view().cluster.endpoints[&id].ips[0]
}

#[test]
fn the_look_over_a_network_says_who_has_what() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, definition()).expect("made");
    one.reserve("blue", prefix("10.1.0.240/28")).expect("nobody has any of it");
    one.add_endpoint(wanted(&[])).expect_err("settling");
    let block = |one: &Machine| {
        let json = serde_json::to_value(one.ipam("blue").expect("there")).expect("JSON");
        json["subnets"][0]["blocks"][0].clone()
    };
    let claimed = block(&one);
    assert_eq!((&claimed["state"], &claimed["used"]), (&"settling".into(), &0.into()));
    settle(&mut one, 0);
    let first = leased(&mut one);
    let outside = if block(&one)["block"] == "10.1.0.48/28" { "10.1.0.66" } else { "10.1.0.50" };
    one.add_endpoint(wanted(&[outside])).expect("free");
    let json = serde_json::to_value(one.ipam("blue").expect("there")).expect("JSON");
    let expected = serde_json::json!({
        "network": "blue",
        "subnets": [{
            "subnet": "10.1.0.0/24", "size": 256, "reserved": ["10.1.0.240/28"], "gateways": ["10.1.0.1"],
            "blocks": [{
                "block": IpNet::new(first, 28).expect("a prefix").trunc().to_string(),
                "node": "h1", "state": "held", "used": 1, "size": 16,
            }],
            "used_outside_blocks": 1,
        }],
    });
    assert_eq!(json, expected);
    assert_eq!((one.ipam_check(), one.ipam("green")), (Vec::new(), None));
    // Another node sees it so, until that one leaves.
    let mut two = machine("h2", 2);
    tell(&mut one, &mut two);
    assert_eq!(block(&two)["state"], "held");
    one.set_mode(Mode::Leaving);
    tell(&mut one, &mut two);
    assert_eq!((&block(&two)["state"], &block(&two)["used"]), (&"reclaimable".into(), &0.into()));
    assert!(matches!(two.ipam_check().as_slice(), [IpamProblem::BlockOfGone { node, .. }] if node == "h1"));
}

#[test]
fn what_is_wrong_with_addresses_is_said() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, definition()).expect("made");
    one.add_endpoint(wanted(&[])).expect_err("settling");
    settle(&mut one, 0);
    tell(&mut one, &mut two);
    let taken = leased(&mut one).to_string();
    two.add_endpoint(wanted(&[&taken])).expect("not known to be taken");
    tell(&mut two, &mut one);
    let codes = |machine: &Machine| -> Vec<String> {
        let code = |problem: &IpamProblem| {
            assert!(!problem.to_string().contains("Some("), "{problem}");
            serde_json::to_value(problem).expect("JSON")["code"].as_str().expect("a text").to_owned()
        };
        machine.ipam_check().iter().map(code).collect()
    };
    assert_eq!(codes(&one), ["address_twice", "mac_twice", "foreign_address"]);
    let own = one.own().find_map(|(key, _)| match key {
        Key::Block(..) => Some(key.to_string()),
        Key::Node | Key::Network(_) | Key::Endpoint(_) => None,
    });
    let learned = |one: &mut Machine, key: &str, value: &str| one.learn("h2", 1, key, Some(value));
    learned(&mut one, &own.expect("a block"), r#"{"count":1}"#);
    learned(&mut one, "endpoint/blue.020000000001", r#"{"count":1,"vni":7,"ips":["10.1.0.9"]}"#);
    assert_eq!(codes(&one), ["address_twice", "mac_twice", "foreign_address", "block_twice", "no_network"]);
    let vni = one.view().cluster.networks["blue"].vni.get();
    let gateway = format!(r#"{{"count":1,"vni":{vni},"ips":["10.1.0.1"]}}"#);
    learned(&mut one, "endpoint/blue.020000000001", &gateway);
    assert_eq!(codes(&one), ["address_twice", "mac_twice", "outside", "foreign_address", "block_twice"]);
}

#[test]
fn of_a_reserved_prefix_no_address_is_leased() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, definition()).expect("made");
    let id = one.add_endpoint(wanted(&["10.1.0.9"])).expect("free");
    let in_use = Refusal::PrefixInUse {
        prefix: prefix("10.1.0.8/29"),
        ip: ip("10.1.0.9"),
        id: id.clone(),
        node: "h1".to_owned(),
    };
    assert_eq!(one.reserve("blue", prefix("10.1.0.9/29")), Err(in_use));
    let outside = Refusal::NotOfNetwork { prefix: prefix("10.2.0.0/24"), network: "blue".to_owned() };
    assert_eq!(one.reserve("blue", prefix("10.2.0.0/24")), Err(outside));
    assert_eq!(one.reserve("green", prefix("10.1.0.0/28")), Err(Refusal::NoNetwork("green".to_owned())));
    one.delete_endpoint(&id).expect("its own");
    for lower in ["10.1.0.0/28", "10.1.0.0/25"] {
        one.reserve("blue", prefix(lower)).expect("free");
    }
    assert_eq!(one.ipam("blue").expect("there").subnets[0].reserved, [prefix("10.1.0.0/25")]);
    one.reserve("blue", prefix("10.1.0.128/26")).expect("free");
    one.create_network("blue", None, definition()).expect("the same as it was made");
    one.add_endpoint(wanted(&[])).expect_err("settling");
    settle(&mut one, 0);
    let free = prefix("10.1.0.192/26");
    assert!(free.contains(&leased(&mut one)));
    assert!(one.add_endpoint(wanted(&["10.1.0.9"])).is_ok(), "by name it may be had");
    one.unreserve("blue", prefix("10.1.0.0/25")).expect("reserved");
    assert!(matches!(one.unreserve("blue", prefix("10.1.0.0/25")), Err(Refusal::NotReserved { .. })));
}
