//! Containers that go without a word, and a VTEP address that changes. The rest of what the underlay may do is in
//! the tier netns, in `follow` and `lifecycle`.

use std::{net::IpAddr, process::Command, thread, time::Duration};

use overlay_tests::{Load, run};

use crate::{
    figures::Row,
    support::{
        BLUE, addresses, assert_connected, container, dump, endpoint, hosts, pair, start, veths, wait_for,
    },
};

/// How long the agent may take to follow.
const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn a_veth_deleted_in_the_container_is_noticed_and_nobody_else_is_disturbed() {
    let mut lab = hosts("inside", 2);
    for (host, name, number) in [(0, "a", 1), (1, "b", 2), (0, "c", 3), (0, "d", 4)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    let host = &lab.hosts[0];
    let load = Load::start(&lab, "a", "b").expect("a load");
    let count = || veths(&host.netns).len();
    assert_eq!(count(), 3, "the control");
    container(&lab, "c").netns.ip("link del eth0").expect("deleted");
    let gone = |name: &str| endpoint(host, name)["state"] == "unbound";
    let inside = wait_for("c unbound", LIMIT, || gone("c"));
    // The namespace itself, while its veth is in it.
    let name = container(&lab, "d").netns.name().to_owned();
    run(Command::new("ip").args(["netns", "del", &name])).expect("deleted");
    let outside = wait_for("d unbound", LIMIT, || gone("d"));
    assert_eq!((dump(host, "ports").len(), count()), (1, 1));
    thread::sleep(Duration::from_millis(500));
    let report = load.stop().expect("counted");
    let note = format!(
        "noticed in {:.2} s (veth deleted inside) and {:.2} s (namespace deleted)",
        inside.as_secs_f64(),
        outside.as_secs_f64()
    );
    Row::new("containers gone without delete", 2).load(&report).note(&note).add();
    report.assert_clean();
    // Its name for the lab's own end, and the endpoint for another container.
    run(Command::new("ip").args(["netns", "add", &name])).expect("made again");
    for name in ["c", "d"] {
        lab.bind(container(&lab, name)).expect("bound again");
        assert_connected(container(&lab, name), container(&lab, "b"));
    }
}

#[test]
fn another_vtep_address_is_followed() {
    let mut lab = pair("readdress");
    let new: IpAddr = "10.88.0.11".parse().expect("an address");
    let host = &lab.hosts[0];
    host.netns.ip("addr del 10.88.0.1/24 dev eth0").expect("removed");
    host.netns.ip(&format!("addr add {new}/24 dev eth0")).expect("added");
    lab.cluster.nodes[0].vteps = vec![new];
    lab.write_cluster().expect("written");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let vteps = || dump(&lab.hosts[1], "vteps").iter().map(|row| row["vtep"].clone()).collect::<Vec<_>>();
    let time = wait_for("the new address, the old one gone", LIMIT, || {
        vteps() == [new.to_string()] && a.netns.ping(b.ips[0]) && b.netns.ping(a.ips[0])
    });
    for host in &lab.hosts {
        wait_for("health", LIMIT, || host.status().expect("an answer")["state"] == "healthy");
    }
    assert_connected(a, b);
    let note = format!("followed in {:.2} s", time.as_secs_f64());
    Row::new("another VTEP address", 1).note(&note).add();
}
