//! How long until what was made on one node is on all.

use std::{
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Netns, figure, full, patient};

use crate::fleet::{Fleet, millis, percentile, until};

const HOSTS: u8 = 8;
/// From the answer to `endpoint add` or `delete` until every node has followed.
const LIMIT: Duration = Duration::from_millis(500);
/// How long it is waited for what comes too late.
const LATE: Duration = Duration::from_secs(10);

/// The time from now until every host lists an endpoint, or no host does.
fn time_until_all(fleet: &Fleet, id: &str, listed: bool) -> Duration {
    let start = Instant::now();
    for host in fleet.all() {
        until(&format!("{id} on {}: listed: {listed}", fleet.name(host)), LATE, || {
            fleet.lists(host, id) == listed
        });
    }
    start.elapsed()
}

fn tell(what: &str, times: &mut [Duration]) {
    let [half, most, all] = [50, 99, 100].map(|percent| percentile(times, percent));
    let figures = format!("{}, {}, {}", millis(half), millis(most), millis(all));
    figure("visible", &format!("{} {what}: p50, p99, max until on {HOSTS} nodes", times.len()), figures);
    assert!(most <= patient(LIMIT), "{what}: p99 is {most:?}");
}

#[test]
fn an_endpoint_is_on_all_nodes_within_half_a_second() {
    let fleet = Fleet::new("visible", HOSTS);
    let containers: Vec<Netns> = fleet
        .all()
        .map(|host| Netns::new_over(&format!("ovt-visible-v{host}")).expect("a namespace"))
        .collect();
    let count = if full() { 400 } else { 40 };
    let (mut added, mut deleted, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let host = number * 5 % usize::from(HOSTS);
        let id = fleet.add(host, &containers[host], &format!("e{number}"), &[]).id;
        added.push(time_until_all(&fleet, &id, true));
        ids.push((host, id));
    }
    for (host, id) in ids {
        fleet.delete(host, &id);
        deleted.push(time_until_all(&fleet, &id, false));
    }
    tell("added", &mut added);
    tell("deleted", &mut deleted);
    first_packets(&fleet);
}

/// Two new endpoints, half a second after both were made: the first packet arrives, and its answer.
fn first_packets(fleet: &Fleet) {
    let (pairs, mut answered) = (if full() { 50 } else { 10 }, 0);
    for pair in 0..pairs {
        let hosts = [pair % usize::from(HOSTS), (pair + 3) % usize::from(HOSTS)];
        let ends = hosts.map(|host| {
            let container = Netns::new_over(&format!("ovt-visible-p{pair}h{host}")).expect("a namespace");
            let endpoint = fleet.add(host, &container, "eth0", &[]);
            (host, container, endpoint)
        });
        let [(_, from, _), (_, _, to)] = &ends;
        let ip = to.ips[pair % 2].split('/').next().and_then(|ip| ip.parse().ok()).expect("an address");
        thread::sleep(LIMIT);
        answered += usize::from(from.ping(ip));
        for (host, _, endpoint) in &ends {
            fleet.delete(*host, &endpoint.id);
        }
    }
    figure("visible", "first packets between new endpoints answered", format!("{answered} of {pairs}"));
    assert_eq!(answered, pairs);
}
