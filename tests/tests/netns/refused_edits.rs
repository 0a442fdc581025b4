//! Bad input in cluster.toml: line, column, field and remedy in `overlay status`, and the last good state stays.

use std::time::Duration;

use crate::support::{assert_connected, container, pair, wait_for};

/// Blocks of a cluster file, the line in the block that is wrong, and what is said about it.
const EDITS: &[(&str, usize, &[&str])] = &[
    (
        "[[network]]\nname = \"new\"\nvni = 0\nsubnets = [\"10.5.0.0/24\"]\n",
        3,
        &["network.vni", "1..16777215"],
    ),
    (
        "[[network]]\nname = \"new\"\nvni = 16777216\nsubnets = [\"10.5.0.0/24\"]\n",
        3,
        &["network.vni", "1..16777215"],
    ),
    (
        "[[network]]\nname = \"new\"\nvni = 42\nsubnets = [\"10.5.0.0/24\"]\n",
        3,
        &["network.vni", "42 is already taken"],
    ),
    (
        "[[network]]\nname = \"blue\"\nvni = 50\nsubnets = [\"10.5.0.0/24\"]\n",
        2,
        &["network.name", "already taken"],
    ),
    (
        "[[network]]\nname = \"new\"\nvni = 50\nsubnet = [\"10.5.0.0/24\"]\n",
        4,
        &["\"subnet\"", "did you mean \"subnets\"?"],
    ),
    (
        "[[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\nips = [\"10.1.0.2\"]\n",
        4,
        &["endpoint.ips", "10.1.0.2 is already taken"],
    ),
    (
        "[[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\nips = [\"10.2.0.9\"]\n",
        4,
        &["endpoint.ips", "10.2.0.9", "10.1.0.0/24"],
    ),
    (
        "[[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\nips = [\"10.1.0.9\"]\nmac = \"02:42:0a:01:00:01\"\n",
        5,
        &["endpoint.mac", "already taken"],
    ),
    (
        "[[endpoint]]\nnetwork = \"bleu\"\nnode = \"h1\"\nips = [\"10.1.0.9\"]\n",
        2,
        &["endpoint.network", "did you mean \"blue\"?"],
    ),
    (
        "[[endpoint]]\nnetwork = \"blue\"\nnode = \"h9\"\nips = [\"10.1.0.9\"]\n",
        3,
        &["endpoint.node", "\"h9\""],
    ),
    ("[[node]]\nname = \"h9\"\nvtep = \"10.88.0.1\"\n", 3, &["node.vtep", "10.88.0.1 is already taken"]),
];

#[test]
fn every_bad_edit_is_named_and_changes_nothing() {
    let lab = pair("edits");
    let host = &lab.hosts[0];
    let good = lab.cluster.to_toml();
    for (block, line, words) in EDITS {
        lab.write_cluster_text(&(good.clone() + block)).expect("written");
        let line = good.lines().count() + line;
        let source = || host.status().expect("an answer")["source"].clone();
        // The one before may still be there: each has a line or text of its own.
        let named = || {
            let source = source();
            let error = source["error"].as_str().unwrap_or_default().to_owned();
            source["line"] == line
                && source["column"].as_u64() > Some(0)
                && words.iter().all(|word| error.contains(word))
        };
        let start = std::time::Instant::now();
        while !named() {
            assert!(
                start.elapsed() < Duration::from_secs(2),
                "line {line} with {words:?} wanted for\n{block}got {}",
                source()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = host.status().expect("an answer");
        assert_eq!(
            (&status["state"], &status["counts"]["networks"]),
            (&"degraded".into(), &2.into()),
            "{status}"
        );
    }
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    lab.write_cluster().expect("mended");
    wait_for("health", Duration::from_secs(2), || host.status().expect("an answer")["state"] == "healthy");
}
