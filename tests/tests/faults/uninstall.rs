//! `overlay uninstall` leaves a host as it was before the first agent.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use overlay_tests::output_within;

use crate::{
    agents::{kill_all, status_code},
    figures::Row,
    snapshot::{Snapshot, alive, objects},
    support::{BLUE, addresses, assert_connected, container, hosts, start, wait_for},
};

/// The kernel frees maps and programs only after a while.
const FREED: Duration = Duration::from_secs(5);

#[test]
fn uninstall_leaves_a_host_as_it_was() {
    let mut lab = hosts("leaves", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    lab.write_cluster().expect("written");
    // The neighbour is known from before, so that it may stay.
    assert!(lab.hosts[0].netns.ping(lab.hosts[1].vtep), "the control: the underlay works");
    let settled = || !lab.hosts[0].netns.ip("address show").expect("listed").contains("tentative");
    wait_for("the underlay's own addresses", Duration::from_secs(5), settled);
    let before = Snapshot::of(&lab);
    start(&mut lab);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    // What a crash leaves must go too, and what was set aside.
    kill_all(&mut lab);
    fs::write(lab.hosts[0].dir.join("state/bindings.json"), "{").expect("written");
    lab.start_agents().expect("started again");
    let running = before.diff(&Snapshot::of(&lab));
    let objects = objects(&lab);
    assert!(alive(&objects).len() == objects.len() && objects.len() > 20, "the control: {objects:?}");
    for what in ["link", "neighbour", "sysctl", "file", "link in the container"] {
        let new = format!("+ {what}: ");
        assert!(
            running.iter().any(|line| line.starts_with(&new)),
            "the control: no new {what} in {running:#?}"
        );
    }
    for host in &mut lab.hosts {
        host.stop_agent().expect("stopped");
        let output = output_within(host.overlay().arg("uninstall"), Duration::from_secs(10)).expect("ran");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(status_code(host), Some(2));
    }
    let mut left = Vec::new();
    let start = Instant::now();
    while start.elapsed() < FREED {
        left = before.diff(&Snapshot::of(&lab));
        left.extend(alive(&objects));
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    let note = format!(
        "{} lines and {} BPF objects; {} lines differed with the agents, {} after",
        before.len(),
        objects.len(),
        running.len(),
        left.len()
    );
    Row::new("uninstall", 1).note(&note).add();
    assert!(left.is_empty(), "not as before:\n{}", left.join("\n"));
    lab.start_agents().expect("started again");
    lab.bind_all().expect("bound again");
    wait_for("traffic", Duration::from_secs(5), || {
        container(&lab, "a").netns.ping(container(&lab, "b").ips[0])
    });
}
