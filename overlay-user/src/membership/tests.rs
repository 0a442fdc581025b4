use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use ipnet::IpNet;
use overlay_common::Vni;

use super::{
    blocks::{block_len, blocks_for, free_in},
    known::{Known, Learned},
    limits::Limits,
    liveness::{Alive, Liveness, RECLAIM, SILENCE, UPGRADE},
    machine::{Machine, Wanted},
    record::{Definition, Key, Mode, NodeRecord, Record, Stamp, Unbelieved},
    refusal::Refusal,
    resolve::Why,
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
fn what_a_node_said_before_holds_until_it_has_said_all_again() {
    let mut known = Known::default();
    known.learn("h2", 1, ID, Some(ENDPOINT));
    known.learn("h2", 1, "node", Some(NODE));
    known.learn("h2", 2, "block/blue/10.1.0.0/26", Some(r#"{"count":3}"#));
    let key: Key = ID.parse().expect("a key");
    assert!(known.part("h2").expect("known").records().contains_key(&key));
    assert_eq!(known.learn("h2", 1, ID, None), Learned::Late);
    known.learn("h2", 2, "node", Some(NODE));
    assert!(!known.part("h2").expect("known").records().contains_key(&key), "the new start has none");
}

#[test]
fn what_a_peer_said_before_this_node_started_holds_until_it_has_said_all_again() {
    let key: Key = ID.parse().expect("a key");
    let mut before = machine("h2", 2);
    before.create_network("blue", Some(Vni::new(42).expect("a VNI")), blue()).expect("made");
    let mut one = machine("h1", 1);
    tell(&mut before, &mut one);
    let records = one.known().part("h2").expect("known").records().clone();
    let endpoint = Record::parse(&key, ENDPOINT).expect("a record");
    let mut again = Machine::new("h1", 2, node(1), Vec::new());
    again.recall("h2", 1, records.into_iter().chain([(key.clone(), endpoint)]).collect());
    assert!(again.alive("h2") == Alive::Up && again.view().cluster.endpoints.len() == 1);
    // Its records come again from the first on, of the same start.
    again.learn("h2", 1, "block/blue/10.1.0.0/28", Some(r#"{"count":3}"#));
    assert_eq!(again.view().cluster.endpoints.len(), 1, "not all has been said");
    again.learn("h2", 1, "node", Some(NODE));
    assert_eq!(again.view().cluster.endpoints.len(), 0, "it has gone meanwhile");
}

#[test]
fn a_peer_that_lost_its_disk_while_this_node_was_away_is_heard_by_its_lower_start() {
    let records = [(Key::Node, Record::Node(node(2)))].into();
    let mut one = machine("h1", 1);
    one.recall("h2", 7, records);
    assert_ne!(one.learn("h2", 1, "node", Some(NODE)), Learned::Late);
    one.learn("h2", 7, "node", Some(NODE));
    assert_eq!(one.learn("h2", 1, "node", Some(NODE)), Learned::Late, "the higher has been heard meanwhile");
}

#[test]
fn a_networks_record_outlives_the_disk_of_its_maker() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    two.tick(Duration::from_millis(100));
    two.learn("h1", 2, "node", Some(NODE));
    assert!(two.known().part("h1").is_some_and(|part| part.records().len() == 1), "h1 publishes it no more");
    assert!(two.view().cluster.networks.contains_key("blue"));
    let mut again = Machine::new("h1", 3, node(1), Vec::new());
    tell(&mut two, &mut again);
    assert!(again.view().cluster.networks.contains_key("blue"));
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
fn silence_is_death_only_where_the_host_is_silent_too() {
    let mut liveness = Liveness::default();
    liveness.heard("h2");
    let at = |liveness: &mut Liveness, now: Duration| {
        while liveness.now() < now {
            liveness.tick((liveness.now() + Duration::from_millis(500)).min(now));
        }
    };
    at(&mut liveness, SILENCE);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Up);
    assert_eq!(liveness.silent().collect::<Vec<_>>(), ["h2"]);
    liveness.answered("h2");
    at(&mut liveness, SILENCE * 2);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::AgentDown);
    at(&mut liveness, SILENCE * 3);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Dead);
    assert_eq!(liveness.of("h2", Mode::Upgrading), Alive::Upgrading);
    assert_eq!(liveness.of("h2", Mode::Leaving), Alive::Gone);
    at(&mut liveness, UPGRADE + SILENCE);
    assert_eq!(liveness.of("h2", Mode::Upgrading), Alive::Dead);
    at(&mut liveness, RECLAIM + SILENCE * 2);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Gone);
}

#[test]
fn a_host_that_was_busy_takes_nobody_for_dead() {
    let mut liveness = Liveness::default();
    let minute = Duration::from_mins(1);
    liveness.heard("h2");
    liveness.tick(minute);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Up);
    // Neither after an hour, nor by a clock that goes back, nor all the time after.
    liveness.tick(minute * 60);
    liveness.tick(minute);
    liveness.tick(minute * 60 + SILENCE / 8);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Up);
    for step in 1..=10 {
        liveness.tick(minute * 60 + SILENCE / 8 * (step + 1));
    }
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Dead, "the clock runs again");
}

