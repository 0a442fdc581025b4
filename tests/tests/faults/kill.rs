//! Agents that are killed or held up, at any instant: the traffic does not notice.

use std::{
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Lab, Load, Random, Report, full};
use rustix::process::Signal;

use crate::{
    agents::{Programs, assert_healthy, kill_all, programs, signal_all, sleep_below, status_code},
    figures::{Row, detail},
    support::{assert_connected, container, endpoint, pair},
};

/// Panics unless the traffic was whole, the programs are those of before, and all is well.
fn assert_unharmed(lab: &Lab, report: &Report, before: &[Programs], what: &str) {
    report.assert_clean();
    assert_healthy(lab);
    for (host, name) in lab.hosts.iter().zip(["a", "b"]) {
        assert_eq!(endpoint(host, name)["state"], "ready", "{what}");
        assert_eq!(host.status().expect("an answer")["audit"]["repaired"], 0, "{what}: nothing was amiss");
    }
    assert_connected(container(lab, "a"), container(lab, "b"));
    assert_eq!(programs(lab), before, "{what}: the programs are not those of before");
}

#[test]
fn agents_killed_at_random_instants_lose_no_packet() {
    let kills = if full() { 100 } else { 6 };
    let mut random = Random::for_test("kill");
    let mut lab = pair("kill");
    let before = programs(&lab);
    let load = Load::start(&lab, "a", "b").expect("a load");
    let (mut dead, mut adopted) = (Vec::new(), 0);
    for _ in 0..kills {
        sleep_below(&mut random, Duration::from_millis(800));
        dead.extend(kill_all(&mut lab));
        let codes: Vec<_> = lab.hosts.iter().map(status_code).collect();
        assert_eq!(codes, [Some(2), Some(2)], "no agent answers");
        sleep_below(&mut random, Duration::from_millis(300));
        lab.start_agents().expect("started again");
        adopted += usize::from(programs(&lab) == before);
    }
    let report = load.stop().expect("counted");
    let pids = dead.chunks(2).map(|pair| format!("{} {}", pair[0], pair[1])).collect::<Vec<_>>();
    detail(format!("killed, after which `status` ended with 2 on both hosts: pids {}", pids.join(", ")));
    let note = format!("seed {}; {} pids; ids unchanged {adopted} of {kills}", random.seed(), dead.len());
    Row::new("kill -9 of both agents", kills).load(&report).note(&note).add();
    dead.sort_unstable();
    dead.dedup();
    assert_eq!(dead.len(), 2 * kills, "each kill was of another process");
    assert_unharmed(&lab, &report, &before, "killed");
    assert_eq!(adopted, kills, "program ids after each start");
}

#[test]
fn agents_killed_while_they_start_lose_no_packet() {
    let kills = if full() { 20 } else { 5 };
    let mut random = Random::for_test("killstart");
    let mut lab = pair("killstart");
    let before = programs(&lab);
    let load = Load::start(&lab, "a", "b").expect("a load");
    kill_all(&mut lab);
    let start = Instant::now();
    lab.start_agents().expect("started again");
    // At least as long as a start takes here, so that every part of it is met.
    let span = start.elapsed().max(Duration::from_millis(300));
    kill_all(&mut lab);
    for _ in 0..kills {
        lab.hosts.iter_mut().for_each(|host| host.spawn_agent().expect("spawned"));
        sleep_below(&mut random, span);
        kill_all(&mut lab);
    }
    lab.start_agents().expect("a normal start");
    assert_healthy(&lab);
    let report = load.stop().expect("counted");
    let note = format!("seed {}; within {} ms of the start", random.seed(), span.as_millis());
    Row::new("kill -9 while both agents start", kills).load(&report).note(&note).add();
    assert_unharmed(&lab, &report, &before, "killed while starting");
}

#[test]
fn agents_held_up_lose_no_packet() {
    let seconds = if full() { 60 } else { 5 };
    let lab = pair("held");
    let before = programs(&lab);
    let load = Load::start(&lab, "a", "b").expect("a load");
    let pids = signal_all(&lab, Signal::STOP);
    thread::sleep(Duration::from_secs(seconds));
    assert_eq!(signal_all(&lab, Signal::CONT), pids);
    assert_healthy(&lab);
    let report = load.stop().expect("counted");
    Row::new("SIGSTOP of both agents", 1).load(&report).note(&format!("for {seconds} s")).add();
    assert_unharmed(&lab, &report, &before, "held up");
}
