//! To a binary of another ABI and back, under load, killed at every step: nothing lost, and nothing let through that
//! a rule drops.

use std::{
    env, os::unix::process::ExitStatusExt as _, path::PathBuf, process::Stdio, thread, time::Duration,
};

use overlay_tests::{Flow, Host, Lab, Load, Random, full, output_within, run};

use crate::{
    agents::{assert_healthy, host_programs, sleep_below, status_code},
    figures::Row,
    support::{BLUE, Drops, assert_connected, container, endpoint, pair, v4},
};

/// The steps of a migration, at each of which the process may kill itself.
const STEPS: [&str; 6] = ["loaded", "filled", "swapped-one", "swapped", "renamed", "cleaned"];
/// How long a migration may take.
const MIGRATION: Duration = Duration::from_secs(20);
/// How long the way back takes, about.
const BACK: Duration = Duration::from_millis(500);
/// Datagrams in a second from an address that is not the container's own.
const SPOOFED: u32 = 1000;

/// The binary of another ABI, with failpoints.
fn next() -> PathBuf {
    let next = env::var_os("OVERLAY_BIN_NEXT");
    next.expect("OVERLAY_BIN_NEXT does not name a binary of another ABI: run the tests by `cargo xtask test`")
        .into()
}

fn abi(host: &Host) -> u64 {
    host.status().expect("an answer")["abi"].as_u64().expect("a number")
}

/// A flow from each container to the other, from an address that is none of the sender's.
fn spoof(lab: &Lab) -> [Flow; 2] {
    [("a", "b", 2, 77), ("b", "a", 1, 78)].map(|(from, to, number, other)| {
        let (from, to) = (container(lab, from), container(lab, to));
        // The kernel of the container is asked to, and does it: whoever is root in there may.
        from.netns.ip(&format!("address add {}/32 dev eth0", v4(other))).expect("added");
        Flow::start((&from.netns, v4(other).into()), (&to.netns, v4(number).into()), SPOOFED).expect("a flow")
    })
}

/// Panics unless the guard of each host drops the spoofed flow at this moment.
fn assert_guarded(lab: &Lab) {
    let before: Vec<Drops> = lab.hosts.iter().map(Drops::read).collect();
    thread::sleep(Duration::from_millis(300));
    for (host, before) in lab.hosts.iter().zip(before) {
        let dropped = before.since(host).count("spoofed_ip", BLUE);
        assert!(dropped >= 100, "the control: {} dropped {dropped} of the spoofed", host.name);
    }
}

/// Stops all agents and has the binary's agent take over, after one that kills itself at `step`.
fn up(lab: &mut Lab, next: &PathBuf, step: Option<&str>) {
    for host in &mut lab.hosts {
        host.stop_agent().expect("stopped");
        host.overlay.clone_from(next);
        let Some(step) = step else { continue };
        let mut command = host.overlay();
        let output =
            output_within(command.arg("agent").env("OVERLAY_KILL_AT", step), MIGRATION).expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.signal(), Some(9), "{}: not killed at {step}: {text}", host.name);
        assert_eq!(status_code(host), Some(2), "{}: killed at {step}", host.name);
    }
    lab.start_agents().unwrap_or_else(|error| panic!("after a kill at {step:?}: {error:#}"));
}

/// Stops all agents and goes back to the binary, by its `upgrade --downgrade`; with random numbers, after one that
/// is killed at some instant. How often that was before its end.
fn down(lab: &mut Lab, old: &PathBuf, mut random: Option<&mut Random>) -> usize {
    let mut killed = 0;
    for host in &mut lab.hosts {
        host.stop_agent().expect("stopped");
        host.overlay.clone_from(old);
        let refused = output_within(host.overlay().arg("agent"), MIGRATION).expect("it ends");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), text.lines().count()), (Some(1), 1), "{text}");
        assert!(text.contains("ABI"), "the older version does not touch what a later one left: {text}");
        if let Some(random) = &mut random {
            // Of this binary it is not known where it kills itself: it is one that people run.
            let mut process = host
                .overlay()
                .args(["upgrade", "--downgrade"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("started");
            sleep_below(random, BACK);
            process.kill().expect("killed");
            killed += usize::from(process.wait().expect("reaped").signal() == Some(9));
        }
        run(host.overlay().args(["upgrade", "--downgrade"])).expect("back to the older ABI");
    }
    lab.start_agents().expect("the older agents");
    killed
}

