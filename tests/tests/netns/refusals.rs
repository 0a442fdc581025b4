//! Bad input on the command line: one line that says what and how, an exit code, and nothing half-made.

use std::{collections::BTreeMap, time::Duration};

use overlay_tests::{Host, Lab, output_within, run};
use serde_json::Value;

use crate::support::{BLUE, addresses, container, hosts, links, start};

/// Done otherwise, but refused.
const REFUSED: i32 = 1;
/// `EX_USAGE`
const USAGE: i32 = 64;

/// What a command says: exit code and standard error.
pub(crate) fn said(host: &Host, args: &[&str]) -> (Option<i32>, String) {
    let output = output_within(host.overlay().args(args), Duration::from_secs(10)).expect("ran");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `a` (1) bound and `spare` (3) not, on the first host; `b` (2) on the second, bound.
fn lab(name: &str) -> Lab {
    let mut lab = hosts(name, 2);
    for (name, number, host) in [("a", 1, 0), ("b", 2, 1), ("spare", 3, 0)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    lab.hosts[0].ask(&["endpoint", "delete", "spare"]).expect("unbound");
    lab
}

/// Devices of the host and of the containers, and the endpoints.
fn everything(lab: &Lab) -> (Vec<BTreeMap<String, Value>>, Value) {
    let namespaces = lab.containers.iter().map(|container| &container.netns);
    let devices = namespaces.chain([&lab.hosts[0].netns]).map(|netns| {
        let links = links(netns).into_iter();
        links.map(|(name, link)| (name, link["address"].clone())).collect()
    });
    (devices.collect(), lab.hosts[0].ask(&["endpoint", "list"]).expect("endpoints"))
}

/// Commands, with `NS` for the namespace of `spare`; their exit code, and what the line says.
const CASES: &[(&str, i32, &[&str])] = &[
    ("endpoint add --network blu --netns NS", REFUSED, &["\"blu\"", "did you mean \"blue\"?"]),
    ("endpoint add --network zzzzzz --netns NS", REFUSED, &["the networks are blue, red"]),
    ("endpoint add --network blue --netns NS --ip 10.2.0.9", REFUSED, &["--ip: 10.2.0.9", "10.1.0.0/24"]),
    ("endpoint add --network blue --netns NS --ip 10.1.0.3/16", REFUSED, &["--ip: ", "write 10.1.0.3/24"]),
    ("endpoint add --network blue --netns NS --ip 10.1.0.0", REFUSED, &["--ip: 10.1.0.0"]),
    (
        "endpoint add --network blue --netns /run/netns/ovt-none --name spare",
        REFUSED,
        &["/run/netns/ovt-none", "ip netns add"],
    ),
    (
        "endpoint add --network blue --netns /etc/passwd --name spare",
        REFUSED,
        &["\"/etc/passwd\" is not a network namespace"],
    ),
    (
        "endpoint add --network blue --netns NS --name spare --ifname taken",
        REFUSED,
        &["\"taken\" is taken", "--ifname"],
    ),
    (
        "endpoint add --network blue --netns NS --name spare --ifname a/b",
        REFUSED,
        &["\"a/b\" is no interface name"],
    ),
    (
        "endpoint add --network blue --netns NS --name spare --ifname 0123456789abcdef",
        REFUSED,
        &["no interface name"],
    ),
    ("endpoint add --network blue --netns NS --name a", REFUSED, &["is bound to", "overlay endpoint delete"]),
    ("endpoint add --network blue --netns NS --name b", REFUSED, &["\"b\"", "node \"h2\""]),
    ("endpoint add --network blue --netns NS --ip 10.1.0.2", REFUSED, &["10.1.0.2", "node \"h2\""]),
    (
        "endpoint add --network blue --netns NS --name spare --ip 10.1.0.1",
        REFUSED,
        &["do not belong to one endpoint"],
    ),
    ("endpoint add --network blue --netns NS", REFUSED, &["several endpoints", "--ip or --name"]),
    ("endpoint add --network blue --netns NS --name spare --mac 02:00:00:00:00:09", REFUSED, &["--mac: "]),
    ("endpoint add --network blue --netns NS --mac 02:00", USAGE, &["--mac"]),
    ("endpoint add --network blue --netns NS --ip 10.1.0", USAGE, &["--ip", "10.1.0.1/24"]),
    ("endpoint add --network blue", USAGE, &["--netns"]),
    ("endpoint add --network blue --netns NS --nam spare", USAGE, &["'--nam'", "'--name'"]),
    ("endpoint delete none", REFUSED, &["\"none\"", "overlay endpoint list"]),
    ("endpoint delete spare", REFUSED, &["no container is bound"]),
    ("endpoint show none", REFUSED, &["\"none\""]),
    ("network show none", REFUSED, &["\"none\"", "overlay network list"]),
    ("network delete none", REFUSED, &["\"none\""]),
    ("network delete blue", REFUSED, &["read-only", "remove it"]),
    ("network create new --vni 50", REFUSED, &["--subnet: a network needs a subnet", "10.1.0.0/24"]),
    (
        "network create new --vni 42 --subnet 10.9.0.0/24",
        REFUSED,
        &["--vni: VNI 42 belongs to network \"blue\""],
    ),
    (
        "network create new --vni 50 --subnet 10.9.0.0/24 --gateway 10.8.0.1",
        REFUSED,
        &["10.8.0.1 lies outside the subnets", "10.9.0.0/24"],
    ),
    ("network create new --subnet 10.9.0.0/24 --gateway 10.9.0.1/24", USAGE, &["--gateway"]),
    ("network create new --vni 0", USAGE, &["--vni", "1..16777215"]),
    ("network create new --vni 16777216", USAGE, &["--vni", "1..16777215"]),
    ("network create new --subnet 10.9.0.1/24", USAGE, &["--subnet", "use 10.9.0.0/24"]),
    ("network create new --mtu 10", USAGE, &["--mtu"]),
    ("dump none", USAGE, &["fdb, neigh, vteps, ports, flood"]),
    ("stauts", USAGE, &["'status'"]),
    ("status -o xml", USAGE, &["table, json"]),
    ("uninstall", REFUSED, &["stop it first"]),
    ("agent", REFUSED, &["already running", "--run-dir"]),
];

#[test]
fn each_refusal_is_one_line_that_names_the_remedy_and_changes_nothing() {
    let lab = lab("refused");
    let spare = container(&lab, "spare");
    let netns = spare.netns.path();
    let netns = netns.to_str().expect("UTF-8");
    spare.netns.ip("link add taken type veth peer name other").expect("a device");
    let before = everything(&lab);
    for (line, code, words) in CASES {
        let args: Vec<&str> = line.split(' ').map(|word| if word == "NS" { netns } else { word }).collect();
        let (exit, text) = said(&lab.hosts[0], &args);
        assert_eq!(exit, Some(*code), "overlay {line}: {text}");
        assert!(text.starts_with("overlay: ") && text.lines().count() == 1, "overlay {line}: {text}");
        for word in *words {
            assert!(text.contains(word), "overlay {line}: no {word:?} in: {text}");
        }
        assert_eq!(everything(&lab), before, "overlay {line} left something");
    }
}

/// The lines after the sentence of a refusal.
fn block(text: &str) -> String {
    let (sentence, block) = text.split_once("\n\n").expect("a sentence, then a block");
    assert_eq!(sentence.lines().count(), 1, "{text}");
    format!("{}\n", block.trim_end())
}

#[test]
fn the_block_of_a_refusal_makes_it_work_once_pasted() {
    let lab = lab("paste");
    let host = &lab.hosts[0];
    let spare = container(&lab, "spare").netns.path();
    let before = everything(&lab);
    let network = ["network", "create", "green", "--subnet", "10.7.0.0/24", "--vni", "77"];
    let (code, text) = said(host, &network);
    assert_eq!(code, Some(REFUSED));
    let mut file = lab.cluster.to_toml() + &block(&text);
    write(&lab, &file, "networks", 3);
    let add = ["endpoint", "add", "--network", "green", "--ip", "10.7.0.5", "--name", "web", "--netns"];
    let add = [&add[..], &[spare.to_str().expect("UTF-8")]].concat();
    let (code, text) = said(host, &add);
    assert_eq!((code, &everything(&lab)), (Some(REFUSED), &before), "{text}");
    file += &block(&text);
    write(&lab, &file, "endpoints", 4);
    run(host.overlay().args(&add)).expect("now it is declared");
    let shown = host.ask(&["endpoint", "show", "web"]).expect("shown");
    assert_eq!((&shown["state"], &shown["ips"][0]), (&"ready".into(), &"10.7.0.5".into()), "{shown}");
}

/// Writes the cluster's file, and waits until the first host counts so many of `what`.
fn write(lab: &Lab, text: &str, what: &str, count: u64) {
    lab.write_cluster_text(text).expect("written");
    crate::support::wait_for(what, Duration::from_secs(2), || {
        lab.hosts[0].status().expect("an answer")["counts"][what] == count
    });
}
