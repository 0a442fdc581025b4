//! All that a host has of what an agent could leave behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use overlay_tests::{Host, Lab, Netns, run};
use serde_json::Value;

/// Lines, by what they are of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<&'static str, BTreeSet<String>>);

impl Snapshot {
    /// Looks at the first host of a lab and its first container.
    pub(crate) fn of(lab: &Lab) -> Self {
        let (host, container) = (&lab.hosts[0], &lab.containers[0]);
        let mut all = BTreeMap::new();
        all.insert("link", json(&host.netns, "-d -j link show"));
        all.insert("address", json(&host.netns, "-j address show"));
        all.insert("route", json(&host.netns, "-j route show table all"));
        all.insert("route6", json(&host.netns, "-j -6 route show table all"));
        all.insert("rule", json(&host.netns, "-j rule show"));
        all.insert("rule6", json(&host.netns, "-j -6 rule show"));
        all.insert("neighbour", neighbours(&host.netns));
        all.insert("qdisc", tc(&host.netns));
        all.insert("sysctl", sysctls(&host.netns));
        all.insert("attached", attached(&host.netns));
        all.insert("link in the container", json(&container.netns, "-d -j link show"));
        all.insert("address in the container", json(&container.netns, "-j address show"));
        all.insert("file", files(host));
        Self(all)
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// What is in one and not in the other: `-` for what is gone, `+` for what is new.
    pub(crate) fn diff(&self, after: &Self) -> Vec<String> {
        let mut diff = Vec::new();
        for (what, before) in &self.0 {
            let after = &after.0[what];
            diff.extend(before.difference(after).map(|line| format!("- {what}: {line}")));
            diff.extend(after.difference(before).map(|line| format!("+ {what}: {line}")));
        }
        diff
    }
}

/// The items of a list that `ip` prints, without what changes by itself.
fn json(netns: &Netns, args: &str) -> BTreeSet<String> {
    items(&netns.ip(args).expect("listed"))
}

fn items(text: &str) -> BTreeSet<String> {
    let list: Vec<Value> = serde_json::from_str(text).expect("JSON");
    let item = |mut item: Value| {
        if let Some(item) = item.as_object_mut() {
            // Lifetimes count down.
            for key in ["expires", "age", "used"] {
                item.remove(key);
            }
        }
        item.to_string()
    };
    list.into_iter().map(item).collect()
}

/// The neighbours that somebody set. Those that the kernel learned come and go with the traffic.
fn neighbours(netns: &Netns) -> BTreeSet<String> {
    let text = netns.ip("-d -j neigh show").expect("listed");
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let set = |entry: &&Value| {
        let flags = ["managed", "extern_learn", "proxy", "router", "protocol"];
        flags.iter().any(|key| entry.get(key).is_some())
            || entry["state"]
                .as_array()
                .is_some_and(|states| states.iter().any(|state| state == "PERMANENT" || state == "NOARP"))
    };
    let text = |entry: &Value| format!("{} on {}: {entry}", entry["dst"], entry["dev"]);
    list.iter().filter(set).map(text).collect()
}

fn tc(netns: &Netns) -> BTreeSet<String> {
    items(&run(Command::new("tc").args(["-n", netns.name(), "-j", "qdisc", "show"])).expect("listed"))
}

/// What is attached to the devices of a namespace.
fn attached(netns: &Netns) -> BTreeSet<String> {
    let text = netns.run(&["bpftool", "-j", "net", "show"]).expect("listed");
    let nets: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let hooks = nets.iter().filter_map(Value::as_object).flatten();
    hooks
        .flat_map(|(hook, programs)| {
            let programs = programs.as_array().cloned().unwrap_or_default();
            programs.into_iter().map(move |program| format!("{hook} {program}"))
        })
        .collect()
}

/// Every setting of IPv4 and IPv6 in a namespace.
fn sysctls(netns: &Netns) -> BTreeSet<String> {
    let read = || {
        let mut settings = BTreeSet::new();
        for family in ["ipv4", "ipv6"] {
            for path in below(&Path::new("/proc/sys/net").join(family)) {
                // Some cannot be read before they are written.
                if let Ok(value) = fs::read_to_string(&path) {
                    settings.insert(format!("{} = {}", path.display(), value.trim()));
                }
            }
        }
        settings
    };
    netns.enter(read).expect("entered")
}

/// BPF objects, by their kind and number.
pub(crate) type Objects = BTreeSet<(&'static str, u64)>;

/// The BPF objects of a lab: what is pinned, and the maps that the programs use besides.
pub(crate) fn objects(lab: &Lab) -> Objects {
    let mut objects = Objects::new();
    for host in &lab.hosts {
        for (dir, kind) in [("progs", "prog"), ("maps", "map"), ("links", "link")] {
            for pin in below(&host.pin_dir.join(dir)) {
                let text = run(Command::new("bpftool").args(["-j", kind, "show", "pinned"]).arg(pin));
                let object: Value = serde_json::from_str(&text.expect("bpftool")).expect("JSON");
                objects.extend(object["id"].as_u64().map(|id| (kind, id)));
                let maps = object["map_ids"].as_array().into_iter().flatten();
                objects.extend(maps.filter_map(Value::as_u64).map(|id| ("map", id)));
            }
        }
    }
    objects
}

/// Those of the objects that the kernel still has, whoever holds them.
pub(crate) fn alive(objects: &Objects) -> Vec<String> {
    let mut alive = Vec::new();
    for kind in ["prog", "map", "link"] {
        let text = run(Command::new("bpftool").args(["-j", kind, "show"])).expect("listed");
        let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let ours =
            list.iter().filter(|item| item["id"].as_u64().is_some_and(|id| objects.contains(&(kind, id))));
        alive.extend(ours.map(|item| format!("+ {kind}: {item}")));
    }
    alive
}

/// The files of a host and its pins, but for the agent's log.
fn files(host: &Host) -> BTreeSet<String> {
    let mut files: BTreeSet<PathBuf> = below(&host.dir).into_iter().collect();
    files.extend(below(host.pin_dir.parent().expect("a directory")));
    files.extend(
        [PathBuf::from("/etc/overlay"), PathBuf::from("/var/lib/overlay"), PathBuf::from("/run/overlay")]
            .into_iter()
            .filter(|path| path.exists()),
    );
    let text = |path: &PathBuf| {
        let content =
            if path.starts_with(&host.dir) { fs::read(path).unwrap_or_default() } else { Vec::new() };
        format!("{} {}", path.display(), String::from_utf8_lossy(&content))
    };
    files.iter().filter(|path| **path != host.log_file()).map(text).collect()
}

/// Everything below a directory.
pub(crate) fn below(dir: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.extend(below(&path));
        }
        paths.push(path);
    }
    paths
}
