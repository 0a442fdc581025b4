//! What the programs may cost: `tests/budget.toml`, against what was measured.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::aligned;

/// How much more than its budget something may take.
const GROWTH: f64 = 0.10;
/// Of a ratio, so much at least: the clock tells single nanoseconds.
const RATIO_SLACK: f64 = 0.03;

/// What programs cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Costs {
    /// Instructions that the verifier went through, by kernel, as in `6.18`, and program: another counts differently.
    pub instructions: BTreeMap<String, BTreeMap<String, u32>>,
    /// The time of each way as a part of that of `four_lru`, both less that of the empty program, by the CPU that it was
    /// taken on: what one helper costs beside another is its own.
    pub ratios: BTreeMap<String, BTreeMap<String, f64>>,
}

/// One thing measured, and what it may come to.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// What of which program.
    pub what: String,
    /// What it came to; `none` where it was not there to be measured.
    pub measured: String,
    /// What it may come to.
    pub budget: String,
    /// Whether it keeps to that.
    pub verdict: Verdict,
}

/// Whether something keeps to its budget.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Within,
    /// It does not, or has none.
    Over,
    /// It cannot be judged, for this reason.
    Skipped(String),
}

/// Where the budget is.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.toml")
}

impl Costs {
    /// Reads the budget.
    pub fn read() -> Result<Self> {
        let path = file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // Then nothing has a budget.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        parse(&text).with_context(|| format!("{} is not as `--accept` writes it", path.display()))
    }

    /// Makes what was measured the budget; that of other kernels and other CPUs stays.
    pub fn accept(&mut self, measured: Self) -> Result<()> {
        self.take(measured);
        self.write()
    }

    fn take(&mut self, measured: Self) {
        self.instructions.extend(measured.instructions);
        self.ratios.extend(measured.ratios);
    }

