//! Whether a mode does what it says, before anything is measured.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use overlay_tests::run;

use super::{Ends, Mode};

/// Echo requests of one proof.
const REQUESTS: u64 = 10;

/// Sends echo requests both ways of a mode: those between hosts must be seen to pass, those on one host must not.
pub(super) fn prove(mode: &dyn Mode) -> Result<()> {
    let before = mode.passed()?;
    ping(&mode.across())?;
    let across = mode.passed()? - before;
    if across < REQUESTS {
        bail!("of {REQUESTS} packets between the hosts only {across} were seen to go the way");
    }
    let Some(local) = mode.local() else { return Ok(()) };
    let before = mode.passed()?;
    ping(&local).context("on one host")?;
    let across = mode.passed()? - before;
    if across >= REQUESTS {
        bail!("of {REQUESTS} packets on one host {across} were seen to go to the other");
    }
    Ok(())
}

/// Sends echo requests of nearly full size, each of which must be answered.
fn ping(ends: &Ends) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", ends.client.display()));
    command.args([
        "ping",
        "-n",
        "-q",
        "-c",
        &REQUESTS.to_string(),
        "-i",
        "0.01",
        "-W",
        "1",
        "-M",
        "do",
        "-s",
        "1400",
    ]);
    let said = run(command.arg(ends.to.to_string()))?;
    if !said.contains(&format!(" {REQUESTS} received")) {
        bail!("not every packet came back: {}", said.trim());
    }
    Ok(())
}