/// Panics unless every host runs this ABI, is healthy and has its container.
fn assert_runs(lab: &Lab, expected: u64, what: &str) {
    assert_healthy(lab);
    for (host, name) in lab.hosts.iter().zip(["a", "b"]) {
        assert_eq!(abi(host), expected, "{what}");
        assert_eq!(endpoint(host, name)["state"], "ready", "{what}");
        let left = crate::snapshot::below(&host.pin_dir).len();
        assert!(left < 40, "{what}: {left} pins: something was left behind");
    }
}

/// Goes there and back once for each of `steps`, under load.
fn there_and_back(name: &str, fault: &str, steps: &[Option<&str>]) {
    let next = next();
    let mut lab = pair(name);
    let (old, first) = (lab.hosts[0].overlay.clone(), abi(&lab.hosts[0]));
    let load = Load::start(&lab, "a", "b").expect("a load");
    let spoofed = spoof(&lab);
    assert_guarded(&lab);
    let (mut second, mut killed, mut random) = (None, 0, Random::for_test(name));
    for step in steps {
        up(&mut lab, &next, *step);
        let there = *second.get_or_insert_with(|| abi(&lab.hosts[0]));
        assert_ne!(there, first, "the control: it is another ABI");
        assert_runs(&lab, there, &format!("there, killed at {step:?}"));
        assert_guarded(&lab);
        killed += down(&mut lab, &old, step.map(|_| &mut random));
        assert_runs(&lab, first, &format!("back, killed at {step:?}"));
    }
    assert_guarded(&lab);
    let leaks = spoofed.map(|flow| flow.stop().expect("counted"));
    let report = load.stop().expect("counted");
    let (sent, leaked) = (leaks[0].sent + leaks[1].sent, leaks[0].received + leaks[1].received);
    let second = second.unwrap_or_default();
    let note = format!("ABI {first} to {second} and back; {leaked} of {sent} spoofed leaked");
    let mut row = Row::new(fault, steps.len()).load(&report).note(&note);
    if killed > 0 {
        row = row.note(&format!("seed {}; killed {killed} times on the way back", random.seed()));
    }
    row.add();
    report.assert_clean();
    assert!(sent > 1000, "the control: {sent} spoofed were sent");
    assert_eq!(leaked, 0, "spoofed datagrams arrived");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn an_upgrade_and_a_downgrade_lose_and_leak_nothing() {
    let times = if full() { 10 } else { 2 };
    there_and_back("upgrade", "upgrade and downgrade", &vec![None; times]);
}

#[test]
fn an_upgrade_killed_at_any_step_loses_and_leaks_nothing() {
    let steps = STEPS.map(Some);
    there_and_back("upkill", "upgrade killed at each step, and back", &steps);
}

#[test]
fn an_upgrade_that_fails_half_way_is_undone() {
    let next = next();
    let mut lab = pair("undone");
    let load = Load::start(&lab, "a", "b").expect("a load");
    let before = host_programs(&lab.hosts[0]);
    let host = &mut lab.hosts[0];
    host.stop_agent().expect("stopped");
    let mut command = host.netns.command(&next);
    command.envs(host.environment()).arg("upgrade");
    // Its last link: the others run its programs by then.
    let output = output_within(command.env("OVERLAY_FAIL_AT", "last-swap"), MIGRATION).expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nothing was changed") && said.contains("told to fail"), "{said}");
    host.start_agent().expect("the agent that was there before");
    assert_eq!(host_programs(host), before, "the former programs, under the same numbers");
    // The control: not told to fail, it goes through.
    host.stop_agent().expect("stopped");
    run(host.netns.command(&next).envs(host.environment()).arg("upgrade")).expect("upgraded");
    host.overlay.clone_from(&next);
    host.start_agent().expect("the next agent");
    assert_ne!(host_programs(host), before, "the control");
    let report = load.stop().expect("counted");
    Row::new("an upgrade that fails half-way", 1).load(&report).note("undone; the same programs").add();
    report.assert_clean();
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}
