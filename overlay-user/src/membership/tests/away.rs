use std::time::Duration;

use overlay_common::Vni;

use super::{ENDPOINT, ID, NODE, blue, machine, node, tell, wanted};
use crate::membership::{
    known::{Known, Learned},
    liveness::{Alive, Liveness, RECLAIM, SILENCE, UPGRADE},
    machine::Machine,
    record::{Key, Mode, NodeRecord, Record},
    refusal::Refusal,
};

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
    again.learn("h2", 1, "node", Some(&NODE.replace("\"seq\":0", "\"seq\":2")));
    assert_eq!(again.view().cluster.endpoints.len(), 0, "it has gone meanwhile");
}

#[test]
fn a_peer_that_lost_its_disk_while_this_node_was_away_is_heard_by_its_lower_start() {
    let records = [(Key::Node, Record::Node(node(2)))].into();
    let mut one = machine("h1", 1);
    one.recall("h2", 7, records);
    assert_eq!(one.learn("h2", 1, "node", Some(NODE)), Learned::Late, "it may be dead");
    assert!(one.heard_lower("h2", 1), "it lives");
    assert_ne!(one.learn("h2", 1, "node", Some(NODE)), Learned::Late);
    one.learn("h2", 7, "node", Some(NODE));
    assert!(!one.heard_lower("h2", 1), "the higher has been heard meanwhile");
}

#[test]
fn what_a_peer_said_last_before_this_node_started_holds_until_it_has_said_that_again() {
    let endpoint: Key = ID.parse().expect("a key");
    let record = Record::parse(&endpoint, ENDPOINT).expect("a record");
    let own = |seq| Record::Node(NodeRecord { seq, ..node(2) });
    let mut known = Known::default();
    known.recall("h2", 1, [(Key::Node, own(5)), (endpoint.clone(), record.clone())].into());
    // Another hands on what it has, which is not the latest.
    known.put("h2", 1, Key::Node, Some(own(4)));
    assert!(known.part("h2").expect("known").records().contains_key(&endpoint));
    // Nor does that say more which was heard before the half of the next.
    known.put("h2", 1, Key::Node, Some(own(5)));
    assert!(known.part("h2").expect("known").records().contains_key(&endpoint));
    known.put("h2", 1, Key::Node, Some(own(6)));
    assert!(!known.part("h2").expect("known").records().contains_key(&endpoint), "it has gone meanwhile");
    // It starts again, and this node does before it has heard all of that.
    known.put("h2", 1, endpoint.clone(), Some(record.clone()));
    known.put("h2", 2, endpoint.clone(), Some(record));
    let before = known.part("h2").expect("known").records().clone();
    let mut again = Known::default();
    again.recall("h2", 2, before);
    again.put("h2", 2, Key::Node, Some(own(1)));
    assert!(!again.part("h2").expect("known").records().contains_key(&endpoint), "its first of this start");
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
fn a_node_may_be_silent_for_as_long_as_is_said() {
    let mut liveness = Liveness::default();
    liveness.heard("h2");
    liveness.set_silence(SILENCE * 3);
    let mut states = Vec::new();
    for quarter in 1..=24 {
        let now = SILENCE / 4 * quarter;
        liveness.tick(now);
        states.push((liveness.of("h2", Mode::Up), liveness.silent().count()));
    }
    // Asked from the half on, and dead past the whole.
    let expected = [[(Alive::Up, 0); 6], [(Alive::Up, 1); 6], [(Alive::Dead, 1); 6], [(Alive::Dead, 1); 6]];
    assert_eq!(states, expected.concat());
    liveness.set_silence(SILENCE * 7);
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Up, "where heartbeats take longer, it is not");
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
