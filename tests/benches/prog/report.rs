//! What was measured, as tables and as JSON.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::programs::SchedClassifier;
use overlay_tests::{aligned, budget::Costs, cpu_model};
use serde_json::{Value, json};

use crate::{
    calls::Calls,
    measure::{self, Subject, Times},
    paths::{self, Keys, Path},
    setting::Setting,
};

/// Nanoseconds that a program may take with its entries in the caches.
const HOT: u64 = 80;
/// Nanoseconds that an entry at random among a million may take longer.
const RANDOM: u64 = 300;

/// A column of the table: the size of the tables, and whether each frame is about another endpoint.
type Column = (u32, bool);

/// A loaded program.
struct Program {
    name: &'static str,
    verified: Option<u32>,
    /// Its instructions.
    length: Option<u32>,
    calls: Option<Calls>,
}

/// All figures.
pub(crate) struct Report {
    programs: Vec<Program>,
    sizes: Vec<u32>,
    times: Vec<(&'static Path, BTreeMap<Column, Times>)>,
}

impl Report {
    /// Measures every way, all in turn.
    pub(crate) fn measure(setting: &Setting, rounds: usize, frames: usize) -> Result<Self> {
        let sizes: Vec<u32> = setting.tables.iter().map(|tables| tables.endpoints).collect();
        let mut subjects = Vec::new();
        for path in &paths::REFERENCE {
            let program = setting.reference.get(path.program)?;
            subjects.push(Subject { path, program, endpoints: sizes[0], random: false });
        }
        for path in &paths::OURS {
            for tables in &setting.tables {
                let (program, endpoints) = (tables.program(path.program)?, tables.endpoints);
                subjects.push(Subject { path, program, endpoints, random: false });
                if path.keys != Keys::One {
                    subjects.push(Subject { path, program, endpoints, random: true });
                }
            }
        }
        let measured = measure::measure(&subjects, rounds, frames)?;
        let mut programs = Vec::new();
        let mut times: Vec<(&'static Path, BTreeMap<Column, Times>)> = Vec::new();
        for (subject, measured) in subjects.iter().zip(measured) {
            let column = (subject.endpoints, subject.random);
            match times.last_mut() {
                Some((path, columns)) if std::ptr::eq(*path, subject.path) => {
                    columns.insert(column, measured);
                }
                _ => times.push((subject.path, BTreeMap::from([(column, measured)]))),
            }
            if !programs.iter().any(|program: &Program| program.name == subject.path.program) {
                programs.push(Program::of(subject.path.program, subject.program)?);
            }
        }
        Ok(Self { programs, sizes, times })
    }

    /// What a budget is about.
    pub(crate) fn costs(&self) -> Result<Costs> {
        let ours = |name: &str| paths::OURS.iter().any(|path| path.program == name);
        let mut instructions = BTreeMap::new();
        for program in self.programs.iter().filter(|program| ours(program.name)) {
            let verified = program.verified.context("the kernel does not tell verified instructions")?;
            instructions.insert(program.name.to_owned(), verified);
        }
        let ratios = self.times.iter().filter(|(path, _)| ours(path.program));
        let ratios = ratios.filter_map(|(path, _)| Some((path.title(), self.ratio(path)?)));
        let instructions = [(kernel(), instructions)].into();
        Ok(Costs { instructions, ratios: [(cpu_model(), ratios.collect())].into() })
    }

    fn of(&self, program: &str) -> Option<&Times> {
        let (_, columns) = self.times.iter().find(|(path, _)| path.program == program)?;
        columns.values().next()
    }

    /// The least time of a way with few endpoints, less that of the empty program.
    fn net(&self, path: &Path) -> Option<u64> {
        let empty = self.of("empty")?.min();
        let (_, columns) = self.times.iter().find(|(this, _)| std::ptr::eq(*this, path))?;
        Some(columns.get(&(self.sizes[0], false))?.min().saturating_sub(empty))
    }

    /// The same as a part of that of `four_lru`.
    fn ratio(&self, path: &Path) -> Option<f64> {
        let four_lru = paths::REFERENCE.iter().find(|path| path.program == "four_lru")?;
        Some(self.net(path)? as f64 / self.net(four_lru)?.max(1) as f64)
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        println!(
            "Programs: instructions that the verifier went through, instructions, calls in the whole program"
        );
        for line in aligned(&self.program_rows()) {
            println!("{line}");
        }
        println!(
            "\nNanoseconds a frame, each run by itself, with reading the clock: least, and median, of {} repetitions",
            self.of("empty").map_or(0, |times| times.least.len())
        );
        println!(
            "  hot: every frame about the same endpoint; random: each about another; net: less the empty program"
        );
        for line in aligned(&self.time_rows()) {
            println!("{line}");
        }
        println!("\nTargets");
        for line in aligned(&self.target_rows()) {
            println!("{line}");
        }
    }

    fn program_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words(&["program", "verified", "length", "helpers", "look-ups"])];
        let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        for program in &self.programs {
            let count = |part: fn(Calls) -> usize| {
                program.calls.map_or("-".to_owned(), |calls| part(calls).to_string())
            };
            let (helpers, lookups) = (count(|calls| calls.helpers), count(|calls| calls.lookups));
            let name = program.name.to_owned();
            rows.push(vec![name, number(program.verified), number(program.length), helpers, lookups]);
        }
        rows
    }

