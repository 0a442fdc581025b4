//! cluster.toml changes while agents run.

use std::time::Duration;

use overlay_tests::{Host, Lab, output_within};
use serde_json::Value;

use crate::support::{
    BLUE, addresses, assert_connected, container, dump, endpoint, hosts, links, pair, start, v4, wait_for,
};

/// How long an edit may take to be noticed.
const LIMIT: Duration = Duration::from_secs(2);

/// The exit code and the JSON of `overlay status`.
fn status(host: &Host) -> (Option<i32>, Value) {
    let output =
        output_within(host.overlay().args(["status", "-o", "json"]), Duration::from_secs(5)).expect("ran");
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn wait_source(lab: &Lab, ok: bool) {
    for host in &lab.hosts {
        wait_for("the edit noticed", LIMIT, || status(host).1["source"]["ok"] == ok);
    }
}

#[test]
fn a_broken_edit_keeps_the_last_good_state_and_is_named() {
    let lab = pair("broken");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let good = lab.cluster.to_toml();
    let edits = [
        (format!("{good}[[endpoint]\n"), good.lines().count() + 1, None, "TOML"),
        (good.replacen("vni = 42", "vni = 0", 1), line_of(&good, "vni = 42"), Some(7), "network.vni"),
        (
            good.replacen("subnets", "subnet", 1),
            line_of(&good, "subnets"),
            Some(1),
            "did you mean \"subnets\"?",
        ),
    ];
    let host = &lab.hosts[0];
    for (text, line, column, words) in edits {
        lab.write_cluster_text(&text).expect("written");
        wait_source(&lab, false);
        let (code, status) = status(host);
        let source = &status["source"];
        assert_eq!(
            (code, &status["state"], &source["line"]),
            (Some(1), &"degraded".into(), &line.into()),
            "{status}"
        );
        assert!(column.is_none_or(|column| source["column"] == column), "{status}");
        assert!(source["column"].as_u64().is_some_and(|column| column > 0), "{status}");
        assert!(source["error"].as_str().is_some_and(|error| error.contains(words)), "{status}");
        assert_eq!(status["problems"][0]["code"], "source_failed");
        assert_connected(a, b);
        lab.write_cluster().expect("mended");
        wait_source(&lab, true);
    }
    std::fs::remove_file(lab.cluster_file()).expect("removed");
    wait_source(&lab, false);
    assert_connected(a, b);
    lab.write_cluster().expect("back");
    wait_source(&lab, true);
    assert_eq!(status(host).0, Some(0));
}

/// The number of the first line that has `text`.
fn line_of(file: &str, text: &str) -> usize {
    1 + file.lines().position(|line| line.contains(text)).expect("it is there")
}

#[test]
fn an_agent_that_starts_on_a_broken_file_says_so_and_heals() {
    let mut lab = hosts("badstart", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.write_cluster_text("[[node]]\nname = 7\n").expect("written");
    lab.start_agents().expect("agents");
    let (code, status) = status(&lab.hosts[0]);
    let source = &status["source"];
    assert_eq!((code, &source["line"], &source["column"]), (Some(1), &2.into(), &8.into()), "{status}");
    lab.write_cluster().expect("mended");
    wait_source(&lab, true);
    lab.bind_all().expect("bound");
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn an_endpoint_moves_by_an_edit() {
    let mut lab = hosts("moves", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(0, BLUE, "m", &addresses(3)).expect("m");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    start(&mut lab);
    assert_connected(container(&lab, "a"), container(&lab, "m"));
    lab.cluster.endpoints[1].node = "h2".to_owned();
    lab.write_cluster().expect("written");
    wait_for("its interface removed", LIMIT, || !links(&container(&lab, "m").netns).contains_key("eth0"));
    wait_for("its new node known", LIMIT, || endpoint(&lab.hosts[1], "m")["state"] == "unbound");
    lab.containers[1].host = 1;
    lab.bind(&lab.containers[1]).expect("bound on its new host");
    let remote = |row: &&Value| row["to"] == "remote" && row["vtep"] == "10.88.0.2";
    assert_eq!(dump(&lab.hosts[0], "fdb").iter().filter(remote).count(), 2);
    for other in ["a", "b"] {
        assert_connected(container(&lab, other), container(&lab, "m"));
    }
}

#[test]
fn an_endpoint_removed_from_the_file_loses_its_interface() {
    let mut lab = pair("removed");
    let removed = lab.cluster.endpoints.remove(0);
    lab.write_cluster().expect("written");
    wait_for("its interface removed", LIMIT, || !links(&container(&lab, "a").netns).contains_key("eth0"));
    let listed = lab.hosts[0].ask(&["endpoint", "list"]).expect("endpoints");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    wait_for("forgotten on the other host", LIMIT, || {
        dump(&lab.hosts[1], "neigh").iter().all(|row| row["ip"] != v4(1).to_string())
    });
    let state = lab.hosts[0].status().expect("an answer")["state"].clone();
    assert_eq!(state, "healthy");
    lab.cluster.endpoints.insert(0, removed);
    lab.write_cluster().expect("written");
    wait_for("declared again", LIMIT, || {
        lab.hosts[0]
            .ask(&["endpoint", "list"])
            .is_ok_and(|list| list.as_array().is_some_and(|list| list.len() == 2))
    });
    lab.bind(container(&lab, "a")).expect("bound again");
    wait_for("known on the other host", LIMIT, || container(&lab, "b").netns.ping(v4(1).into()));
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn an_emptied_file_removes_nothing() {
    let lab = pair("emptied");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for text in ["", "# nothing left\n"] {
        lab.write_cluster_text(text).expect("written");
        wait_source(&lab, false);
        assert_eq!(status(&lab.hosts[0]).0, Some(1), "degraded");
        assert_connected(a, b);
        lab.write_cluster().expect("back");
        wait_source(&lab, true);
        assert_connected(a, b);
    }
}
