//! Whatever a node publishes, its peers believe; and what they would not believe is refused where it is asked for.

use overlay_common::Vni;

use super::*;
use crate::membership::{
    liveness::{Alive, Liveness},
    record::MOST_COUNT,
};

/// Has both see what the first publishes, and compares.
fn same_on_both(one: &mut Machine) {
    let mut two = machine("h2", 2);
    tell(one, &mut two);
    tell(&mut two, one);
    assert_eq!(one.view(), two.view());
}

#[test]
fn an_endpoint_has_no_more_addresses_than_peers_believe() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, blue()).expect("made");
    let many: Vec<String> = (10..20).map(|last| format!("10.1.0.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(one.add_endpoint(wanted(&many)), Err(Refusal::TooManyAddresses(10)));
    assert!(matches!(one.add_endpoint(wanted(&["10.1.0.9", "10.1.0.9"])), Err(Refusal::Address(_))));
    one.add_endpoint(wanted(&many[..8])).expect("as many as may be");
    same_on_both(&mut one);
    assert_eq!(one.view().cluster.endpoints.len(), 1);
}

#[test]
fn an_endpoint_has_a_stations_mac_address() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, blue()).expect("made");
    for mac in ["01:00:5e:00:00:01", "00:00:00:00:00:00"] {
        let mac = mac.parse().expect("a MAC address");
        let wanted = Wanted { mac: Some(mac), ..wanted(&["10.1.0.9"]) };
        assert_eq!(one.add_endpoint(wanted), Err(Refusal::NoStation(mac)));
        let key = format!("endpoint/{}", crate::cluster::EndpointId::new("blue", mac));
        assert_eq!(one.learn("h3", 1, &key, Some(ENDPOINT)), Learned::Unbelieved(Unbelieved::Key));
    }
    assert!(matches!(one.learn("h3", 1, ID, Some(ENDPOINT)), Learned::Something { .. }), "the control");
}

#[test]
fn a_network_is_one_that_a_cluster_file_could_have() {
    let mut one = machine("h1", 1);
    for subnets in
        [&["10.4.0.7/24"][..], &["10.4.0.0/16", "10.4.1.0/24"], &["224.0.0.0/8"], &["0.0.0.0/0"], &[]]
    {
        let parsed = subnets.iter().map(|subnet| subnet.parse().expect("a prefix")).collect();
        let definition = Definition { subnets: parsed, gateways: Vec::new(), ..blue() };
        assert_eq!(one.create_network("red", None, definition), Err(Refusal::NoSubnets), "{subnets:?}");
        let text =
            format!(r#"{{"stamp":{{"count":1,"node":"h2"}},"network":{{"vni":42,"subnets":{subnets:?}}}}}"#);
        let learned = one.learn("h2", 1, "network/red", Some(&text));
        assert_eq!(learned, Learned::Unbelieved(Unbelieved::Value), "{text}");
    }
    one.create_network("blue", None, blue()).expect("the control");
    same_on_both(&mut one);
}

#[test]
fn a_network_that_lost_its_vni_is_not_replaced_by_another_of_its_name() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    let vni = Vni::new(42).expect("a VNI");
    one.create_network("blue", Some(vni), blue()).expect("made");
    two.create_network("red", Some(vni), blue()).expect("not known to be taken");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let lost = if one.view().cluster.networks.contains_key("blue") { "red" } else { "blue" };
    let again = one.create_network(lost, Some(Vni::new(43).expect("a VNI")), blue());
    assert_eq!(again, Err(Refusal::NetworkExists { name: lost.to_owned(), vni }));
}

#[test]
fn a_claim_of_the_highest_count_stops_those_that_nobody_would_believe() {
    let mut one = machine("h1", 1);
    one.create_network("blue", None, blue()).expect("made");
    let last = format!(r#"{{"count":{MOST_COUNT},"vni":42,"ips":["10.1.0.2"]}}"#);
    assert!(matches!(one.learn("h3", 1, ID, Some(&last)), Learned::Something { .. }));
    assert_eq!(one.add_endpoint(wanted(&["10.1.0.9"])), Err(Refusal::Spent));
    assert_eq!(one.delete_network("blue"), Err(Refusal::Spent));
}

#[test]
fn a_host_that_is_always_late_finds_out_who_is_dead() {
    let mut liveness = Liveness::default();
    liveness.heard("h2");
    liveness.tick(Duration::from_mins(1));
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Up, "one stall is nobody's death");
    for tick in 1..=60 {
        liveness.tick(Duration::from_mins(1) + Duration::from_millis(1100) * tick);
    }
    assert_eq!(liveness.of("h2", Mode::Up), Alive::Dead);
}
