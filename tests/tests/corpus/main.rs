//! The `corpus` tier: named frames at the underlay, and what must become of each: who gets which bytes, and what is
//! counted.
//!
//! Run by `cargo xtask test corpus`, as root. It has a harness of its own, so that each case counts as a test, on each
//! side and over each family of the underlay.

#[expect(dead_code, reason = "the tests of the programs build and read more of them")]
#[path = "../prog/frames.rs"]
mod build;
mod case;
mod cases;
mod differences;
mod ecn;
mod frame;
mod hosts;
mod inner;
mod judge;
mod oracle;
mod report;
mod rig;
mod scene;
#[path = "../../benches/fuzz/wire.rs"]
mod wire;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use overlay_common::DropReason;
use overlay_user::datapath::bpf::{BROKEN, OBJECT};

use self::{
    case::{Case, Golden},
    frame::Family,
    judge::Ended,
    oracle::Oracle,
    report::Report,
    rig::{Rig, Side},
};

fn main() -> ExitCode {
    match corpus() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tries all cases; whether all held.
fn corpus() -> Result<bool> {
    let mut report = Report::default();
    let cases = |groups: Vec<case::Group>| -> Vec<Case> {
        groups.into_iter().flat_map(|group| group.cases).collect()
    };
    let named: Vec<Case> = Family::ALL.into_iter().flat_map(|family| cases(cases::groups(family))).collect();
    let marks: Vec<Case> = Family::ALL.into_iter().flat_map(|family| cases(ecn::groups(family))).collect();
    report.names(&named);
    caught(&named, &marks, &mut report)?;
    for side in Side::ALL {
        let mut rig = Rig::new(OBJECT, side)?;
        let tried = report.cases(side.name(), &named, |case| judge::run(&mut rig, side, case))?;
        println!("side  {}: {tried}", side.name());
        let tried = report.cases(side.name(), &marks, |case| judge::run(&mut rig, side, case))?;
        println!("RFC 6040  {}: {} of {}", side.name(), tried.held, tried.all);
        // Every one of them is plain, but for those that must be dropped.
        let plain = marks.iter().filter(|case| matches!(case.golden, Golden::Delivered(_))).count();
        let by_xdp = if side == Side::Xdp { plain } else { 0 };
        report.take(&format!("side {}: XDP takes {by_xdp} of them", side.name()), tried.by_xdp == by_xdp);
        report.take(&format!("side {}: nothing comes late", side.name()), judge::is_quiet(&mut rig)?);
    }
    let mut oracle = Oracle::new()?;
    let tried = report.cases("kernel", &named, |case| oracle.run(case))?;
    println!("the kernel's vxlan device: {tried}, as they say that it does");
    let tried = report.cases("kernel", &marks, |case| oracle.run(case))?;
    println!("RFC 6040  the kernel's vxlan device: the same in {} of {}", tried.held, tried.all);
    Ok(report.end())
}

/// Whether what is wrong is found: a golden that no program can meet, and a program with a fault.
fn caught(named: &[Case], marks: &[Case], report: &mut Report) -> Result<()> {
    let mut rig = Rig::new(OBJECT, Side::Tc)?;
    let control = named.first().context("no cases")?;
    let Golden::Delivered(bytes) = &control.golden else {
        report.take("the control is delivered", false);
        return Ok(());
    };
    let mut longer = bytes.clone();
    longer.push(0);
    let mut fails = |golden: Golden| -> Result<bool> {
        let case = Case { golden, ..control.clone() };
        Ok(matches!(judge::run(&mut rig, Side::Tc, &case)?, Ended::Failed(_)))
    };
    report.take("a wrong verdict is found", fails(Golden::Passed(control.frame.clone()))?);
    report.take("a wrong byte is found", fails(Golden::Delivered(longer))?);
    report.take("a wrong counter is found", fails(Golden::Dropped(scene::VNI, DropReason::Malformed))?);
    drop(rig);
    // It carries no marks into IPv6, and judges none there.
    let mut broken = Rig::new(BROKEN, Side::Tc)?;
    let mut failed = 0;
    for case in marks.iter().filter(|case| case.name.contains("inner IPv6: Not-ECT in CE")) {
        let ended = judge::run(&mut broken, Side::Tc, case)?;
        failed += usize::from(matches!(ended, Ended::Failed(_)));
    }
    report.take("a broken program is found", failed == Family::ALL.len());
    Ok(())
}
