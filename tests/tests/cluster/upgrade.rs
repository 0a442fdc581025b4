//! Agents that are stopped and started again, as for an upgrade.

use std::{thread, time::Duration};

use overlay_tests::figure;
use overlay_user::api::types::NodeState;

use crate::{fleet::Fleet, ring::Ring};

const HOSTS: u8 = 3;
/// How long no agent runs: longer than a silent host takes until it is dead.
const AWAY: Duration = Duration::from_secs(6);
/// How long others may take until they see it.
const SEEN: Duration = Duration::from_secs(8);

#[test]
fn an_agent_that_says_it_comes_back_is_never_missed() {
    let mut fleet = Fleet::new("upgrade", HOSTS);
    fleet.populate();
    let (mark, all) = (fleet.mark(), fleet.all().collect::<Vec<_>>());
    let before = fleet.list(0);
    let ring = Ring::start(&fleet, &all);
    // One after the other, as whoever upgrades a cluster would.
    for away in [1, 0] {
        fleet.lab.hosts[away].stop_agent().expect("stopped");
        for host in fleet.others(&[away]) {
            fleet.wait_for_states(host, &[away], NodeState::Upgrading, SEEN);
        }
        thread::sleep(AWAY);
        for host in fleet.others(&[away]) {
            fleet.wait_for_states(host, &[away], NodeState::Upgrading, Duration::ZERO);
            assert_eq!(fleet.list(host), before, "its endpoints are listed still");
        }
        fleet.lab.hosts[away].start_agent().expect("started again");
        fleet.wait_together();
    }
    let carried = ring.stop();
    figure("upgrade", "lost, two agents stopped and started in turn", carried.figure());
    carried.assert_whole("stopped and started");
    for host in fleet.all() {
        let events = fleet.since(&mark, host);
        let worse = events.iter().find(|(_, what)| what != "upgrading" && what != "known");
        assert!(worse.is_none(), "{} saw {events:?}", fleet.name(host));
        assert_eq!(fleet.list(host), before, "on {}", fleet.name(host));
    }
    let seen = fleet.since(&mark, 2);
    assert_eq!(seen.iter().filter(|(_, what)| what == "upgrading").count(), 2, "{seen:?}");
}
