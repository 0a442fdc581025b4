//! What scripts rely on: exit codes, help with examples, and the keys of every listing.

use std::time::Duration;

use overlay_tests::{Host, output_within, run};
use serde_json::Value;

use crate::support::pair;

/// Every command that people see.
const COMMANDS: &[&str] = &[
    "",
    "agent",
    "status",
    "network create",
    "network list",
    "network show",
    "network delete",
    "endpoint add",
    "endpoint list",
    "endpoint show",
    "endpoint delete",
    "node list",
    "drops",
    "dump",
    "uninstall",
    "completion",
];

/// Commands that need an agent.
const ASKING: &[&str] = &[
    "network list",
    "network show blue",
    "network delete blue",
    "network create new",
    "endpoint list",
    "endpoint show a",
    "endpoint delete a",
    "endpoint add --network blue --netns /run/netns/ovt-codes-a",
    "node list",
    "drops",
    "dump fdb",
];

/// Listings and the keys that each row has.
const LISTINGS: &[(&str, &[&str])] = &[
    ("drops --all", &["reason", "network", "count"]),
    ("endpoint list", &["id", "network", "node", "ifname", "mac", "ips", "name", "local", "state"]),
    ("node list", &["name", "vtep", "kind", "state"]),
    ("network list", &["name", "vni", "subnets", "mtu"]),
    ("dump fdb", &["network", "vni", "mac", "to", "vtep", "ifname"]),
    ("dump neigh", &["network", "vni", "ip", "mac"]),
    ("dump vteps", &["vtep", "node", "next_hop", "mac", "device", "networks"]),
    ("dump ports", &["ifname", "ifindex", "network", "vni", "macs", "allowed"]),
];

/// The drop reasons that the contract names.
const REASONS: &[&str] = &[
    "unknown_vtep",
    "vtep_not_in_vni",
    "unknown_vni",
    "unknown_mac",
    "spoofed_mac",
    "spoofed_ip",
    "spoofed_arp",
    "spoofed_nd",
    "split_horizon",
    "malformed",
    "too_big",
    "not_encrypted",
];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn code(host: &Host, line: &str) -> Option<i32> {
    output_within(host.overlay().args(words(line)), Duration::from_secs(10)).expect("ran").status.code()
}

fn assert_keys(value: &Value, keys: &[&str], what: &str) {
    for key in keys {
        assert!(value.get(key).is_some(), "{what} has no {key}: {value}");
    }
}

#[test]
fn every_help_has_an_example() {
    let lab = pair("help");
    for command in COMMANDS {
        let text = run(lab.hosts[0].overlay().args(words(command)).arg("--help")).expect("helps");
        assert!(text.contains("Example: overlay "), "overlay {command} --help:\n{text}");
    }
}

#[test]
fn listings_have_the_keys_of_the_contract() {
    let lab = pair("keys");
    let host = &lab.hosts[0];
    for (line, keys) in LISTINGS {
        let rows = host.ask(&words(line)).expect(line);
        let rows = rows.as_array().expect("a list");
        assert!(!rows.is_empty(), "{line} is empty");
        for row in rows {
            assert_keys(row, keys, line);
        }
        run(host.overlay().args(words(line))).expect("for people too");
    }
    assert_eq!(host.ask(&["dump", "flood"]).expect("a table"), Value::Array(Vec::new()));
    let status = host.status().expect("an answer");
    assert_keys(&status, &["state", "problems", "programs", "audit", "source"], "status");
    assert_keys(&status["audit"], &["runs", "repaired", "last"], "audit");
    assert_keys(&status["source"], &["engine", "ok", "error", "line", "column"], "source");
    let programs = status["programs"].as_array().expect("a list");
    for program in programs {
        assert_keys(program, &["name", "id", "device", "hook"], "a program");
    }
    let drops = host.ask(&["drops", "--all"]).expect("drops");
    let listed: Vec<&str> =
        drops.as_array().expect("a list").iter().filter_map(|row| row["reason"].as_str()).collect();
    let missing: Vec<_> = REASONS.iter().filter(|reason| !listed.contains(reason)).collect();
    assert!(missing.is_empty(), "no counter for {missing:?}");
}

#[test]
fn exit_codes_tell_healthy_degraded_and_unanswered() {
    let mut lab = pair("codes");
    assert_eq!(code(&lab.hosts[0], "status"), Some(0));
    lab.write_cluster_text("[[node").expect("written");
    let host = &lab.hosts[0];
    crate::support::wait_for("degraded", Duration::from_secs(2), || code(host, "status") == Some(1));
    let problem = &host.status().expect("an answer")["problems"][0];
    assert_keys(problem, &["code", "message", "fix"], "a problem");
    lab.hosts[0].kill_agent().expect("killed");
    assert_eq!(code(&lab.hosts[0], "status"), Some(2));
    for line in ASKING {
        assert_eq!(code(&lab.hosts[0], line), Some(69), "overlay {line}");
    }
}
