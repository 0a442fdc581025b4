mod away;
mod believed;
mod conflicts;
mod follow;
mod scale;

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::{
    blocks::{block_len, blocks_for, free_in},
    known::{Known, Learned},
    machine::{Machine, Wanted},
    record::{Definition, Key, Mode, NodeRecord, Record, Stamp, Unbelieved},
    refusal::Refusal,
};

const NODE: &str = r#"{"vteps":["10.88.0.2"],"version":"1.0.0","mode":"up","seq":0}"#;
const ENDPOINT: &str = r#"{"count":7,"vni":42,"ips":["10.1.0.2"]}"#;
const ID: &str = "endpoint/blue.02420a010002";

fn node(number: u8) -> NodeRecord {
    let vteps = vec![IpAddr::from([10, 88, 0, number])];
    NodeRecord { vteps, version: "1.0.0".to_owned(), mode: Mode::Up, seq: 0, keys: Vec::new() }
}

fn machine(name: &str, number: u8) -> Machine {
    Machine::new(name, 1, node(number), Vec::new())
}

fn blue() -> Definition {
    Definition {
        vni: 0,
        subnets: vec!["10.1.0.0/24".parse().expect("a prefix")],
        gateways: vec!["10.1.0.1".parse().expect("an address")],
        reserved: Vec::new(),
        mtu: None,
        internal: false,
    }
}

fn wanted(ips: &[&str]) -> Wanted {
    let ips = ips.iter().map(|ip| ip.parse().expect("an address")).collect();
    Wanted { network: "blue".to_owned(), ips, mac: None, name: None }
}

/// Has one hear all that the other has published since it was last asked.
fn tell(from: &mut Machine, to: &mut Machine) {
    let name = from.name().to_owned();
    for change in from.take_changes() {
        let value = change.record.as_ref().map(Record::text);
        to.learn(&name, 1, &change.key.to_string(), value.as_deref());
    }
    to.heard(&name);
}

#[test]
fn a_record_reads_what_it_prints() {
    for (key, value) in [
        ("node", NODE),
        (ID, ENDPOINT),
        ("block/blue/10.1.0.0/26", r#"{"count":3}"#),
        (
            "network/blue",
            r#"{"stamp":{"count":1,"node":"h1"},"network":{"vni":42,"subnets":["10.1.0.0/24"]}}"#,
        ),
        ("network/blue", r#"{"stamp":{"count":2,"node":"h1"},"network":null}"#),
    ] {
        let parsed: Key = key.parse().expect("a key");
        assert_eq!(parsed.to_string(), key);
        assert_eq!(Record::parse(&parsed, value).expect("a record").text(), value);
    }
}

#[test]
fn what_cannot_be_is_not_believed() {
    let long = format!(r#"{{"vteps":["10.88.0.2"],"version":"{}","mode":"up"}}"#, "1".repeat(4096));
    for (key, value, why) in [
        ("", "", Unbelieved::Key),
        ("endpoint/blue", ENDPOINT, Unbelieved::Key),
        ("network/a.b", "{}", Unbelieved::Key),
        ("block/blue/10.1.0.1/26", r#"{"count":3}"#, Unbelieved::Key),
        ("node", ENDPOINT, Unbelieved::Value),
        ("node", &long, Unbelieved::Value),
        (ID, r#"{"count":7,"vni":42,"ips":[]}"#, Unbelieved::Value),
        (ID, r#"{"count":18446744073709551615,"vni":42,"ips":["10.1.0.2"]}"#, Unbelieved::Value),
        (
            "network/blue",
            r#"{"stamp":{"count":1,"node":"h1"},"network":{"vni":0,"subnets":["10.1.0.0/24"]}}"#,
            Unbelieved::Value,
        ),
    ] {
        assert_eq!(
            Known::default().learn("h2", 1, key, Some(value)),
            Learned::Unbelieved(why),
            "{key} {value}"
        );
    }
    assert_eq!(Known::default().learn("h2", 1, ID, Some(ENDPOINT)), Learned::Something { count: 7 });
}

#[test]
fn of_two_claims_the_later_wins_and_of_equals_the_name_that_sorts_first() {
    let stamp = |count, node: &str| Stamp { count, node: node.to_owned() };
    assert!(stamp(2, "h2") > stamp(1, "h1"));
    assert!(stamp(2, "h1") > stamp(2, "h2"));
}

#[test]
fn a_nodes_own_record_is_the_last_of_what_it_publishes() {
    let mut one = machine("h1", 1);
    let seq = |changes: &[super::machine::Change]| match changes {
        [.., last] => match &last.record {
            Some(Record::Node(node)) => Some(node.seq),
            _ => None,
        },
        [] => None,
    };
    assert_eq!(seq(&one.take_changes()), Some(1));
    assert_eq!(seq(&one.take_changes()), None, "nothing has changed");
    one.set_mode(Mode::Upgrading);
    one.create_network("blue", None, blue()).expect("made");
    let changes = one.take_changes();
    assert_eq!((changes.len(), seq(&changes)), (2, Some(2)));
}

#[test]
fn blocks_of_a_subnet_are_whole_and_have_what_endpoints_may_have() {
    for (subnet, len, count) in [
        ("10.1.0.0/16", 26, 1024),
        ("10.1.0.0/24", 28, 16),
        ("10.1.0.0/31", 32, 2),
        ("fd00:1::/64", 112, 4096),
    ] {
        let subnet: IpNet = subnet.parse().expect("a prefix");
        assert_eq!((block_len(&subnet), blocks_for(&subnet, "h1").len()), (len, count), "{subnet}");
    }
    let network = Definition { vni: 42, gateways: Vec::new(), ..blue() }.named("blue").expect("a network");
    let block: IpNet = "10.1.0.0/30".parse().expect("a prefix");
    let free = |taken: &[&str]| {
        let taken: BTreeSet<IpAddr> = taken.iter().map(|ip| ip.parse().expect("an address")).collect();
        free_in(&block, &network, &[], |ip| taken.contains(&ip)).map(|ip| ip.to_string())
    };
    assert_eq!(free(&[]).as_deref(), Some("10.1.0.1"), "not the network's own");
    assert_eq!(
        free(&["10.1.0.1", "10.1.0.2"]).as_deref(),
        Some("10.1.0.3"),
        "the last of a block is an address"
    );
    assert_eq!(free(&["10.1.0.1", "10.1.0.2", "10.1.0.3"]), None);
}

#[test]
fn addresses_are_leased_once_their_block_was_not_contradicted() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, blue()).expect("made");
    assert_eq!(one.add_endpoint(wanted(&[])), Err(Refusal::Settling));
    for step in 1..=20 {
        one.tick(Duration::from_millis(100 * step));
    }
    let first = one.add_endpoint(wanted(&[])).expect("settled");
    let second = one.add_endpoint(wanted(&[])).expect("of the same block");
    assert_ne!(first, second);
}
