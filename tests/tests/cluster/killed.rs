//! Agents that die or stand still, on hosts that live: what is forwarded goes on, and nobody takes the host for dead.

use std::{thread, time::Duration};

use overlay_tests::figure;
use overlay_user::api::types::NodeState;
use rustix::process::{Pid, Signal, kill_process};

use crate::{fleet::Fleet, ring::Ring};

const HOSTS: u8 = 4;
/// How long no agent runs: longer than a silent host takes until it is dead.
const AWAY: Duration = Duration::from_secs(8);
/// How long an agent stands still.
const STILL: Duration = Duration::from_secs(15);
/// How long others may take until they see it.
const SEEN: Duration = Duration::from_secs(8);
/// How long an agent that is back may take until others know it.
const BACK: Duration = Duration::from_secs(15);

/// Panics if a host that lived was taken for anything worse than one whose agent is down; only these had none.
fn assert_lived(fleet: &Fleet, mark: &[usize], silent: &[usize]) {
    let names: Vec<&str> = silent.iter().map(|host| fleet.name(*host)).collect();
    for host in fleet.all() {
        let events = fleet.since(mark, host);
        assert!(events.iter().all(|(_, what)| what != "dead" && what != "gone"), "{events:?}");
        let down = events.iter().filter(|(_, what)| what == "agent_down");
        assert!(down.clone().all(|(name, _)| names.contains(&name.as_str())), "{events:?}");
        if !silent.contains(&host) {
            assert!(names.iter().all(|name| down.clone().any(|(of, _)| of == name)), "{events:?}");
        }
    }
}

/// Waits until all know all of these.
fn wait_known(fleet: &Fleet, of: &[usize]) {
    for host in fleet.all() {
        let others: Vec<usize> = of.iter().copied().filter(|other| *other != host).collect();
        fleet.wait_for_states(host, &others, NodeState::Known, BACK);
    }
}

/// Sends a signal to the agent of a host.
fn signal(fleet: &Fleet, host: usize, signal: Signal) {
    let pid = Pid::from_raw(fleet.pid(host).cast_signed()).expect("not 0");
    kill_process(pid, signal).expect("it lives");
}

/// Kills the agents of some hosts, and has those of others stand still, at once; all go on after a while, under load.
fn silence(fleet: &mut Fleet, killed: &[usize], still: &[usize], what: &str) {
    let silent = [killed, still].concat();
    let (mark, all) = (fleet.mark(), fleet.all().collect::<Vec<_>>());
    let before = fleet.list(0);
    let ring = Ring::start(fleet, &all);
    for host in still {
        signal(fleet, *host, Signal::STOP);
    }
    for host in killed {
        fleet.lab.hosts[*host].kill_agent().expect("killed");
    }
    for host in fleet.others(&silent) {
        fleet.wait_for_states(host, &silent, NodeState::AgentDown, SEEN);
    }
    thread::sleep(if still.is_empty() { AWAY } else { STILL });
    for host in fleet.others(&silent) {
        fleet.wait_for_states(host, &silent, NodeState::AgentDown, Duration::ZERO);
        assert_eq!(fleet.list(host), before, "what the silent have is listed still");
    }
    for host in still {
        signal(fleet, *host, Signal::CONT);
    }
    for host in killed {
        fleet.lab.hosts[*host].start_agent().expect("started again");
    }
    wait_known(fleet, &silent);
    let carried = ring.stop();
    figure("agent_killed", &format!("lost, {what}"), carried.figure());
    carried.assert_whole(what);
    assert_lived(fleet, &mark, &silent);
    for host in fleet.all() {
        assert_eq!(fleet.list(host), before, "on {}", fleet.name(host));
    }
}

#[test]
fn an_agent_that_is_gone_or_stands_still_costs_no_packet() {
    let mut fleet = Fleet::new("killed", HOSTS);
    fleet.populate();
    silence(&mut fleet, &[1], &[3], "one agent killed, one standing still");
    // The one that all others were told to ask first is among them.
    silence(&mut fleet, &[0, 2], &[], "two agents killed at once");
}
