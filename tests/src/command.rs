//! Running a program to its end, with a limit on its time.

use std::{
    process::{Command, Output, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::patience::patient;

/// No command of a lab takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs `command` to its end: its standard output, or an error with its line and what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output_within(command, LIMIT)?;
    if !output.status.success() {
        let said = [&output.stderr[..], &output.stdout[..]].map(String::from_utf8_lossy).concat();
        bail!("`{}` failed ({}): {}", line(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` to its end and returns what it printed and its exit status; kills it after `limit`.
pub fn output_within(command: &mut Command, limit: Duration) -> Result<Output> {
    let limit = patient(limit);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    let pid = Pid::from_child(&child);
    let (done, waiting) = channel::<()>();
    let watch = thread::spawn(move || {
        let late = waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        // It may have ended this instant; then there is nothing to kill.
        late && kill_process(pid, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output();
    drop(done);
    if watch.join().unwrap_or(false) {
        bail!("`{}` did not end within {} s", line(command), limit.as_secs());
    }
    output.with_context(|| format!("cannot read what `{}` printed", line(command)))
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_tells_the_command_and_what_it_said() {
        let error =
            run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).expect_err("fails");
        let text = error.to_string();
        assert!(text.contains("exit 3") && text.contains("no such thing"), "{text}");
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let error =
            output_within(Command::new("sleep").arg("60"), Duration::from_millis(50)).expect_err("late");
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
