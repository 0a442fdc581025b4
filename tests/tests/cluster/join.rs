//! Hosts that join, and such as should not.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use overlay_tests::{Host, Netns, figure, output_within, run};
use overlay_user::api::types::NodeState;

use crate::{
    fleet::{Fleet, millis, until},
    ring::Ring,
};

/// How long a host may take to join.
const JOINED: Duration = Duration::from_secs(10);
/// How long it is watched that nothing happens: longer than a host takes to join, by far.
const NOTHING: Duration = Duration::from_secs(4);
/// How long a command may take that is to be refused.
const REFUSED: Duration = Duration::from_secs(15);

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Makes a cluster on a host; its token.
fn init(host: &Host) -> String {
    let token = run(host.overlay().args(["cluster", "init", "--seed", &host.vtep.to_string()]));
    token.expect("made").trim().to_owned()
}

/// Has an agent of a host try to start: its exit code, and what it said last.
fn refused(host: &Host, join: &str) -> (Option<i32>, String) {
    let mut command = host.overlay();
    command.arg("agent").env("OVERLAY_JOIN", join);
    let output = output_within(&mut command, REFUSED).expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (output.status.code(), said.lines().last().unwrap_or_default().to_owned())
}

/// Adds lines to a host's overlay.toml.
fn configure(host: &Host, lines: &str) {
    let text = fs::read_to_string(host.config()).expect("a file");
    fs::write(host.config(), format!("{text}{lines}")).expect("written");
}

#[test]
fn clusters_of_two_keys_do_not_mix() {
    let mut fleet = Fleet::unstarted("join", 5);
    let (one, two) = (init(&fleet.lab.hosts[0]), init(&fleet.lab.hosts[2]));
    for (host, token) in [(1, &one), (3, &two)] {
        fleet.lab.hosts[host].join = Some(token.clone());
    }
    // Those of the second cluster ask those of the first too.
    for host in [2, 3] {
        configure(&fleet.lab.hosts[host], "[cluster.gossip]\nseeds = [\"10.88.0.1\", \"10.88.0.2\"]\n");
    }
    for host in 0..4 {
        fleet.lab.hosts[host].spawn_agent().expect("started");
    }
    for host in 0..4 {
        fleet.lab.hosts[host].wait_agent().expect("it answers");
    }
    let sides = [names(&["h1", "h2"]), names(&["h3", "h4"])];
    for host in 0..4 {
        until("both are there", JOINED, || fleet.node_names(host) == sides[host / 2]);
    }
    thread::sleep(NOTHING);
    for host in 0..4 {
        assert_eq!(fleet.node_names(host), sides[host / 2], "on {}", fleet.name(host));
    }
    let problems = fleet.status(0).problems;
    assert!(problems.iter().any(|problem| problem.code == "wrong_key"), "it is told of: {problems:?}");

    let last = one.len() - 1;
    let other = if one.ends_with('A') { "B" } else { "A" };
    for broken in ["", "nonsense", &one[..last], &format!("{}{other}", &one[..last])] {
        let (code, said) = refused(&fleet.lab.hosts[4], broken);
        assert_eq!(code, Some(1), "{broken:?}: {said}");
        assert!(said.starts_with("overlay: ") && said.lines().count() == 1, "{broken:?}: {said}");
    }
    // The control: the same host joins by the token as it is.
    fleet.lab.hosts[4].join = Some(one);
    fleet.lab.hosts[4].start_agent().expect("started");
    for host in [0, 1, 4] {
        until("all three are there", JOINED, || fleet.node_names(host) == names(&["h1", "h2", "h5"]));
    }
    assert_eq!(fleet.node_names(2), sides[1], "the others stay as they are");
    let (code, said) = refused(&fleet.lab.hosts[1], &two);
    assert_eq!(code, Some(1), "a host of one cluster does not join another: {said}");
}

