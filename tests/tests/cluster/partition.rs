//! A cluster in two halves that go on without each other, and come together again.

use std::{collections::BTreeSet, net::IpAddr, thread, time::Duration};

use overlay_tests::{Container, Netns, Underlay, figure, full};
use overlay_user::api::types::{EndpointInfo, EndpointState, NodeState};

use crate::{
    fleet::{BLUE, Fleet, millis, until, v4},
    ring::Ring,
};

const HOSTS: u8 = 8;
/// The hosts of each half.
const HALVES: [[usize; 4]; 2] = [[0, 1, 2, 3], [4, 5, 6, 7]];
/// The bridge of the second half.
const ELSEWHERE: &str = "br1";
/// The ends of the wire between the halves.
const WIRE: [&str; 2] = ["wire0", "wire1"];
/// How long the halves may take to take each other for dead.
const APART: Duration = Duration::from_secs(10);
/// How long they may take to agree once they are joined.
const TOGETHER: Duration = Duration::from_secs(10);
/// How long what one half does may take to be on all of it.
const SOON: Duration = Duration::from_secs(5);
/// The host part of the address that both halves give away.
const TWICE: u8 = 99;

/// Puts the second half on a bridge of its own, which one wire joins to the other: both are cut apart at once.
fn divide(fleet: &Fleet) {
    let underlay = &fleet.lab.underlay.netns;
    let ip = |line: String| underlay.ip(&line).unwrap_or_else(|error| panic!("{line}: {error:#}"));
    ip(format!("link add {ELSEWHERE} type bridge stp_state 0 mcast_snooping 0"));
    ip(format!("link set {ELSEWHERE} up"));
    ip(format!("link add {} type veth peer name {}", WIRE[0], WIRE[1]));
    for (end, bridge) in WIRE.into_iter().zip([Underlay::BRIDGE, ELSEWHERE]) {
        ip(format!("link set {end} master {bridge} up"));
    }
    for host in HALVES[1] {
        ip(format!("link set {} master {ELSEWHERE}", fleet.name(host)));
    }
}

/// Cuts or mends the wire.
fn set_wire(fleet: &Fleet, state: &str) {
    fleet.lab.underlay.netns.ip(&format!("link set {} {state}", WIRE[0])).expect(state);
}

/// What the halves do without each other: one endpoint deleted in each, one added, one at the same address.
fn change(fleet: &Fleet, own: [&Netns; 2], twice: [&Netns; 2]) -> (Vec<String>, Vec<EndpointInfo>) {
    let (mut deleted, mut added) = (Vec::new(), Vec::new());
    for ((half, container), twice) in HALVES.iter().zip(own).zip(twice) {
        let [first, second, _, last] = *half;
        let gone = fleet.endpoints(last).into_iter().find(|endpoint| endpoint.local).expect("its own");
        fleet.delete(last, &gone.id);
        deleted.push(gone.id);
        // At an address of the half's own.
        let ip: IpAddr = v4(100 + first as u8).into();
        added.push(fleet.add(second, container, "eth0", &[ip]));
        added.push(fleet.add(first, twice, "eth0", &[v4(TWICE).into()]));
        for host in half {
            until("the half has followed", SOON, || {
                added[added.len() - 2..].iter().all(|endpoint| fleet.lists(*host, &endpoint.id))
                    && !deleted.last().is_some_and(|id| fleet.lists(*host, id))
            });
        }
    }
    (deleted, added)
}

