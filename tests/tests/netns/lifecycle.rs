//! Containers come and go.

use std::time::Duration;

use aya::maps::{HashMap, Map, MapData};
use overlay_common::map::{Net, Slice};
use overlay_tests::{Container, Lab, Netns};

use crate::support::{
    BLUE, BLUE_VNI, Drops, RED_VNI, SUBNETS, addresses, assert_connected, container, dump, endpoint, hosts,
    links, pair, start, v4, veths, wait_for,
};

/// How long the agents may take to follow the file.
const LIMIT: Duration = Duration::from_secs(5);

/// Ports, entries of our own in the FDB, and veths of the first host.
fn installed(lab: &Lab) -> [usize; 3] {
    let host = &lab.hosts[0];
    let own = dump(host, "fdb").iter().filter(|row| row["to"] == "local").count();
    let veths = veths(&host.netns).len();
    [dump(host, "ports").len(), own, veths]
}

#[test]
fn a_container_that_goes_leaves_nothing_and_may_come_again() {
    let mut lab = pair("gone");
    assert_eq!(installed(&lab), [1; 3]);
    let gone = lab.containers.remove(0);
    let (name, ips) = (gone.name.clone(), gone.ips.clone());
    drop(gone);
    wait_for("unbound", Duration::from_secs(2), || endpoint(&lab.hosts[0], "a")["state"] == "unbound");
    assert_eq!(installed(&lab), [0; 3]);
    assert!(!container(&lab, "b").netns.ping(ips[0]), "it is gone");
    let netns = Netns::new("ovt-gone-a").expect("a namespace");
    lab.containers.push(Container { name, host: 0, network: BLUE.to_owned(), ips, netns });
    lab.bind(container(&lab, "a")).expect("bound again");
    assert_eq!(endpoint(&lab.hosts[0], "a")["state"], "ready");
    assert_eq!(installed(&lab), [1; 3]);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn a_container_gone_while_no_agent_ran_is_noticed_by_the_next() {
    let mut lab = pair("gone2");
    lab.hosts[0].kill_agent().expect("killed");
    drop(lab.containers.remove(0));
    lab.hosts[0].start_agent().expect("started");
    assert_eq!(endpoint(&lab.hosts[0], "a")["state"], "unbound");
    assert_eq!(installed(&lab), [0; 3]);
}

#[test]
fn an_endpoint_is_ready_when_add_returns_and_gone_when_delete_does() {
    let mut lab = hosts("ready", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    start(&mut lab);
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for _ in 0..5 {
        let id = endpoint(&lab.hosts[0], "a")["id"].as_str().expect("an id").to_owned();
        lab.hosts[0].ask(&["endpoint", "delete", &id]).expect("deleted");
        assert_eq!(installed(&lab), [0; 3]);
        assert!(!links(&a.netns).contains_key("eth0"), "the interface went");
        lab.bind(a).expect("bound");
        // The first packet of all must get through: no DAD, no carrier to wait for.
        assert_connected(a, b);
    }
}

#[test]
fn a_network_in_the_place_of_a_deleted_one_reaches_none_of_its_endpoints() {
    let (green, green_vni) = ("green", RED_VNI + 1);
    let mut lab = pair("reuse");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_connected(a, b);
    let before = slice(&lab, BLUE_VNI);
    // The same subnet and the same addresses, of which only the first endpoint's is declared.
    lab.containers.clear();
    lab.cluster.networks.retain(|network| network.name != BLUE);
    lab.cluster.endpoints.clear();
    lab.write_cluster().expect("written");
    wait_for("the network gone", LIMIT, || lab.hosts.iter().all(|host| dump(host, "fdb").is_empty()));
    lab.declare_network(green, green_vni, &SUBNETS);
    lab.declare_container(0, green, "c", &addresses(1)).expect("declared");
    lab.declare_container(1, green, "d", &addresses(3)).expect("declared");
    lab.write_cluster().expect("written");
    for name in ["c", "d"] {
        wait_for("declared", LIMIT, || lab.bind(container(&lab, name)).is_ok());
    }
    let (c, d) = (container(&lab, "c"), container(&lab, "d"));
    assert_eq!(slice(&lab, green_vni), before, "the range is used again");
    assert_connected(c, d);
    let drops = Drops::read(&lab.hosts[0]);
    c.netns.ip(&format!("neigh replace {} lladdr 02:42:0a:01:00:02 dev eth0", v4(2))).expect("set");
    assert!(!c.netns.ping(v4(2).into()), "reached through what was left of the other network");
    assert!(drops.since(&lab.hosts[0]).count("unknown_mac", green) > 0);
}

/// What a network has of `FDB_V4` on the first host.
fn slice(lab: &Lab, vni: u32) -> Slice {
    let pin = lab.hosts[0].pin_dir.join("maps/NETS");
    let map = Map::HashMap(MapData::from_pin(pin).expect("pinned"));
    HashMap::<_, u32, Net>::try_from(map).expect("a hash").get(&vni, 0).expect("a network").slice
}