#[test]
fn a_name_is_one_nodes() {
    let mut fleet = Fleet::new("name", 3);
    fleet.populate();
    let all: Vec<usize> = fleet.all().collect();
    let before = fleet.list(0);
    fleet.lab.hosts[2].stop_agent().expect("stopped");
    let ring = Ring::start(&fleet, &all);
    fleet.lab.hosts[2].set_node("name", "h2").expect("written");
    let mark = fleet.mark_of(&[0, 1]);
    let token = fleet.lab.hosts[2].join.clone().expect("a token");
    let (code, said) = refused(&fleet.lab.hosts[2], &token);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another node named \"h2\"") && said.contains("node.name"), "{said}");
    for host in [0, 1] {
        assert_eq!(fleet.list(host), before, "on {}", fleet.name(host));
        let events = fleet.since(&mark, host);
        assert!(events.iter().all(|(name, what)| name == "h3" || what == "known"), "{events:?}");
    }
    // The control: by its own name it is let in.
    fleet.lab.hosts[2].set_node("name", "h3").expect("written");
    fleet.lab.hosts[2].start_agent().expect("started");
    fleet.wait_together();
    let carried = ring.stop();
    figure("join", "lost while a name was claimed twice", carried.figure());
    carried.assert_whole("a name claimed twice");
}

#[test]
fn an_agent_that_is_refused_its_name_leaves_nothing() {
    let mut fleet = Fleet::unstarted("refused", 3);
    let token = init(&fleet.lab.hosts[0]);
    fleet.lab.hosts[0].spawn_agent().expect("started");
    fleet.lab.hosts[0].wait_agent().expect("it answers");
    fleet.lab.hosts[1].join = Some(token.clone());
    fleet.lab.hosts[1].start_agent().expect("started");
    fleet.lab.hosts[2].set_node("name", "h2").expect("written");
    let (code, said) = refused(&fleet.lab.hosts[2], &token);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another node named \"h2\""), "{said}");
    assert!(!fleet.lab.hosts[2].pin_dir.exists(), "nothing is pinned");
    // The control: by its own name it is let in.
    fleet.lab.hosts[2].set_node("name", "h3").expect("written");
    fleet.lab.hosts[2].join = Some(token);
    fleet.lab.hosts[2].start_agent().expect("started");
    assert!(fleet.lab.hosts[2].pin_dir.join("maps").exists());
}

/// A host that counted its starts by a clock of ten years from now, and then lost its state and has the right time.
#[test]
fn a_lost_state_and_a_clock_years_off_are_no_hindrance() {
    const LATER: u64 = 10 * 365 * 86_400;
    let mut fleet = Fleet::new("clock", 3);
    let host = 1;
    let gossip = fleet.lab.hosts[host].dir.join("state/gossip.json");
    fleet.lab.hosts[host].stop_agent().expect("stopped");
    set_start(&gossip, LATER);
    fleet.lab.hosts[host].start_agent().expect("started");
    fleet.wait_together();
    let ahead = start_of(&gossip);
    fleet.lab.hosts[host].kill_agent().expect("killed");
    for file in ["gossip.json", "peers.json"] {
        fs::remove_file(gossip.with_file_name(file)).expect("it was there");
    }
    for other in fleet.others(&[host]) {
        fleet.wait_for_states(other, &[host], NodeState::AgentDown, JOINED);
    }
    fleet.lab.hosts[host].start_agent().expect("started");
    fleet.wait_together();
    let now = start_of(&gossip);
    assert!(now > ahead && ahead > LATER, "its starts go on from {ahead}: {now}");
    let container = Netns::new_over("ovt-clock-n").expect("a namespace");
    let id = fleet.add(host, &container, "eth0", &[]).id;
    let seen = fleet.all().map(|other| until("it is on all", JOINED, || fleet.lists(other, &id)));
    figure("join", "an endpoint of who lost state and clock is on all", millis(seen.sum()));
}

/// The first line, which has all, and those of the changes since.
fn content(path: &std::path::Path) -> (serde_json::Value, String) {
    let text = fs::read_to_string(path).expect("a file");
    let (first, changes) = text.split_once('\n').expect("a line");
    (serde_json::from_str(first).expect("JSON"), changes.to_owned())
}

fn start_of(path: &std::path::Path) -> u64 {
    content(path).0["content"]["start"].as_u64().expect("a number")
}

/// Sets the number of the last start, so many seconds ahead.
fn set_start(path: &std::path::Path, ahead: u64) {
    let (mut document, changes) = content(path);
    let start = document["content"]["start"].as_u64().expect("a number");
    document["content"]["start"] = (start + ahead).into();
    let sum = overlay_common::hash::fnv1a(serde_json::to_vec(&document["content"]).expect("JSON"));
    document["checksum"] = format!("{sum:016x}").into();
    fs::write(path, format!("{document}\n{changes}")).expect("written");
}