    fn write(&self) -> Result<()> {
        let path = file();
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The budget's file.
    fn text(&self) -> String {
        let instructions = self.instructions.iter().map(|(kernel, programs)| {
            let programs = programs.iter().map(|(name, count)| format!("{name} = {count}\n"));
            format!("\n[instructions.{kernel:?}]\n{}", programs.collect::<String>())
        });
        let ratios = self.ratios.iter().map(|(cpu, ways)| {
            let ways = ways.iter().map(|(name, ratio)| format!("{name:?} = {ratio:.2}\n"));
            format!("\n[ratio.{cpu:?}]\n{}", ways.collect::<String>())
        });
        format!(
            "# What the kernel programs may cost. `cargo xtask bench prog --check` and `cargo xtask test vm` fail where\n\
             # something takes a tenth more; both write what they measure into this file by `--accept`.\n\n\
             # Instructions that the verifier went through, by kernel.{}\n\
             # The time of a frame's way as a part of that of the reference program four_lru, by CPU.{}",
            instructions.collect::<String>(),
            ratios.collect::<String>()
        )
    }

    /// Takes the lower ratio of each way.
    pub fn keep_best(&mut self, other: &Self) {
        self.keep(other, f64::min);
    }

    /// Takes the higher ratio of each way.
    pub fn keep_worst(&mut self, other: &Self) {
        self.keep(other, f64::max);
    }

    fn keep(&mut self, other: &Self, choose: fn(f64, f64) -> f64) {
        for (cpu, ways) in &mut self.ratios {
            let Some(others) = other.ratios.get(cpu) else { continue };
            for (name, ratio) in ways {
                *ratio = others.get(name).map_or(*ratio, |other| choose(*ratio, *other));
            }
        }
    }

    /// Compares what was measured with this budget.
    pub fn judge(&self, measured: &Self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (kernel, programs) in &measured.instructions {
            lines.extend(self.judge_instructions(kernel, programs));
        }
        for (cpu, ways) in &measured.ratios {
            lines.extend(self.judge_ratios(cpu, ways));
        }
        lines
    }

    fn judge_instructions(&self, kernel: &str, measured: &BTreeMap<String, u32>) -> Vec<Line> {
        let what = |name: &String| format!("{name}: instructions verified by Linux {kernel}");
        let budgets = self.instructions.get(kernel);
        let mut lines = Vec::new();
        for (name, count) in measured {
            let budget = budgets.and_then(|budgets| budgets.get(name)).copied();
            let verdict = if budgets.is_some() {
                within(budget.map(|budget| f64::from(*count) <= f64::from(budget) * (1.0 + GROWTH)))
            } else {
                Verdict::Skipped(format!("there is no budget for the verifier of Linux {kernel}"))
            };
            lines.push(line(what(name), Some(*count), budget, verdict));
        }
        let gone = budgets.into_iter().flatten().filter(|(name, _)| !measured.contains_key(*name));
        lines.extend(gone.map(|(name, budget)| line(what(name), None, Some(*budget), Verdict::Over)));
        lines
    }

    fn judge_ratios(&self, cpu: &str, measured: &BTreeMap<String, f64>) -> Vec<Line> {
        let what = |name: &String| format!("{name}: time of four_lru's");
        let most = |budget: f64| budget + (budget * GROWTH).max(RATIO_SLACK);
        let two = |number: f64| format!("{number:.2}");
        let budgets = self.ratios.get(cpu);
        let mut lines = Vec::new();
        for (name, ratio) in measured {
            let budget = budgets.and_then(|budgets| budgets.get(name)).copied();
            let verdict = if budgets.is_some() {
                within(budget.map(|budget| *ratio <= most(budget)))
            } else {
                Verdict::Skipped(format!("there is no budget for the CPU {cpu}"))
            };
            lines.push(line(what(name), Some(two(*ratio)), budget.map(two), verdict));
        }
        let gone = budgets.into_iter().flatten().filter(|(name, _)| !measured.contains_key(*name));
        lines.extend(gone.map(|(name, budget)| line(what(name), None, Some(two(*budget)), Verdict::Over)));
        lines
    }
}

/// What has no budget is over it.
fn within(holds: Option<bool>) -> Verdict {
    if holds == Some(true) { Verdict::Within } else { Verdict::Over }
}

fn line<T: ToString>(what: String, measured: Option<T>, budget: Option<T>, verdict: Verdict) -> Line {
    let text = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    Line { what, measured: text(measured), budget: text(budget), verdict }
}

/// The lines as a table.
pub fn table(lines: &[Line]) -> Vec<String> {
    let mut rows = vec![["what", "measured", "budget", ""].map(str::to_owned).to_vec()];
    for Line { what, measured, budget, verdict } in lines {
        let word = match verdict {
            Verdict::Within => "ok".to_owned(),
            Verdict::Over => "OVER".to_owned(),
            Verdict::Skipped(_) => "not judged".to_owned(),
        };
        rows.push(vec![what.clone(), measured.clone(), budget.clone(), word]);
    }
    aligned(&rows)
}

/// Reads the text of the budget's file.
fn parse(text: &str) -> Result<Costs> {
    let table: toml::Table = text.parse()?;
    let part = |name: &str| table.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let instructions = part("instructions").into_iter().map(|(kernel, programs)| {
        let programs = programs.as_table().cloned().with_context(|| format!("`{kernel}` is no table"))?;
        let counts = programs.into_iter().map(|(name, count)| {
            let count = count.as_integer().and_then(|count| u32::try_from(count).ok());
            Ok((name.clone(), count.with_context(|| format!("`{name}` is no number of instructions"))?))
        });
        Ok((kernel, counts.collect::<Result<_>>()?))
    });
    let ratios = part("ratio").into_iter().map(|(cpu, ways)| {
        let ways = ways.as_table().cloned().with_context(|| format!("`{cpu}` is no table"))?;
        let ratios = ways.into_iter().map(|(name, ratio)| {
            let ratio = ratio.as_float().with_context(|| format!("`{name}` is no ratio"))?;
            Ok((name, ratio))
        });
        Ok((cpu, ratios.collect::<Result<_>>()?))
    });
    Ok(Costs { instructions: instructions.collect::<Result<_>>()?, ratios: ratios.collect::<Result<_>>()? })
}
