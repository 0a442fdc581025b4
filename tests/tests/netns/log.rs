//! The agent's log as JSON, and its limit on what repeats.

use std::{fs::OpenOptions, io::Write as _, time::Duration};

use overlay_tests::Host;
use serde_json::Value;

use crate::support::{BLUE, addresses, container, hosts, start, v4, wait_for};

/// How often something is asked that the log tells of.
const ASKED: usize = 30;
/// How often that is told.
const TOLD: usize = 10;
/// A window of the limit, and as long again until what was left out is told.
const LIMIT: Duration = Duration::from_secs(25);

/// Adds to the host's overlay.toml.
fn configure(host: &Host, more: &str) {
    let mut config = OpenOptions::new().append(true).open(host.config()).expect("written before");
    writeln!(config, "{more}").expect("written");
}

#[test]
fn a_line_of_the_log_is_json_and_what_repeats_is_counted() {
    let mut lab = hosts("log", 1);
    configure(&lab.hosts[0], "[log]\nformat = \"json\"");
    lab.hosts[0].start_agent().expect("started");
    let host = &lab.hosts[0];
    for _ in 0..ASKED {
        let error = host.ask(&["endpoint", "delete", "none"]).expect_err("there is none").to_string();
        assert!(error.contains("there is no endpoint \"none\""), "{error}");
    }
    let lines = || -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        host.log().lines().map(read).collect()
    };
    let asked = lines().into_iter().filter(|line| line["message"] == "an administrator asks");
    let asked: Vec<Value> = asked.collect();
    assert_eq!(asked.len(), TOLD);
    assert_eq!(
        (&asked[0]["uid"], &asked[0]["verb"], &asked[0]["path"]),
        (&0.into(), &"DELETE".into(), &"/v1/endpoints/none".into())
    );
    let left_out = |line: &Value| line["like"] == "an administrator asks" && line["count"] == ASKED - TOLD;
    wait_for("the count of what was left out", LIMIT, || lines().iter().any(left_out));
    // The control: another place logs all the while.
    lab.hosts[0].stop_agent().expect("stopped");
    assert!(lab.hosts[0].log().contains("stopped; what is installed goes on forwarding"));
}

#[test]
fn the_trace_tells_of_every_frame() {
    let mut lab = hosts("trace", 1);
    configure(&lab.hosts[0], "[trace]\nsample = 1");
    for (name, number) in [("a", 1), ("b", 2)] {
        lab.declare_container(0, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    let to = v4(2).to_string();
    let count = ASKED.to_string();
    container(&lab, "a").netns.run(&["ping", "-n", "-q", "-i", "0.01", "-c", &count, &to]).expect("reached");
    // A request and an answer each, however fast they came.
    let told = || lab.hosts[0].log().lines().filter(|line| line.contains("98 bytes forwarded")).count();
    wait_for("the trace", LIMIT, || told() >= 2 * ASKED);
}