#[test]
fn a_claim_does_not_settle_while_its_node_sleeps() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, blue()).expect("made");
    one.tick(Duration::from_millis(500));
    assert_eq!(one.add_endpoint(wanted(&[])), Err(Refusal::Settling));
    one.tick(Duration::from_mins(10));
    assert_eq!(one.add_endpoint(wanted(&[])), Err(Refusal::Settling), "nobody could contradict");
    for step in 1..=4 {
        one.tick(Duration::from_mins(10) + Duration::from_millis(500) * step);
    }
    one.add_endpoint(wanted(&[])).expect("settled");
}

#[test]
fn a_node_whose_disk_was_lost_is_told_by_which_start_peers_know_it() {
    let (mut before, mut two) = (machine("h1", 1), machine("h2", 2));
    before.restart(7);
    for change in before.take_changes() {
        let value = change.record.as_ref().map(Record::text);
        two.learn("h1", 7, &change.key.to_string(), value.as_deref());
    }
    let mut again = machine("h1", 1);
    assert_eq!((two.known_start("h1"), again.known_start("h1")), (Some(7), None));
    assert_eq!(two.learn("h1", 1, "node", Some(NODE)), Learned::Late);
    again.learn("h1", 7, "node", Some(NODE));
    assert_eq!(again.known_start("h1"), Some(7));
    assert_ne!(two.learn("h1", 8, "node", Some(NODE)), Learned::Late, "a higher start is heard");
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
fn an_address_that_another_has_is_refused_where_it_is_asked_for() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    let id = one.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    tell(&mut one, &mut two);
    let refused =
        Refusal::AddressTaken { ip: "10.1.0.2".parse().expect("an address"), id, node: "h1".to_owned() };
    assert_eq!(two.add_endpoint(wanted(&["10.1.0.2"])), Err(refused));
    assert!(matches!(two.add_endpoint(wanted(&["10.1.0.1"])), Err(Refusal::Address(_))), "the gateway");
    assert!(matches!(two.delete_network("blue"), Err(Refusal::NetworkInUse { .. })));
    two.add_endpoint(wanted(&["10.1.0.3"])).expect("free");
    tell(&mut two, &mut one);
    assert_eq!(one.view().cluster.endpoints.len(), 2);
    assert_eq!(one.view(), two.view());
}

#[test]
fn of_two_that_claim_an_address_unseen_one_holds_and_the_other_is_listed() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    two.add_endpoint(wanted(&["10.1.0.2"])).expect("not known to be taken");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let view = one.view();
    assert_eq!(view, two.view());
    assert_eq!((view.cluster.endpoints.len(), view.refused.len()), (1, 1));
    assert_eq!(view.refused[0].node, "h2", "both have the same count");
}

#[test]
fn a_cluster_that_is_full_takes_no_more_and_of_two_sides_together_the_older() {
    let limits = Limits { endpoints: 2, networks: 1 };
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.set_limits(limits);
    two.set_limits(limits);
    one.create_network("blue", None, blue()).expect("made");
    assert_eq!(one.create_network("green", None, blue()), Err(Refusal::FullOfNetworks(1)));
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("the first");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    // Unseen by each other.
    let second = one.add_endpoint(wanted(&["10.1.0.3"])).expect("the second");
    two.add_endpoint(wanted(&["10.1.0.4"])).expect("the second, too");
    assert_eq!(two.add_endpoint(wanted(&["10.1.0.5"])), Err(Refusal::FullOfEndpoints(2)));
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let view = one.view();
    assert_eq!(view, two.view());
    let refused: Vec<_> = view.refused.iter().map(|refused| (refused.node.as_str(), &refused.why)).collect();
    assert_eq!(
        (view.cluster.endpoints.len(), refused),
        (2, vec![("h1", &Why::Full)]),
        "of equals h1's is later"
    );
    one.delete_endpoint(&second).expect("its own");
    assert!(one.view().refused.is_empty(), "there is room again");
}

#[test]
fn what_a_claim_had_beaten_that_does_not_hold_holds() {
    let limits = Limits { endpoints: 1, networks: 9 };
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    two.add_endpoint(wanted(&["10.1.0.2"])).expect("added");
    one.add_endpoint(wanted(&["10.1.0.3"])).expect("added");
    one.add_endpoint(wanted(&["10.1.0.2"])).expect("not known to be taken");
    tell(&mut two, &mut one);
    assert_eq!(one.view().cluster.endpoints.len(), 2);
    one.set_limits(limits);
    let view = one.view();
    let holder = view.cluster.endpoints.values().next().expect("one holds");
    assert_eq!((view.cluster.endpoints.len(), holder.node.as_str()), (1, "h2"), "the oldest of all");
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
