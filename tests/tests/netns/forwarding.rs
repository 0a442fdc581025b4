//! The forwarding is ours: no device of the kernel's does it.

use std::{collections::BTreeMap, fs, process::Command};

use overlay_tests::{Host, run};
use serde_json::Value;

use crate::support::{container, links, pair};

const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel counts the runs of programs while this lives.
struct RunCounts {
    before: String,
}

impl RunCounts {
    fn enable() -> Self {
        let before = fs::read_to_string(STATS).expect("readable");
        fs::write(STATS, "1").expect("writable: root is needed");
        Self { before }
    }

    /// The runs of each program on a host, by name and device.
    fn read(host: &Host) -> BTreeMap<(String, String), u64> {
        let status = host.status().expect("status");
        let programs = status["programs"].as_array().expect("a list");
        programs.iter().map(|program| (key(program), runs(&program["id"]))).collect()
    }
}

impl Drop for RunCounts {
    fn drop(&mut self) {
        if let Err(error) = fs::write(STATS, self.before.trim()) {
            eprintln!("{STATS}: {error}");
        }
    }
}

fn key(program: &Value) -> (String, String) {
    let text = |name: &str| program[name].as_str().expect("a string").to_owned();
    (text("name"), text("device"))
}

fn runs(id: &Value) -> u64 {
    let text =
        run(Command::new("bpftool").args(["-j", "prog", "show", "id", &id.to_string()])).expect("bpftool");
    let program: Value = serde_json::from_str(&text).expect("JSON");
    program["run_cnt"].as_u64().unwrap_or_default()
}

#[test]
fn no_kernel_device_forwards_and_the_programs_run_for_every_ping() {
    let lab = pair("ours");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for host in &lab.hosts {
        for (name, link) in links(&host.netns) {
            let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or_default();
            // Those for headroom are never up. The anchor has what the programs leave to it: of this, nothing.
            if name == "overlay-anchor" {
                continue;
            }
            let up = link["flags"].as_array().expect("flags").contains(&Value::from("UP"));
            assert!(!(up && matches!(kind, "bridge" | "vxlan")), "{name} of {} is a {kind}", host.name);
        }
    }
    let _counting = RunCounts::enable();
    let before: Vec<_> = lab.hosts.iter().map(RunCounts::read).collect();
    let target = b.ips[0].to_string();
    a.netns.run(&["ping", "-n", "-q", "-c", "50", "-i", "0.01", &target]).expect("all answered");
    for (host, before) in lab.hosts.iter().zip(before) {
        let names: Vec<&str> = before.keys().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["from_anchor", "from_container", "from_underlay", "to_underlay", "unguarded"],
            "{}",
            host.name
        );
        for (program, runs) in RunCounts::read(host) {
            let grown = runs - before[&program];
            // Behind `from_container`, which takes every frame; and at the anchor.
            let idle = matches!(program.0.as_str(), "unguarded" | "from_anchor");
            assert!(
                if idle { grown == 0 } else { grown >= 50 },
                "{program:?} of {} ran {grown} times for 50 pings",
                host.name
            );
        }
    }
}
