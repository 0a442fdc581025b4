//! A pin directory with what is not ours, or not as it should be: the agent starts or refuses in one line, and the
//! traffic goes on.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use aya::maps::{Array, Map, MapData};
use overlay_common::{ABI_VERSION, meta::Meta};
use overlay_tests::{Host, Lab, Load, Report, output_within, run};

use crate::{
    agents::{Programs, assert_healthy, host_programs, programs},
    figures::Row,
    support::{assert_connected, container, pair},
};

/// How long a start or a refusal may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What a start came to.
#[derive(Debug)]
enum Start {
    Runs,
    Refused(String),
}

impl Start {
    /// In a few words, for the table.
    fn told(&self) -> String {
        match self {
            Self::Runs => "runs".to_owned(),
            Self::Refused(text) => format!("refused: {text}"),
        }
    }
}

/// Starts the agent of the first host; panics unless it runs, or ends with 1 and one line with all the words.
fn start(lab: &mut Lab, words: &[&str]) -> Start {
    let host = &mut lab.hosts[0];
    let said = host.log().len();
    if host.start_agent().is_ok() {
        return Start::Runs;
    }
    host.kill_agent().expect("reaped");
    let log = host.log()[said..].to_owned();
    // Once more, for its exit code.
    let output = output_within(host.overlay().arg("agent"), LIMIT).expect("it ends");
    assert_eq!((output.status.code(), log.lines().count()), (Some(1), 1), "{log}");
    for word in words {
        assert!(log.contains(word), "no {word:?} in: {log}");
    }
    Start::Refused(log.trim().replace(&host.pin_dir.display().to_string(), "PINS"))
}

fn bpftool(words: &[&str], path: &Path) {
    run(Command::new("bpftool").args(words).arg(path)).expect("bpftool");
}

/// A path below the first host's pins.
fn pin(host: &Host, path: &str) -> PathBuf {
    host.pin_dir.join(path)
}

/// Everything below the first host's pins, relative to them.
fn pins(host: &Host) -> Vec<String> {
    let below = crate::snapshot::below(&host.pin_dir);
    below.iter().map(|path| path.strip_prefix(&host.pin_dir).expect("below").display().to_string()).collect()
}

/// A lab under load, its first agent stopped.
fn stopped(name: &str) -> (Lab, Load, Programs) {
    let mut lab = pair(name);
    let load = Load::start(&lab, "a", "b").expect("a load");
    let before = host_programs(&lab.hosts[0]);
    lab.hosts[0].stop_agent().expect("stopped");
    (lab, load, before)
}

fn told(fault: &str, starts: &[Start], load: Load) -> Report {
    thread::sleep(Duration::from_millis(300));
    let report = load.stop().expect("counted");
    let note = starts.iter().map(Start::told).collect::<Vec<_>>().join(", ");
    Row::new(fault, starts.len()).load(&report).note(&note).add();
    report
}

