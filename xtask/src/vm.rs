//! `cargo xtask test vm`: the kernel programs and a few labs on Debian's kernels, in machines that qemu emulates.
//!
//! Times mean nothing there, verdicts and counts do.

mod image;
mod kernel;
mod machine;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use overlay_tests::{
    aligned,
    budget::{self, Costs, Verdict},
};
use serde_json::Value;

pub(crate) use self::kernel::SERIES;

use self::kernel::Kernel;
use crate::{project, test::Count, ui};

/// The tests that run: binary, and what it is called with.
const RUNS: [&str; 3] = [
    "prog --test-threads=1 --skip random::",
    "netns --test-threads=1 restart:: mtu:: stream:: cards::",
    "peer --test-threads=1 cold::each_side",
];
/// The same with `--full`.
const FULL: [&str; 3] = [
    "prog --test-threads=1",
    "netns --test-threads=1 restart:: mtu:: stream:: cards:: clsact:: connectivity:: contract:: lifecycle::",
    "peer --test-threads=1 cold::",
];
/// What of the tiers does not run, and why.
const LEFT_OUT: &str = "left out: of prog, 200 000 mutated frames (they run with --full); of netns and peer, what takes long \
                        under emulation or reads captures by tshark";
/// How the test that tells them names the instructions.
const VERIFIED: &str = "figure: instructions verified: ";

/// What one kernel's run came to.
#[derive(Default)]
struct Outcome {
    count: Count,
    instructions: BTreeMap<String, u32>,
}

/// Runs the tier, on one kernel or on all at a time; with `accept`, what their verifiers count becomes the budget.
pub(crate) fn run(full: bool, accept: bool, only: Option<&str>) -> Result<Count> {
    let mut total = Count::default();
    if std::env::consts::ARCH != "x86_64" {
        total.skip("vm", "the kernels are for x86-64, and so must the tests be");
        return Ok(total);
    }
    let tests = tests()?;
    let mut machines = Vec::new();
    for series in SERIES.into_iter().filter(|series| only.is_none_or(|only| only == *series)) {
        let Some(kernel) = Kernel::of(series)? else {
            total.skip(&format!("vm {series}"), "apt knows no linux-image of that series for cloud-amd64");
            continue;
        };
        let script = script(if full { &FULL } else { &RUNS });
        let image = image::make(&kernel, &tests, &script)?;
        println!("{series}  boots {}", kernel.release);
        machines.push(thread::spawn(move || run_on(&kernel, &image)));
    }
    println!("{LEFT_OUT}");
    let mut measured = Costs::default();
    for machine in machines {
        let Ok(outcome) = machine.join() else { bail!("the thread of a machine panicked") };
        let (series, outcome) = outcome?;
        total.add(outcome.count);
        measured.instructions.insert(series.to_owned(), outcome.instructions);
    }
    judge(measured, accept, &mut total)?;
    Ok(total)
}

/// What the machine runs: its variables, and the tests.
fn script(runs: &[&str]) -> String {
    let runs = runs.iter().map(|line| format!("run {line}\n")).collect::<String>();
    format!("export OVERLAY_TEST_CARDS='{}'\n{runs}", machine::CARDS.join(" "))
}

/// Boots a kernel and passes on what its tests print, with its series before each line.
fn run_on(kernel: &Kernel, image: &Path) -> Result<(&'static str, Outcome)> {
    let (series, start) = (kernel.series, Instant::now());
    let mut outcome = Outcome::default();
    let wrong = machine::run(kernel, image, |line| {
        println!("{series}  {line}");
        outcome.count.read(line);
        if let Some((program, count)) = verified(line) {
            outcome.instructions.insert(program, count);
        }
        if let Some((name, status)) =
            line.strip_prefix("vm: ").and_then(|line| line.split_once(" ended with "))
            && status != "0"
            && outcome.count.failed == 0
        {
            println!("{series}  {name} ended with {status}, and no test said so");
            outcome.count.failed += 1;
        }
    })?;
    for wrong in &wrong {
        println!("{series}  {}", ui::bad(wrong));
    }
    outcome.count.failed += wrong.len();
    println!("{series}  {}   {}", outcome.count.line(), ui::seconds(start.elapsed()));
    Ok((series, outcome))
}

/// Program and instructions, of a line that tells them, also behind the harness's own `test NAME ... `.
fn verified(line: &str) -> Option<(String, u32)> {
    let (_, told) = line.split_once(VERIFIED)?;
    let (program, count) = told.split_once(": ")?;
    Some((program.to_owned(), count.parse().ok()?))
}

/// Prints what the verifiers counted, and compares it with the budget.
fn judge(measured: Costs, accept: bool, total: &mut Count) -> Result<()> {
    for line in table(&measured) {
        println!("{line}");
    }
    let mut budget = Costs::read()?;
    for line in budget.judge(&measured) {
        match line.verdict {
            Verdict::Within => total.passed += 1,
            Verdict::Over | Verdict::Skipped(_) if accept => {}
            Verdict::Skipped(reason) => total.skip(&line.what, &reason),
            Verdict::Over => {
                println!("{}: {}, budget {}: {}", line.what, line.measured, line.budget, ui::bad("OVER"));
                total.failed += 1;
            }
        }
    }
    if accept {
        if total.failed > 0 {
            bail!("tests failed: what they measured is no budget");
        }
        budget.accept(measured)?;
        println!("{} has this as the budget now", budget::file().display());
    }
    Ok(())
}

/// Programs by kernels.
fn table(measured: &Costs) -> Vec<String> {
    let kernels = &measured.instructions;
    let mut names: Vec<&String> = kernels.values().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    let heading = kernels.keys().map(|kernel| format!("Linux {kernel}"));
    let mut rows = vec![std::iter::once("instructions verified".to_owned()).chain(heading).collect()];
    rows.extend(names.into_iter().map(|name| {
        let counts = kernels.values().map(|programs| programs.get(name).map_or("-".into(), u32::to_string));
        std::iter::once(name.clone()).chain(counts).collect::<Vec<String>>()
    }));
    aligned(&rows)
}

/// Builds the tests: those of the other tiers, as they are.
fn tests() -> Result<Vec<(&'static str, PathBuf)>> {
    let names = ["prog", "netns", "peer"];
    let mut command = project::cargo(&["test", "--quiet", "--no-run", "--package", "overlay-tests"]);
    command.arg("--message-format=json-render-diagnostics");
    for name in names {
        command.args(["--test", name]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the tests do not build: see above");
    }
    let mut tests = vec![("overlay", project::overlay(false))];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let name = names.into_iter().find(|name| message["target"]["name"] == *name);
        if let (Some(name), Some(path)) = (name, message["executable"].as_str()) {
            tests.push((name, path.into()));
        }
    }
    if tests.len() != names.len() + 1 {
        bail!("cargo built other tests than {}", names.join(", "));
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_from_the_tests_words() {
        let expected = Some(("from_underlay".to_owned(), 14639));
        assert_eq!(verified("figure: instructions verified: from_underlay: 14639"), expected);
        assert_eq!(
            verified("test object::x ... figure: instructions verified: from_underlay: 14639"),
            expected
        );
        assert_eq!(verified("test object::x ... ok"), None);
    }
}
