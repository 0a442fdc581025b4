use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{machine, tell, wanted};
use crate::membership::{
    guard::Guard,
    machine::{Machine, Wanted},
    record::Definition,
};

/// So many nodes, and endpoints on each.
const NODES: u8 = 50;
const EACH: u8 = 200;
/// So many endpoints are added.
const ADDED: u32 = 500;

/// A node of a cluster of 10 000 endpoints.
fn large() -> Machine {
    let mut one = machine("h1", 1);
    let subnets = vec!["10.1.0.0/16".parse().expect("a prefix")];
    let definition = Definition { subnets, gateways: Vec::new(), ..super::blue() };
    one.create_network("blue", None, definition).expect("made");
    for number in 0..NODES {
        let mut node = machine(&format!("n{number}"), number);
        tell_network(&one, &mut node);
        for endpoint in 0..EACH {
            let ip = IpAddr::from([10, 1, 100 + number, endpoint]);
            node.add_endpoint(wanted(&[&ip.to_string()])).expect("free");
        }
        tell(&mut node, &mut one);
    }
    one
}

fn tell_network(from: &Machine, to: &mut Machine) {
    for (key, record) in from.own() {
        to.learn(from.name(), 1, &key.to_string(), Some(&record.text()));
    }
    to.heard(from.name());
}

#[test]
#[ignore = "it measures: cargo test --release -p overlay-user --lib -- --ignored --nocapture scale"]
fn what_a_large_cluster_costs() {
    let mut one = large();
    assert_eq!(one.view().cluster.endpoints.len(), usize::from(NODES) * usize::from(EACH));
    let time = |what: &str, count: u32, work: &mut dyn FnMut(u32)| {
        let start = Instant::now();
        (0..count).for_each(work);
        println!("{what:<40}{:>10.1} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    };
    time("a view", 20, &mut |_| drop(one.view()));
    let mut guard = Guard::new("h1");
    let views: Vec<_> = (0..20).map(|_| one.view()).collect();
    let mut views = views.into_iter();
    time("a guarded view", 20, &mut |_| drop(views.next().map(|view| guard.next(view, Duration::ZERO))));
    time("an endpoint with an address", ADDED, &mut |number| {
        let ip = format!("10.1.{}.{}", 50 + number / 250, number % 250);
        one.add_endpoint(wanted(&[&ip])).expect("free");
        drop(one.take_changes());
    });
    let mut now = Duration::ZERO;
    time("a leased endpoint, with its ticks", ADDED, &mut |_| {
        let wanted = Wanted { network: "blue".to_owned(), ips: Vec::new(), mac: None, name: None };
        while one.add_endpoint(wanted.clone()).is_err() {
            now += Duration::from_millis(500);
            one.tick(now);
        }
        drop(one.take_changes());
    });
    time("a tick after a change", 20, &mut |number| {
        one.add_endpoint(wanted(&[&format!("10.1.60.{number}")])).expect("free");
        one.tick(now);
    });
    time("a tick of nothing", 20, &mut |_| one.tick(now));
    time("the look over a network", 20, &mut |_| drop(one.ipam("blue")));
    time("what is wrong with addresses", 20, &mut |_| drop(one.ipam_check()));
}
