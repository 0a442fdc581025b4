//! Agents come and go; the data path stays.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use overlay_tests::{Container, Host, output_within, run};
use serde_json::Value;

use crate::support::{assert_connected, container, endpoint, links, pair, programs, v4};

/// Echo requests at an interval of 5 ms: long enough for an agent to end and another to start.
const PINGS: &str = "4000";

/// Pings at an interval of 5 ms in the background.
pub(crate) fn pinging(from: &Container) -> Child {
    let target = v4(2).to_string();
    let mut ping = from.netns.command("ping");
    ping.args(["-n", "-q", "-i", "0.001", "-c", PINGS, "-W", "1", &target]);
    ping.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("ping")
}

/// Panics unless every request of `ping` was answered, once.
pub(crate) fn assert_none_lost(ping: Child, what: &str) {
    let output = ping.wait_with_output().expect("ended");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("{PINGS} packets transmitted, {PINGS} received, 0% packet loss");
    assert!(text.contains(&expected), "{what}: {text}");
}

/// The kernel's numbers of the links that hold the programs to their devices; none where filters do (before Linux 6.6).
fn link_ids(host: &Host) -> BTreeSet<u64> {
    let pins = fs::read_dir(host.pin_dir.join("links")).expect("pins");
    let id = |pin: PathBuf| {
        let text =
            run(Command::new("bpftool").args(["-j", "link", "show", "pinned"]).arg(pin)).expect("bpftool");
        let link: Value = serde_json::from_str(&text).expect("JSON");
        link["id"].as_u64().expect("a number")
    };
    let pins = pins.map(|pin| pin.expect("an entry").path());
    pins.filter(|pin| !pin.is_symlink()).map(id).collect()
}

#[test]
fn no_packet_is_lost_while_agents_end_crash_and_start() {
    let mut lab = pair("restart");
    let before = link_ids(&lab.hosts[0]);
    let programs = programs(&lab.hosts[0]);
    assert_eq!(programs.len(), 5);
    let links = programs.iter().filter(|(.., hook)| hook.starts_with("tcx")).count();
    assert_eq!(before.len(), links);
    for crash in [false, true] {
        let what = if crash { "kill -9" } else { "SIGTERM" };
        let ping = pinging(container(&lab, "a"));
        let host = &mut lab.hosts[0];
        let ended = if crash { host.kill_agent() } else { host.stop_agent() };
        ended.expect("ended");
        host.start_agent().expect("started");
        assert_eq!(endpoint(host, "a")["state"], "ready", "{what}");
        assert_eq!(link_ids(host), before, "{what}: the links are adopted");
        assert_eq!(self::programs(host), programs, "{what}: the programs are adopted");
        assert_none_lost(ping, what);
        let status = host.status().expect("an answer");
        assert_eq!(
            (&status["state"], &status["audit"]["repaired"]),
            (&"healthy".into(), &0.into()),
            "{what}: {status}"
        );
    }
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn sigterm_ends_the_agent_with_success_and_the_socket_goes() {
    let mut lab = pair("sigterm");
    let socket = lab.hosts[0].dir.join("run/overlay.sock");
    assert!(socket.exists());
    lab.hosts[0].stop_agent().expect("stopped");
    assert!(!socket.exists());
    assert!(lab.hosts[0].log().contains("stopped"), "it ended by itself, not by force");
    let output = output_within(lab.hosts[0].overlay().arg("status"), Duration::from_secs(5)).expect("ran");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn uninstall_leaves_nothing_and_may_be_repeated() {
    let mut lab = pair("uninst");
    let uninstall =
        |host: &Host| output_within(host.overlay().arg("uninstall"), Duration::from_secs(10)).expect("ran");
    let refused = uninstall(&lab.hosts[0]);
    assert_eq!(refused.status.code(), Some(1), "an agent is running");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it first"));
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    lab.hosts[0].stop_agent().expect("stopped");
    for time in ["first", "second"] {
        let output = uninstall(&lab.hosts[0]);
        assert!(output.status.success(), "{time}: {}", String::from_utf8_lossy(&output.stderr));
        let host = &lab.hosts[0];
        assert!(!host.pin_dir.exists(), "{time}: pins");
        assert!(!host.dir.join("state").exists() && !host.dir.join("run").exists(), "{time}: files");
        let devices: Vec<String> = links(&host.netns).into_keys().collect();
        assert_eq!(devices, ["eth0", "lo"], "{time}");
        assert!(!links(&container(&lab, "a").netns).contains_key("eth0"), "{time}: the container's end");
        let neighbours: Value =
            serde_json::from_str(&host.netns.ip("-j neigh show").expect("listed")).expect("JSON");
        // The key has no value.
        let managed =
            neighbours.as_array().expect("a list").iter().filter(|entry| entry.get("managed").is_some());
        assert_eq!(managed.count(), 0, "{time}: {neighbours}");
    }
    lab.hosts[0].start_agent().expect("started again");
    lab.bind(container(&lab, "a")).expect("bound again");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}
