//! A state file that is damaged, and a state directory that takes nothing: the agent starts from what is sound.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use overlay_tests::{Host, Lab, Load, Random, full, output_within};

use crate::{
    agents::{assert_healthy, status_code},
    child::Agent,
    figures::Row,
    support::{BLUE, addresses, assert_connected, container, endpoint, hosts, pair, start, wait_for},
};

/// How long an agent may take to start.
const STARTED: Duration = Duration::from_secs(10);

fn file(host: &Host) -> PathBuf {
    host.dir.join("state/bindings.json")
}

/// The files of the state directory that hold exactly these bytes, but for the one that the agent reads.
fn set_aside(host: &Host, bytes: &[u8]) -> Vec<PathBuf> {
    let entries = fs::read_dir(host.dir.join("state")).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| *path != file(host));
    paths.filter(|path| fs::read(path).is_ok_and(|content| content == bytes)).collect()
}

/// Stops the agent of the first host, lets `damage` have its state file, starts it again; what is not as it was.
fn restart_with(lab: &mut Lab, what: &str, damage: impl FnOnce(&Host)) -> Result<(), String> {
    lab.hosts[0].stop_agent().expect("stopped");
    damage(&lab.hosts[0]);
    if let Err(error) = lab.hosts[0].start_agent() {
        return Err(format!("{what}: {error:#}"));
    }
    let state = endpoint(&lab.hosts[0], "a")["state"].clone();
    let reached = container(lab, "a").netns.ping(container(lab, "b").ips[0]);
    if state == "ready" && reached {
        Ok(())
    } else {
        Err(format!("{what}: a is {state}, reaches b: {reached}"))
    }
}

/// Gives the first host back a state file that is sound, and the container that it may have lost.
fn make_whole(lab: &mut Lab, sound: &[u8]) {
    lab.hosts[0].stop_agent().expect("stopped");
    let path = file(&lab.hosts[0]);
    if path.is_dir() {
        fs::remove_dir(&path).expect("removed");
    }
    fs::write(path, sound).expect("written");
    lab.hosts[0].start_agent().expect("started");
    if endpoint(&lab.hosts[0], "a")["state"] != "ready" {
        lab.bind(container(lab, "a")).expect("bound again");
    }
}

/// Damages the file in each way under load; panics unless the traffic never noticed.
fn assert_survives(
    name: &str,
    fault: &str,
    damages: Vec<(String, Vec<u8>)>,
    must_set_aside: bool,
    seed: u64,
) {
    let mut lab = pair(name);
    let sound = fs::read(file(&lab.hosts[0])).expect("a state file");
    let mut load = Load::start(&lab, "a", "b").expect("a load");
    let (mut faults, count) = (Vec::new(), damages.len());
    for (what, bytes) in damages {
        let result = restart_with(&mut lab, &what, |host| fs::write(file(host), &bytes).expect("written"));
        if must_set_aside && set_aside(&lab.hosts[0], &bytes).is_empty() {
            faults.push(format!("{what}: not set aside under another name"));
        }
        if let Err(error) = result {
            faults.push(error);
            // The rest tells more over a data path that works.
            drop(load);
            make_whole(&mut lab, &sound);
            load = Load::start(&lab, "a", "b").expect("a load");
        }
    }
    let report = load.stop().expect("counted");
    let note = format!("seed {seed}; {} of them harmed", faults.len());
    Row::new(fault, count).load(&report).note(&note).add();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    report.assert_clean();
    assert_healthy(&lab);
}

/// The state file as every lab of this name has it.
fn sample(name: &str) -> Vec<u8> {
    let lab = pair(name);
    fs::read(file(&lab.hosts[0])).expect("a state file")
}

#[test]
fn a_truncated_state_file_is_set_aside_and_costs_nothing() {
    let mut random = Random::for_test("truncated");
    let sound = sample("truncated");
    let lengths = random.choose((0..sound.len()).collect(), 5);
    let damages =
        lengths.into_iter().map(|length| (format!("cut to {length} bytes"), sound[..length].to_vec()));
    assert_survives("truncated", "the state file truncated", damages.collect(), true, random.seed());
}

#[test]
fn a_state_file_with_a_flipped_bit_costs_nothing() {
    let mut random = Random::for_test("flipped");
    let sound = sample("flipped");
    let (mut telling, mut others): (Vec<_>, Vec<_>) = (0..sound.len())
        .partition(|place| sound[*place].is_ascii_alphanumeric() && sound.get(place + 1) == Some(&b'"'));
    // The last letter of each word for certain: an id, a namespace, a device that is not there.
    let count = if full() { others.len() } else { 4 };
    telling.append(&mut random.choose(std::mem::take(&mut others), count));
    let damages = telling.into_iter().map(|place| {
        let mut bytes = sound.clone();
        // The lowest bit: letters stay letters, and the file may stay JSON that says something else.
        bytes[place] ^= 1;
        let line = String::from_utf8_lossy(&sound[place.saturating_sub(12)..(place + 8).min(sound.len())])
            .into_owned();
        (format!("byte {place} flipped, in {line:?}"), bytes)
    });
    assert_survives("flipped", "the state file with a bit flipped", damages.collect(), false, random.seed());
}

