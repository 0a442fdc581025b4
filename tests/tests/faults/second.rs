//! A second agent on the pins of a first is refused before it changes anything.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Host, Load, output_within};

use crate::{
    agents::{assert_healthy, programs},
    figures::Row,
    support::pair,
};

/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(5);

/// A command line of an agent on the first's pins, with run and state directories of its own.
fn second(host: &Host) -> Command {
    let dir = host.dir.join("second");
    let mut command = host.overlay();
    command.arg("agent").env("OVERLAY_RUN_DIR", dir.join("run")).env("OVERLAY_STATE_DIR", dir.join("state"));
    command
}

#[test]
fn a_second_agent_on_the_same_pins_is_refused_with_the_pid_of_the_first() {
    let mut lab = pair("second");
    let before = programs(&lab);
    let pid = lab.hosts[0].agent_pid().expect("an agent");
    let load = Load::start(&lab, "a", "b").expect("a load");
    let refused = output_within(&mut second(&lab.hosts[0]), REFUSAL);
    let report = load.stop().expect("counted");
    let note = match &refused {
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("not refused: {error}"),
    };
    Row::new("a second agent on the same pins", 1).load(&report).note(&note).add();
    report.assert_clean();
    let output = refused.expect("it is refused");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains(&pid.to_string()), "no pid {pid} in: {text}");
    assert_eq!(lab.hosts[0].agent_pid(), Some(pid));
    assert_eq!(programs(&lab), before, "the first was disturbed");
    assert_healthy(&lab);
    // The control: the first gone, the same command line runs.
    lab.hosts[0].stop_agent().expect("stopped");
    let log = fs::File::create(lab.hosts[0].dir.join("second.log")).expect("a file");
    let mut agent =
        second(&lab.hosts[0]).stdout(log.try_clone().expect("a file")).stderr(log).spawn().expect("ran");
    let status = || {
        let mut command = lab.hosts[0].overlay();
        command.arg("status").env("OVERLAY_RUN_DIR", lab.hosts[0].dir.join("second/run"));
        output_within(&mut command, REFUSAL).expect("it ends").status.code()
    };
    let start = Instant::now();
    while status() != Some(0) && start.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(50));
    }
    let code = status();
    agent.kill().expect("killed");
    agent.wait().expect("reaped");
    assert_eq!(code, Some(0), "the second runs where the first is gone");
}
