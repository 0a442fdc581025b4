//! A node that dies: its endpoints go from the kernels of all others, and come back with it as they were.

use std::time::{Duration, Instant};

use overlay_tests::{figure, full, patient};
use overlay_user::api::types::NodeState;

use crate::fleet::{Fleet, millis, percentile, until};

const HOSTS: u8 = 4;
/// From a node's death until no other node forwards to it.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a node that comes back may take until all is as it was.
const BACK: Duration = Duration::from_secs(20);

/// Kills a host as a power cut would: its agent and its wire at once. The time until no other forwards to it.
fn kill(fleet: &mut Fleet, dead: usize, mac: &str) -> Duration {
    let port = fleet.name(dead).to_owned();
    let start = Instant::now();
    fleet.lab.underlay.netns.ip(&format!("link set {port} down")).expect("down");
    fleet.lab.hosts[dead].kill_agent().expect("killed");
    for host in fleet.others(&[dead]) {
        until(&format!("{} forgets {port}", fleet.name(host)), 4 * LIMIT, || {
            !fleet.fdb(host).iter().any(|row| row.mac == mac)
        });
    }
    start.elapsed()
}

/// Has it come back. The time until every other lists and forwards what it did before.
fn revive(fleet: &mut Fleet, dead: usize, mac: &str, count: usize) -> Duration {
    let port = fleet.name(dead).to_owned();
    let start = Instant::now();
    fleet.lab.underlay.netns.ip(&format!("link set {port} up")).expect("up");
    fleet.lab.hosts[dead].start_agent().expect("started again");
    let all: Vec<usize> = fleet.all().collect();
    fleet.wait_agreed(&all, count, BACK);
    for host in all {
        until(&format!("{} forwards to {port}", fleet.name(host)), BACK, || {
            fleet.fdb(host).iter().any(|row| row.mac == mac)
        });
    }
    start.elapsed()
}

#[test]
fn a_dead_node_is_forwarded_to_no_more_and_comes_back_as_it_was() {
    let mut fleet = Fleet::new("death", HOSTS);
    fleet.populate();
    let before = fleet.list(0);
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    for turn in 0..if full() { 10 } else { 3 } {
        let dead = turn % usize::from(HOSTS);
        let name = fleet.name(dead).to_owned();
        let endpoint = fleet.endpoints(dead).into_iter().find(|endpoint| endpoint.local).expect("its own");
        let mark = fleet.mark();
        gone.push(kill(&mut fleet, dead, &endpoint.mac));
        for host in fleet.others(&[dead]) {
            assert!(!fleet.lists(host, &endpoint.id), "{} still lists {}", fleet.name(host), endpoint.id);
            fleet.wait_for_states(host, &[dead], NodeState::Dead, LIMIT);
        }
        back.push(revive(&mut fleet, dead, &endpoint.mac, before.len()));
        for host in fleet.all() {
            assert_eq!(fleet.list(host), before, "on {}", fleet.name(host));
        }
        for host in fleet.others(&[dead]) {
            fleet.wait_for_states(host, &[dead], NodeState::Known, BACK);
            let events = fleet.since(&mark, host);
            let of_it: Vec<&str> =
                events.iter().filter(|(of, _)| *of == name).map(|(_, what)| what.as_str()).collect();
            assert!(of_it.contains(&"dead") && of_it.last() == Some(&"known"), "{name}: {events:?}");
            assert!(
                events.iter().all(|(of, what)| *of == name || what == "known"),
                "only {name} was away: {events:?}"
            );
        }
        let (from, to) =
            (&fleet.lab.containers[(dead + 1) % usize::from(HOSTS)], &fleet.lab.containers[dead]);
        assert!(to.ips.iter().all(|ip| from.netns.ping(*ip)), "{name} is reached again");
    }
    let [half, most] = [50, 100].map(|percent| percentile(&mut gone, percent));
    figure("death", "until no other forwards to it: p50, max", format!("{}, {}", millis(half), millis(most)));
    let [half, longest] = [50, 100].map(|percent| percentile(&mut back, percent));
    figure("death", "until it is back as it was: p50, max", format!("{}, {}", millis(half), millis(longest)));
    assert!(most <= patient(LIMIT), "{most:?}");
}