#[test]
fn a_state_file_that_cannot_be_read_costs_nothing() {
    let mut lab = pair("unread");
    let sound = fs::read(file(&lab.hosts[0])).expect("a state file");
    let load = Load::start(&lab, "a", "b").expect("a load");
    // Root reads everything but this.
    let result = restart_with(&mut lab, "a directory in its place", |host| {
        fs::remove_file(file(host)).expect("removed");
        fs::create_dir(file(host)).expect("made");
    });
    let report = load.stop().expect("counted");
    Row::new("the state file unreadable", 1).load(&report).note(&format!("{result:?}")).add();
    report.assert_clean();
    if result.is_err() {
        // Refused; nothing was harmed by it.
        make_whole(&mut lab, &sound);
    }
    assert_connected(container(&lab, "a"), container(&lab, "b"));
    result.expect("it starts from what is sound");
}

/// Has the agent of the first host run with a state directory that `mount` has prepared, under load.
fn assert_runs_on(name: &str, fault: &str, mount: &str) {
    let mut lab = hosts(name, 2);
    for (host, name, number) in [(0, "a", 1), (1, "b", 2)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    // A container more, which the agent cannot keep.
    lab.declare_container(0, BLUE, "c", &addresses(3)).expect("c");
    lab.write_cluster().expect("written");
    let load = Load::start(&lab, "a", "b").expect("a load");
    lab.hosts[0].stop_agent().expect("stopped");
    let host = &lab.hosts[0];
    let mut agent = Agent::spawn(host, &format!("state={}/state\n{mount}", host.dir.display()));
    let said = agent.wait(host, STARTED);
    let state = said.as_ref().map(|()| endpoint(host, "a")["state"].clone());
    let bound = said.as_ref().map(|()| lab.bind(container(&lab, "c")).map_err(|error| format!("{error:#}")));
    let report = load.stop().expect("counted");
    let answer = match &bound {
        // The command's own words, behind its line.
        Ok(Err(text)) => {
            format!("a bind is refused: {}", text.rsplit("overlay: ").next().unwrap_or_default())
        }
        other => format!("{other:?}"),
    };
    Row::new(fault, 1).load(&report).note(&answer).add();
    report.assert_clean();
    assert_eq!(state, Ok("ready".into()), "{}", lab.hosts[0].log_tail());
    assert!(matches!(bound, Ok(Err(_))), "a binding that cannot be kept is refused");
    assert_eq!(endpoint(host, "c")["state"], "unbound");
    drop(agent);
    // The control: on a directory that takes something, the binding is kept.
    lab.hosts[0].start_agent().expect("started");
    lab.bind(container(&lab, "c")).expect("bound");
    assert_connected(container(&lab, "c"), container(&lab, "b"));
}

#[test]
fn a_full_state_directory_costs_nothing() {
    let mount = "cp -a $state /run/full.$$
        mount -t tmpfs -o size=64k tmpfs $state
        cp -a /run/full.$$/. $state; rm -r /run/full.$$
        dd if=/dev/zero of=$state/filler bs=4k 2>/dev/null || true
        if echo more > $state/more; then exit 99; fi 2>/dev/null";
    assert_runs_on("full", "the state directory full", mount);
}

#[test]
fn a_read_only_state_directory_costs_nothing() {
    let mount = "mount --bind $state $state
        mount -o remount,bind,ro $state
        if touch $state/more; then exit 99; fi 2>/dev/null";
    assert_runs_on("readonly", "the state directory read-only", mount);
}

#[test]
fn a_run_directory_that_takes_nothing_is_refused_in_one_line() {
    let mut lab = pair("runro");
    let load = Load::start(&lab, "a", "b").expect("a load");
    lab.hosts[0].stop_agent().expect("stopped");
    let host = &lab.hosts[0];
    let script = "mount --bind $0 $0 && mount -o remount,bind,ro $0 && exec \"$1\" agent";
    let mut command = host.netns.command("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(host.dir.join("run")).arg(&host.overlay);
    let output =
        output_within(command.envs(host.environment()).stdin(Stdio::null()), STARTED).expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(status_code(host), Some(2));
    wait_for("the next agent", STARTED, || lab.hosts[0].start_agent().is_ok());
    let report = load.stop().expect("counted");
    Row::new("the run directory read-only", 1).load(&report).note(text.trim()).add();
    report.assert_clean();
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("run"), "{text}");
}
