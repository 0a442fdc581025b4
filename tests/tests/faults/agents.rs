//! Agents in trouble: what a test does to their processes, and what they say of themselves.

use std::{collections::BTreeMap, thread, time::Duration};

use overlay_tests::{Host, Lab, Random, output_within};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait_for;

/// How long an agent may take until all is well.
const HEALTHY: Duration = Duration::from_secs(10);

/// The kernel's numbers of the attached programs, by name and device.
pub(crate) type Programs = BTreeMap<(String, String), u64>;

/// The attached programs of each host, as its agent lists them.
pub(crate) fn programs(lab: &Lab) -> Vec<Programs> {
    lab.hosts.iter().map(host_programs).collect()
}

/// The attached programs of a host, as its agent lists them.
pub(crate) fn host_programs(host: &Host) -> Programs {
    let status = host.status().expect("an answer");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let programs = status["programs"].as_array().expect("a list").iter();
    programs
        .map(|program| {
            ((text(&program["name"]), text(&program["device"])), program["id"].as_u64().expect("a number"))
        })
        .collect()
}

/// With what `overlay status` ends.
pub(crate) fn status_code(host: &Host) -> Option<i32> {
    let output = output_within(host.overlay().arg("status"), Duration::from_secs(10)).expect("it ends");
    output.status.code()
}

/// Sends a signal to the agents of all hosts, at once; their process ids.
pub(crate) fn signal_all(lab: &Lab, signal: Signal) -> Vec<u32> {
    let pids: Vec<u32> = lab.hosts.iter().map(|host| host.agent_pid().expect("an agent")).collect();
    for pid in &pids {
        let pid = Pid::from_raw(pid.cast_signed()).expect("not 0");
        kill_process(pid, signal).expect("it lives");
    }
    pids
}

/// Kills the agents of all hosts, at once; their process ids.
pub(crate) fn kill_all(lab: &mut Lab) -> Vec<u32> {
    let pids = signal_all(lab, Signal::KILL);
    // They are dead; this takes note of it.
    lab.hosts.iter_mut().for_each(|host| host.kill_agent().expect("reaped"));
    pids
}

/// Panics unless every host is healthy soon.
pub(crate) fn assert_healthy(lab: &Lab) {
    for host in &lab.hosts {
        wait_for(&format!("{} healthy", host.name), HEALTHY, || {
            host.status().is_ok_and(|status| status["state"] == "healthy")
        });
    }
}

/// Sleeps for less than `limit`.
pub(crate) fn sleep_below(random: &mut Random, limit: Duration) {
    let micros = u64::try_from(limit.as_micros()).expect("a short time");
    thread::sleep(Duration::from_micros(random.below(micros)));
}