    fn columns(&self) -> Vec<Column> {
        self.sizes.iter().flat_map(|size| [(*size, false), (*size, true)]).collect()
    }

    fn time_rows(&self) -> Vec<Vec<String>> {
        let mut head = words(&["program", "frame"]);
        for (size, random) in self.columns() {
            let key = if random { "random" } else { "hot" };
            head.push(format!("{size} {key}"));
            head.push("median".to_owned());
        }
        head.extend(words(&["net", "of four_lru"]));
        let mut rows = vec![head];
        for (path, columns) in &self.times {
            let mut row = words(&[path.program, path.name]);
            for column in self.columns() {
                let times = columns.get(&column);
                let cell =
                    |part: fn(&Times) -> u64| times.map_or("-".to_owned(), |times| part(times).to_string());
                row.extend([cell(Times::min), cell(Times::median)]);
            }
            let net = self.net(path).map_or("-".to_owned(), |net| net.to_string());
            let ratio = self.ratio(path).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            row.extend([net, ratio]);
            rows.push(row);
        }
        rows
    }

    fn target_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![words(&["what", "measured", "target", ""])];
        let mut judge = |what: String, measured: u64, target: u64| {
            let word = if measured <= target { "met" } else { "missed" };
            rows.push(vec![what, format!("{measured} ns"), format!("<= {target} ns"), word.to_owned()]);
        };
        for (path, columns) in self.times.iter().skip(paths::REFERENCE.len()) {
            if let Some(net) = self.net(path) {
                judge(format!("{}, hot", path.title()), net, HOT);
            }
            let few = columns.get(&(self.sizes[0], false));
            let (Some(few), [_, most]) = (few, self.sizes.as_slice()) else { continue };
            if let Some(many) = columns.get(&(*most, false)) {
                // A twentieth and three nanoseconds are the noise of the least times.
                let target = few.min() + few.min() / 20 + 3;
                judge(format!("{}, hot, {most} endpoints", path.title()), many.min(), target);
            }
            if let Some(many) = columns.get(&(*most, true)) {
                let more = many.median().saturating_sub(few.median());
                judge(format!("{}, more at random, {most} endpoints", path.title()), more, RANDOM);
            }
        }
        rows
    }

    /// All figures.
    pub(crate) fn json(&self) -> Value {
        let programs: Vec<Value> = self.programs.iter().map(Program::json).collect();
        let times = self.times.iter().flat_map(|(path, columns)| {
            columns.iter().map(|((endpoints, random), times)| {
                json!({
                    "program": path.program, "frame": path.name, "endpoints": endpoints, "random": random,
                    "min_ns": times.min(), "median_ns": times.median(), "repetitions": times.least.len(),
                })
            })
        });
        let nets = self.times.iter().map(|(path, _)| {
            json!({
                "program": path.program, "frame": path.name, "net_ns": self.net(path),
                "of_four_lru": self.ratio(path),
            })
        });
        json!({
            "programs": programs,
            "times": times.collect::<Vec<_>>(),
            "net": nets.collect::<Vec<_>>(),
        })
    }
}

impl Program {
    fn of(name: &'static str, program: &SchedClassifier) -> Result<Self> {
        let info = program.info()?;
        let length = info.size_translated().map(|bytes| bytes / 8);
        Ok(Self { name, verified: info.verified_instruction_count(), length, calls: Calls::of(info.id()) })
    }

    fn json(&self) -> Value {
        json!({
            "program": self.name, "verified": self.verified, "length": self.length,
            "helpers": self.calls.map(|calls| calls.helpers), "lookups": self.calls.map(|calls| calls.lookups),
        })
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The kernel's version, as in `6.18`.
fn kernel() -> String {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}
