//! The key of the gossip is changed while the cluster is at work.

use std::time::Duration;

use overlay_tests::{Netns, figure, run};
use overlay_user::api::types::KeyInfo;
use serde_json::Value;

use crate::{
    fleet::{Fleet, until},
    ring::Ring,
};

const HOSTS: u8 = 4;
const TURNS: usize = 5;
/// How long a change may take to be on all.
const SOON: Duration = Duration::from_secs(5);

/// What churns meanwhile: at each step one endpoint more, and one less.
struct Churn {
    container: Netns,
    number: usize,
    ids: Vec<String>,
}

impl Churn {
    const HOST: usize = 1;

    fn step(&mut self, fleet: &Fleet) {
        self.number += 1;
        let id = fleet.add(Self::HOST, &self.container, &format!("e{}", self.number), &[]).id;
        for host in fleet.all() {
            until(&format!("{id} is on {}", fleet.name(host)), SOON, || fleet.lists(host, &id));
        }
        self.ids.push(id);
        if self.ids.len() > 2 {
            let id = self.ids.remove(0);
            fleet.delete(Self::HOST, &id);
            for host in fleet.all() {
                until(&format!("{id} is gone from {}", fleet.name(host)), SOON, || !fleet.lists(host, &id));
            }
        }
    }
}

/// The key that a host seals with.
fn in_use(fleet: &Fleet, host: usize) -> String {
    let keys: Vec<KeyInfo> = fleet.get(host, "/v1/keys").expect("keys");
    keys.into_iter().find(|key| key.in_use).expect("one is in use").id
}

/// Runs `overlay cluster key WORDS` on a host.
fn key(fleet: &Fleet, host: usize, words: &[&str]) -> Value {
    let words: Vec<&str> = ["cluster", "key"].iter().chain(words).copied().collect();
    fleet.lab.hosts[host].ask(&words).unwrap_or_else(|error| panic!("{words:?}: {error:#}"))
}

/// Once through the three steps, on every node in turn.
fn rotate(fleet: &Fleet, churn: &mut Churn) {
    let old = in_use(fleet, 0);
    let made = key(fleet, 0, &["install"]);
    let (id, token) = (made["id"].as_str().expect("an id"), made["token"].as_str().expect("a token"));
    let early = run(fleet.lab.hosts[0].overlay().args(["cluster", "key", "use", id]));
    assert!(early.is_err_and(|error| format!("{error:#}").contains("is not on")), "not before all have it");
    for host in fleet.others(&[0]) {
        key(fleet, host, &["install", token]);
        churn.step(fleet);
    }
    until("all know that all have it", SOON, || {
        fleet.all().all(|host| {
            let keys: Vec<KeyInfo> = fleet.get(host, "/v1/keys").expect("keys");
            keys.iter().any(|key| key.id == id && key.missing.is_empty())
        })
    });
    for host in fleet.all() {
        key(fleet, host, &["use", id]);
        churn.step(fleet);
    }
    for host in fleet.all() {
        // Refused for as long as it is not known that all seal with another.
        until("the old key can go", SOON, || {
            run(fleet.lab.hosts[host].overlay().args(["cluster", "key", "remove", &old])).is_ok()
        });
        churn.step(fleet);
    }
    for host in fleet.all() {
        let keys: Vec<KeyInfo> = fleet.get(host, "/v1/keys").expect("keys");
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, [id], "on {}: the new one only, not {old}", fleet.name(host));
    }
}

#[test]
fn keys_change_under_churn_and_nobody_is_lost() {
    let mut fleet = Fleet::new("rotation", HOSTS);
    fleet.populate();
    let container = Netns::new_over("ovt-rotation-n").expect("a namespace");
    let mut churn = Churn { container, number: 0, ids: Vec::new() };
    let (mark, all) = (fleet.mark(), fleet.all().collect::<Vec<_>>());
    let ring = Ring::start(&fleet, &all);
    for _ in 0..TURNS {
        rotate(&fleet, &mut churn);
    }
    let carried = ring.stop();
    let events: Vec<_> = fleet.all().flat_map(|host| fleet.since(&mark, host)).collect();
    figure("rotation", "keys changed, endpoints added meanwhile", format!("{TURNS}, {}", churn.number));
    figure("rotation", "packets lost", carried.figure());
    assert!(events.iter().all(|(_, what)| what == "known"), "nobody was away: {events:?}");
    carried.assert_whole("keys changed");
    fleet.wait_agreed(&all, usize::from(HOSTS) + churn.ids.len(), SOON);
}
