//! What the programs may cost: `tests/budget.toml`, against what was measured.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use overlay_tests::aligned;

/// How much more than its budget something may take.
const GROWTH: f64 = 0.10;
/// Of a ratio, so much at least: the clock tells single nanoseconds.
const RATIO_SLACK: f64 = 0.03;

/// What programs cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Costs {
    /// The kernel whose verifier counted, as in `6.18`: another counts differently.
    pub(crate) kernel: String,
    /// The CPU that the times were taken on: what one helper costs beside another is its own.
    pub(crate) cpu: String,
    /// Instructions that the verifier went through, by program.
    pub(crate) instructions: BTreeMap<String, u32>,
    /// The time of each way as a part of that of `four_lru`, both less that of the empty program.
    pub(crate) ratios: BTreeMap<String, f64>,
}

/// One thing measured, and what it may come to.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) budget: String,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    Over,
    /// It cannot be judged, for this reason.
    Skipped(String),
}

/// Where the budget is.
pub(crate) fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.toml")
}

impl Costs {
    /// Reads the budget.
    pub(crate) fn read() -> Result<Self> {
        let path = file();
        let text = fs::read_to_string(&path).with_context(|| {
            format!("cannot read {}; `cargo xtask bench prog --accept` makes it", path.display())
        })?;
        parse(&text).with_context(|| format!("{} is not as `--accept` writes it", path.display()))
    }

    /// Makes this the budget.
    pub(crate) fn write(&self) -> Result<()> {
        let path = file();
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The budget's file.
    pub(crate) fn text(&self) -> String {
        let instructions = self.instructions.iter().map(|(name, count)| format!("{name} = {count}\n"));
        let ratios = self.ratios.iter().map(|(name, ratio)| format!("{name:?} = {ratio:.2}\n"));
        format!(
            "# What the kernel programs may cost. `cargo xtask bench prog --check` fails where something takes a tenth\n\
             # more; `cargo xtask bench prog --accept` writes what it measures into this file.\n\n\
             # The kernel whose verifier counted the instructions it went through.\n\
             kernel = {:?}\n\
             # The CPU that the times were taken on.\n\
             cpu = {:?}\n\n[instructions]\n{}\n\
             # The time of a frame's way as a part of that of the reference program four_lru.\n[ratio]\n{}",
            self.kernel,
            self.cpu,
            instructions.collect::<String>(),
            ratios.collect::<String>()
        )
    }

    /// Takes the lower ratio of each way.
    pub(crate) fn keep_best(&mut self, other: &Self) {
        self.keep(other, f64::min);
    }

    /// Takes the higher ratio of each way.
    pub(crate) fn keep_worst(&mut self, other: &Self) {
        self.keep(other, f64::max);
    }

    fn keep(&mut self, other: &Self, choose: fn(f64, f64) -> f64) {
        for (name, ratio) in &mut self.ratios {
            *ratio = other.ratios.get(name).map_or(*ratio, |other| choose(*ratio, *other));
        }
    }

    /// Compares what was measured with this budget.
    pub(crate) fn judge(&self, measured: &Self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (name, count) in &measured.instructions {
            let budget = self.instructions.get(name).copied();
            let verdict = if budget.is_some() && self.kernel != measured.kernel {
                let (ours, theirs) = (&measured.kernel, &self.kernel);
                Verdict::Skipped(format!("the budget is for the verifier of Linux {theirs}, this is {ours}"))
            } else {
                within(budget.map(|budget| f64::from(*count) <= f64::from(budget) * (1.0 + GROWTH)))
            };
            lines.push(line(format!("{name}: verified instructions"), Some(*count), budget, verdict));
        }
        for (name, ratio) in &measured.ratios {
            let budget = self.ratios.get(name).copied();
            let most = |budget: f64| budget + (budget * GROWTH).max(RATIO_SLACK);
            let verdict = if budget.is_some() && self.cpu != measured.cpu {
                let (ours, theirs) = (&measured.cpu, &self.cpu);
                Verdict::Skipped(format!("the budget is for the CPU {theirs}, this is {ours}"))
            } else {
                within(budget.map(|budget| *ratio <= most(budget)))
            };
            let two = |number: f64| format!("{number:.2}");
            lines.push(line(
                format!("{name}: time of four_lru's"),
                Some(two(*ratio)),
                budget.map(two),
                verdict,
            ));
        }
        let gone = self.instructions.keys().filter(|name| !measured.instructions.contains_key(*name));
        let gone = gone.chain(self.ratios.keys().filter(|name| !measured.ratios.contains_key(*name)));
        lines.extend(gone.map(|name| line::<u32>(name.clone(), None, None, Verdict::Over)));
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
pub(crate) fn table(lines: &[Line]) -> Vec<String> {
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
pub(crate) fn parse(text: &str) -> Result<Costs> {
    let table: toml::Table = text.parse()?;
    let word = |name: &str| {
        let word = table.get(name).and_then(toml::Value::as_str).map(str::to_owned);
        word.with_context(|| format!("no `{name}`"))
    };
    let (kernel, cpu) = (word("kernel")?, word("cpu")?);
    let part = |name: &str| table.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let instructions = part("instructions").into_iter().map(|(name, count)| {
        let count = count.as_integer().and_then(|count| u32::try_from(count).ok());
        Ok((name.clone(), count.with_context(|| format!("`{name}` is no number of instructions"))?))
    });
    let ratios = part("ratio").into_iter().map(|(name, ratio)| {
        let ratio = ratio.as_float().with_context(|| format!("`{name}` is no ratio"))?;
        Ok((name, ratio))
    });
    Ok(Costs {
        kernel,
        cpu,
        instructions: instructions.collect::<Result<_>>()?,
        ratios: ratios.collect::<Result<_>>()?,
    })
}
