//! Devices and neighbours that another alters are put right, and counted with what they were.

use std::{
    collections::BTreeMap,
    fs, thread,
    time::{Duration, Instant},
};

use overlay_tests::{Host, Lab, Netns};

use crate::{
    agents::assert_healthy,
    audit::{assert_counted, audit},
    figures::Row,
    repair::SMALL,
    support::{BLUE, addresses, assert_connected, container, endpoint, hosts, start, wait_for},
};

/// What is altered at the host's end of a veth, by the path of the setting below /proc/sys/net.
const SETTINGS: [(&str, &str); 6] = [
    ("ipv4/conf/DEV/arp_ignore", "0"),
    ("ipv4/conf/DEV/forwarding", "1"),
    ("ipv4/conf/DEV/rp_filter", "0"),
    ("ipv4/conf/DEV/accept_local", "1"),
    ("ipv4/conf/DEV/drop_unicast_in_l2_multicast", "0"),
    ("ipv6/conf/DEV/disable_ipv6", "0"),
];

/// What `ip` alters at the host's end of a veth.
const LINK: [(&str, &str); 5] = [
    ("MAC address", "address 02:00:00:00:00:66"),
    ("MTU", "mtu 1400"),
    ("down", "down"),
    ("ARP on", "arp on"),
    ("headroom", "nomaster"),
];

/// Two hosts; the first has a container for each alteration, so that each meets a veth of its own.
fn many(name: &str) -> Lab {
    let mut lab = hosts(name, 2);
    for number in 1..=u8::try_from(SETTINGS.len() + LINK.len()).expect("few") {
        lab.declare_container(0, BLUE, &format!("a{number}"), &addresses(number)).expect("declared");
    }
    lab.declare_container(1, BLUE, "b", &addresses(100)).expect("b");
    start(&mut lab);
    lab
}

/// The name of a container's veth on its host.
fn veth(host: &Host, name: &str) -> String {
    endpoint(host, name)["host_ifname"].as_str().expect("bound").to_owned()
}

fn setting(netns: &Netns, path: &str) -> String {
    let path = format!("/proc/sys/net/{path}");
    netns.enter(|| fs::read_to_string(&path).unwrap_or_default().trim().to_owned()).expect("entered")
}

/// What each veth has.
type Veths = BTreeMap<String, Vec<String>>;

/// MAC address, MTU, flags and settings of every veth of a host.
fn veths(host: &Host) -> Veths {
    let links = crate::support::veths(&host.netns).into_iter();
    links
        .map(|(name, link)| {
            let mut has: Vec<String> = ["address", "mtu", "flags", "master"]
                .iter()
                .map(|key| format!("{key} {}", link[*key]))
                .collect();
            has.extend(SETTINGS.iter().map(|(path, _)| {
                let path = path.replace("DEV", &name);
                format!("{path} {}", setting(&host.netns, &path))
            }));
            (name, has)
        })
        .collect()
}

/// What veths have not any more of what they had.
fn differing(before: &Veths, now: &Veths) -> Vec<String> {
    let all = before.iter().flat_map(|(name, had)| had.iter().map(move |item| (name, item)));
    let gone = all.filter(|(name, item)| !now.get(*name).is_some_and(|has| has.contains(item)));
    gone.map(|(name, item)| format!("{name}: {item}")).collect()
}

#[test]
fn an_altered_veth_is_put_right_and_counted() {
    let lab = many("veths");
    let host = &lab.hosts[0];
    let (before, counted) = (veths(host), audit(host));
    for (number, (_, how)) in LINK.iter().enumerate() {
        let veth = veth(host, &format!("a{}", number + 1));
        host.netns.ip(&format!("link set {veth} {how}")).expect("set");
    }
    for (number, (path, value)) in SETTINGS.iter().enumerate() {
        let veth = veth(host, &format!("a{}", LINK.len() + number + 1));
        host.netns.sysctl(&format!("net/{}", path.replace("DEV", &veth)), value).expect("set");
    }
    let (count, start) = (LINK.len() + SETTINGS.len(), Instant::now());
    let mut left = differing(&before, &veths(host));
    while !left.is_empty() && start.elapsed() < SMALL {
        thread::sleep(Duration::from_millis(50));
        left = differing(&before, &veths(host));
    }
    let note = format!("{} settings differ after {:.1} s", left.len(), start.elapsed().as_secs_f64());
    Row::new("a veth altered", count).note(&note).add();
    assert!(left.is_empty(), "not put right: {left:#?}");
    assert_counted(host, &counted, &[("veth", count as u64)]);
    assert_healthy(&lab);
    for number in 1..=count {
        assert_connected(container(&lab, &format!("a{number}")), container(&lab, "b"));
    }
}

/// The managed neighbours of a host, by their addresses.
fn managed(host: &Host) -> Vec<String> {
    let text = host.netns.ip("-j neigh show").expect("listed");
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    // The key has no value.
    let managed = all.iter().filter(|entry| entry.get("managed").is_some());
    managed.map(|entry| entry["dst"].as_str().expect("an address").to_owned()).collect()
}

#[test]
fn a_deleted_neighbour_is_managed_again_and_counted() {
    let lab = crate::support::pair("neigh");
    let host = &lab.hosts[0];
    let before = audit(host);
    assert_eq!(managed(host), ["10.88.0.2"], "the control");
    host.netns.ip("neigh del 10.88.0.2 dev eth0").expect("deleted");
    let time = wait_for("the neighbour", SMALL, || managed(host) == ["10.88.0.2"]);
    let note = format!("repaired in {:.1} s", time.as_secs_f64());
    Row::new("the managed neighbour deleted", 1).note(&note).add();
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    assert_counted(host, &before, &[("neighbour", 1)]);
    assert_healthy(&lab);
}