#[test]
fn what_is_not_ours_among_the_pins_is_no_matter() {
    let (mut lab, load, before) = stopped("foreign");
    let host = &lab.hosts[0];
    let id = before.values().next().expect("a program").to_string();
    for dir in ["unknown", "maps/unknown", "progs/unknown", "links/unknown@eth0"] {
        fs::create_dir(pin(host, dir)).expect("made");
    }
    for link in ["symlink", "maps/symlink", "links/from_container@symlink"] {
        symlink("/nowhere/at/all", pin(host, link)).expect("made");
    }
    let map = ["type", "hash", "key", "8", "value", "8", "entries", "4", "name", "foreign"];
    run(Command::new("bpftool").args(["map", "create"]).arg(pin(host, "maps/FOREIGN")).args(map))
        .expect("made");
    bpftool(&["prog", "pin", "id", &id], &pin(host, "links/foreign@eth0"));
    bpftool(&["prog", "pin", "id", &id], &pin(host, "links/foreign"));
    let starts = [start(&mut lab, &[])];
    let report = told("foreign names among the pins", &starts, load);
    report.assert_clean();
    assert!(matches!(starts, [Start::Runs]), "{starts:?}");
    assert_healthy(&lab);
    assert_eq!(host_programs(&lab.hosts[0]).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

/// Puts `made` in the place of a pin, starts the agent, takes it away again and starts once more. Whether it was
/// refused at first.
fn assert_survives(name: &str, fault: &str, path: &str, made: impl FnOnce(&Host, &Path)) -> bool {
    let (mut lab, load, before) = stopped(name);
    let host = &lab.hosts[0];
    let (place, ours) = (pin(host, path), pin(host, "ours"));
    fs::rename(&place, &ours).expect("moved");
    made(host, &place);
    let before_start = pins(host);
    let first = start(&mut lab, &[path]);
    let mut starts = vec![first];
    if let Start::Refused(_) = starts[0] {
        // The remedy: what is not ours goes, what is ours comes back.
        fs::remove_file(&place).or_else(|_| fs::remove_dir(&place)).expect("removed");
        fs::rename(&ours, &place).expect("moved back");
        starts.push(start(&mut lab, &[]));
    }
    let after = pins(&lab.hosts[0]);
    let report = told(fault, &starts, load);
    report.assert_clean();
    assert!(matches!(starts.last(), Some(Start::Runs)), "{starts:?}");
    if starts.len() == 1 {
        // It started over what it found there: that must be somewhere else now.
        let new: Vec<_> = after.iter().filter(|path| !before_start.contains(path)).collect();
        assert!(!new.is_empty(), "not put aside: {after:?}");
    }
    assert_healthy(&lab);
    assert_eq!(host_programs(&lab.hosts[0]).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    assert_eq!(programs(&lab).len(), 2, "hosts that answer");
    starts.len() > 1
}

#[test]
fn a_foreign_map_in_the_place_of_ours_disturbs_nothing() {
    let _refused =
        assert_survives("othermap", "a map of another size as maps/FDB", "maps/FDB", |_, place| {
            let map = ["type", "hash", "key", "8", "value", "8", "entries", "4", "name", "foreign"];
            run(Command::new("bpftool").args(["map", "create"]).arg(place).args(map)).expect("made");
        });
}

#[test]
fn a_smaller_map_in_the_place_of_ours_disturbs_nothing() {
    let _refused =
        assert_survives("smallmap", "a map with fewer entries as maps/FDB", "maps/FDB", |_, place| {
            let map =
                ["type", "hash", "key", "12", "value", "8", "entries", "64", "name", "FDB", "flags", "1"];
            run(Command::new("bpftool").args(["map", "create"]).arg(place).args(map)).expect("made");
        });
}

#[test]
fn a_map_with_room_for_more_is_refused_and_disturbs_nothing() {
    let refused =
        assert_survives("largemap", "a map with more entries as maps/FDB", "maps/FDB", |_, place| {
            let map = ["type", "hash", "key", "12", "value", "8", "entries", "2097152", "name", "FDB"];
            run(Command::new("bpftool").args(["map", "create"]).arg(place).args(map).args(["flags", "1"]))
                .expect("made");
        });
    assert!(refused, "what a later version has room for must not be cut");
}

#[test]
fn a_map_of_an_earlier_version_with_room_for_more_is_replaced() {
    let (mut lab, load, _) = stopped("formerly");
    let host = &lab.hosts[0];
    let place = pin(host, "maps/NEIGH");
    fs::remove_file(&place).expect("removed");
    let map =
        ["type", "hash", "key", "24", "value", "8", "entries", "2097152", "name", "NEIGH", "flags", "1"];
    run(Command::new("bpftool").args(["map", "create"]).arg(place).args(map)).expect("made");
    let mut meta = meta(host);
    let noted = meta.get(&0, 0).expect("an entry");
    meta.set(0, Meta { abi: ABI_VERSION - 1, ..noted }, 0).expect("set");
    let starts = [start(&mut lab, &[])];
    let report = told("a larger map of an earlier ABI as maps/NEIGH", &starts, load);
    report.assert_clean();
    assert!(matches!(starts, [Start::Runs]), "{starts:?}");
    assert_healthy(&lab);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

/// What the agent noted of its maps and programs.
fn meta(host: &Host) -> Array<MapData, Meta> {
    let map = MapData::from_pin(pin(host, "maps/META")).expect("pinned");
    Array::try_from(Map::Array(map)).expect("an array")
}

#[test]
fn a_program_in_the_place_of_a_map_disturbs_nothing() {
    let _refused = assert_survives("progmap", "a program as maps/NEIGH", "maps/NEIGH", |host, place| {
        bpftool(&["prog", "pin", "pinned", &pin(host, "progs/from_container").display().to_string()], place);
    });
}

#[test]
fn a_program_under_the_name_of_a_link_is_set_aside_and_disturbs_nothing() {
    let (mut lab, load, before) = stopped("proglink");
    let host = &lab.hosts[0];
    let id = before.values().next().expect("a program").to_string();
    let place = pin(host, "links/from_underlay@lo");
    bpftool(&["prog", "pin", "id", &id], &place);
    let pinned = pins(host);
    let starts = [start(&mut lab, &[])];
    let after = pins(&lab.hosts[0]);
    let report = told("a program as links/from_underlay@lo", &starts, load);
    report.assert_clean();
    assert!(matches!(starts, [Start::Runs]), "{starts:?}");
    assert_healthy(&lab);
    assert_eq!(host_programs(&lab.hosts[0]), before);
    assert!(!place.exists(), "it is still there");
    assert!(after.iter().any(|path| !pinned.contains(path)), "not under another name: {after:?}");
}

#[test]
fn a_directory_in_the_place_of_a_map_disturbs_nothing() {
    let _refused = assert_survives("dirmap", "a directory as maps/MEMBERS", "maps/MEMBERS", |_, place| {
        fs::create_dir(place).expect("made");
    });
}

#[test]
fn a_lost_pin_of_a_map_disturbs_nothing() {
    let (mut lab, load, before) = stopped("lostpin");
    fs::remove_file(pin(&lab.hosts[0], "maps/NEIGH")).expect("removed");
    let starts = [start(&mut lab, &["maps/NEIGH"])];
    let report = told("the pin of maps/NEIGH lost", &starts, load);
    report.assert_clean();
    assert!(matches!(starts, [Start::Runs]), "{starts:?}");
    assert_healthy(&lab);
    assert_eq!(host_programs(&lab.hosts[0]).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    // The programs must use the map that is filled: a cold question is answered from it.
    let a = container(&lab, "a");
    a.netns.ip("neigh flush all").expect("flushed");
    assert_connected(a, container(&lab, "b"));
}