#[test]
fn two_halves_go_on_and_agree_once_they_are_joined() {
    let mut fleet = Fleet::new("partition", HOSTS);
    divide(&fleet);
    fleet.populate();
    let container = |name: String| Netns::new_over(&format!("ovt-partition-{name}")).expect("a namespace");
    let own = HALVES.map(|[first, ..]| container(format!("o{first}")));
    let twice = HALVES.map(|[first, ..]| container(format!("t{first}")));
    // Of each half three that nobody deletes.
    let rings = HALVES.map(|[a, b, c, _]| Ring::start(&fleet, &[a, b, c]));
    set_wire(&fleet, "down");
    for (half, other) in [(HALVES[0], HALVES[1]), (HALVES[1], HALVES[0])] {
        for host in half {
            fleet.wait_for_states(host, &other, NodeState::Dead, APART);
        }
    }
    let (deleted, added) = change(&fleet, own.each_ref(), twice.each_ref());
    thread::sleep(Duration::from_secs(if full() { 30 } else { 3 }));
    let (mine, other) = (fleet.list(0), fleet.list(4));
    assert!(mine.is_disjoint(&other), "the control: each half has its own: {mine:?} and {other:?}");
    for (ring, half) in rings.into_iter().zip(["first", "second"]) {
        let carried = ring.stop();
        figure("partition", &format!("lost inside the {half} half"), carried.figure());
        carried.assert_whole(half);
    }
    set_wire(&fleet, "up");
    let all: Vec<usize> = fleet.all().collect();
    // Those that were there, less one deleted in each half, more one added in each and one of two at one address.
    let agreed = fleet.wait_agreed(&all, usize::from(HOSTS) - 2 + 2 + 1, TOGETHER);
    figure("partition", "from mending until all agree", millis(agreed));
    for host in fleet.all() {
        assert!(deleted.iter().all(|id| !fleet.lists(host, id)), "what was deleted stays so");
        assert!(added.iter().all(|endpoint| fleet.lists(host, &endpoint.id)), "what was added is on all");
    }
    fleet.wait_together();
    conflict(&fleet, &added[1].id, twice.each_ref());
}

/// The address that both gave away: one holds, the other is told of, and holds once the first is gone.
fn conflict(fleet: &Fleet, id: &str, containers: [&Netns; 2]) {
    let of_it = |host: usize| fleet.endpoints(host).into_iter().filter(|endpoint| endpoint.id == id);
    let refused = |host: usize| of_it(host).find(|endpoint| endpoint.state == EndpointState::Quarantined);
    let loser = refused(HALVES[0][0]).expect("one of the two is told of").node;
    for host in fleet.all() {
        let told = refused(host).expect("on every host");
        assert_eq!(told.node, loser, "all agree on who lost");
        assert!(told.why.is_some_and(|why| why.contains("claimed later")), "and why");
    }
    let (lost, won) = if loser == fleet.name(HALVES[0][0]) { (0, 1) } else { (1, 0) };
    let (lost_host, won_host) = (HALVES[lost][0], HALVES[won][0]);
    until("its host says so", TOGETHER, || {
        fleet.status(lost_host).problems.iter().any(|problem| problem.code == "quarantined")
    });
    let address: IpAddr = v4(TWICE).into();
    // A third asks: the winner answers, and nothing reaches the loser.
    let third: &Container = &fleet.lab.containers[1];
    let before = containers.map(echoes);
    assert!(third.netns.ping(address), "the one that holds answers");
    let after = containers.map(echoes);
    assert_eq!((after[won] - before[won], after[lost] - before[lost]), (1, 0), "who was asked");
    fleet.delete(won_host, id);
    for host in fleet.all() {
        until("the other holds", TOGETHER, || {
            let holds: Vec<_> = of_it(host).collect();
            holds.len() == 1 && holds[0].node == loser && holds[0].state != EndpointState::Quarantined
        });
    }
    until("it is reached", TOGETHER, || third.netns.ping(address));
    assert_eq!(echoes(containers[lost]) - after[lost], 1, "and it is the other that answers");
    until("its host says nothing any more", TOGETHER, || {
        fleet.status(lost_host).problems.iter().all(|problem| problem.code != "quarantined")
    });
    let vteps: BTreeSet<Option<String>> = [1, 2, 5, 6]
        .map(|host| {
            fleet.fdb(host).into_iter().find(|row| id == format!("{BLUE}.{}", row.mac.replace(':', "")))
        })
        .into_iter()
        .map(|row| row.expect("every kernel has it").vtep)
        .collect();
    assert_eq!(
        vteps,
        [Some(fleet.lab.hosts[lost_host].vtep.to_string())].into(),
        "where the kernels send it"
    );
}

/// Echo requests over IPv4 that have come to a container.
fn echoes(container: &Netns) -> u64 {
    let text = container.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
    let text = text.expect("inside").expect("counters");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, echoes) = pairs.find(|(name, _)| *name == "InEchos").expect("a counter");
    echoes.parse().expect("a number")
}
