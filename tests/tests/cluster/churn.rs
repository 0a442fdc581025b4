//! Many endpoints that come and go: nothing of them stays in a kernel, and no agent grows.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Netns, figure, full};

use crate::fleet::{Fleet, until};

const HOSTS: u8 = 8;
/// Endpoints added or deleted in a second, on all hosts together.
const RATE: u32 = 100;
/// How long all may take to follow what came last.
const SOON: Duration = Duration::from_secs(10);
/// By how much an agent may grow in the second round, in percent.
const GROWTH: u64 = 20;

/// An address by number; beside those of the containers.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 100, 0).to_bits() + number as u32).into()
}

/// Does something for each of `0..count`, on one thread for each host, at the rate; how many were done in a second.
fn paced(count: usize, work: impl Fn(usize, usize) + Sync) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for host in 0..usize::from(HOSTS) {
            let work = &work;
            scope.spawn(move || {
                for number in (host..count).step_by(HOSTS.into()) {
                    let due = Duration::from_secs(1) * number as u32 / RATE;
                    thread::sleep(due.saturating_sub(start.elapsed()));
                    work(host, number);
                }
            });
        }
    });
    count as f64 / start.elapsed().as_secs_f64()
}

/// Panics unless the kernel of every host forwards to exactly what is listed.
fn assert_tables(fleet: &Fleet) {
    for host in fleet.all() {
        let endpoints = fleet.endpoints(host);
        let listed: BTreeSet<String> = endpoints.iter().map(|endpoint| endpoint.mac.clone()).collect();
        let ips: BTreeSet<(String, String)> = endpoints
            .iter()
            .flat_map(|endpoint| endpoint.ips.iter().map(|ip| (bare(ip), endpoint.mac.clone())))
            .collect();
        let mut found = (BTreeSet::new(), BTreeSet::new());
        until(&format!("{} forwards to what is listed", fleet.name(host)), SOON, || {
            let fdb = fleet.fdb(host).into_iter().map(|row| row.mac).collect();
            // Whose MAC address follows from its address is told by its row of the FDB.
            let neigh = fleet.neigh(host).into_iter().map(|row| (row.ip, row.mac));
            found = (fdb, neigh.filter(|(ip, _)| !ip.starts_with("fe80:")).collect());
            found.0 == listed && found.1 == ips
        });
        assert_eq!(found, (listed, ips));
    }
}

fn bare(ip: &str) -> String {
    ip.split('/').next().unwrap_or(ip).to_owned()
}

/// The resident memory of every agent, in KiB.
fn resident(fleet: &Fleet) -> Vec<u64> {
    let of = |host: usize| {
        let text = fs::read_to_string(format!("/proc/{}/status", fleet.pid(host))).expect("it lives");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    fleet.all().map(of).collect()
}

/// Adds so many endpoints, checks, deletes them, checks.
fn round(fleet: &Fleet, containers: &[Netns], count: usize) {
    let all: Vec<usize> = fleet.all().collect();
    let before = fleet.list(0).len();
    let added = paced(count, |host, number| {
        fleet.add(host, &containers[host], &format!("e{number}"), &[address(number)]);
    });
    fleet.wait_agreed(&all, before + count, SOON);
    assert_tables(fleet);
    let ids: Vec<String> = (0..count).map(|number| id_of(fleet, number)).collect();
    let deleted = paced(count, |host, number| fleet.delete(host, &ids[number]));
    fleet.wait_agreed(&all, before, SOON);
    assert_tables(fleet);
    figure("churn", "added, deleted in a second, of 100 asked", format!("{added:.0}, {deleted:.0}"));
}

fn id_of(fleet: &Fleet, number: usize) -> String {
    let host = number % usize::from(HOSTS);
    let ip = address(number).to_string();
    let endpoints = fleet.endpoints(host).into_iter();
    let mut found = endpoints.filter(|endpoint| endpoint.ips.iter().any(|own| bare(own) == ip));
    found.next().expect("it is listed").id
}

#[test]
fn what_comes_and_goes_leaves_nothing() {
    let mut fleet = Fleet::new("churn", HOSTS);
    fleet.populate();
    let containers: Vec<Netns> = fleet
        .all()
        .map(|host| Netns::new_over(&format!("ovt-churn-n{host}")).expect("a namespace"))
        .collect();
    let count = if full() { 1000 } else { 200 };
    let start = resident(&fleet);
    round(&fleet, &containers, count);
    let first = resident(&fleet);
    round(&fleet, &containers, count);
    let second = resident(&fleet);
    let most = |of: &[u64]| of.iter().max().copied().unwrap_or_default() / 1024;
    let figures = format!("{}, {}, {} MiB", most(&start), most(&first), most(&second));
    figure("churn", "largest agent: before, after a round, after two", figures);
    for (host, (first, second)) in first.iter().zip(&second).enumerate() {
        assert!(second * 100 <= first * (100 + GROWTH), "{}: {first} to {second} KiB", fleet.name(host));
    }
}
