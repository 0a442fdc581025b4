//! What is printed: a line for each case that failed, and counts.

use std::{collections::BTreeSet, fmt};

use anyhow::Result;
use overlay_tests::aligned;

use crate::{case::Case, differences, frame::Family, judge::Ended};

/// Named cases over each family, at least.
const LEAST: usize = 150;

/// What cases came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried {
    pub(crate) held: usize,
    pub(crate) all: usize,
    /// Whose outer header XDP took off.
    pub(crate) by_xdp: usize,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cases held", self.held, self.all)?;
        if self.by_xdp > 0 {
            write!(f, ", {} of them taken by XDP", self.by_xdp)?;
        }
        Ok(())
    }
}

/// What was tried until now.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: Vec<Vec<String>>,
    /// Failures that are of no case.
    others: usize,
}

impl Report {
    /// Takes note of something that is no case.
    pub(crate) fn take(&mut self, what: &str, held: bool) {
        self.passed += usize::from(held);
        self.others += usize::from(!held);
        println!("corpus {what} ... {}", if held { "ok" } else { "FAILED" });
    }

    /// Whether there are enough cases, no two of a name, and every difference from the kernel is explained.
    pub(crate) fn names(&mut self, cases: &[Case]) {
        for family in Family::ALL {
            let of: Vec<&str> =
                cases.iter().filter(|case| case.family == family).map(|case| case.name.as_str()).collect();
            let distinct = of.iter().collect::<BTreeSet<_>>().len();
            println!("cases  over {}: {}", family.word(), of.len());
            let what = format!("{LEAST} cases over {}, each of its own name", family.word());
            self.take(&what, distinct == of.len() && distinct >= LEAST);
        }
        for line in differences::lines(cases) {
            println!("{line}");
        }
        let faults = differences::faults(cases);
        if !faults.is_empty() {
            println!("rows without a reason or a case: {}", faults.join(", "));
        }
        self.take("every difference from the kernel is explained", faults.is_empty());
    }

    /// Tries cases on a side.
    pub(crate) fn cases(
        &mut self,
        side: &str,
        cases: &[Case],
        mut run: impl FnMut(&Case) -> Result<Ended>,
    ) -> Result<Tried> {
        let mut tried = Tried { all: cases.len(), ..Tried::default() };
        for case in cases {
            match run(case)? {
                Ended::Held { by_xdp } => {
                    tried.held += 1;
                    tried.by_xdp += usize::from(by_xdp);
                }
                Ended::Failed(failure) => self.failed.push(vec![
                    case.name.clone(),
                    side.to_owned(),
                    case.family.word().to_owned(),
                    failure.expected,
                    failure.got,
                    case.kernel.unwrap_or("-").to_owned(),
                ]),
            }
        }
        self.passed += tried.held;
        Ok(tried)
    }

    /// Prints what failed and the counts; whether all held.
    pub(crate) fn end(self) -> bool {
        let failed = self.failed.len() + self.others;
        if !self.failed.is_empty() {
            let head = ["case", "side", "underlay", "expected", "got", "difference from the kernel"]
                .map(str::to_owned)
                .to_vec();
            for line in aligned(&[&[head][..], &self.failed].concat()) {
                println!("{line}");
            }
        }
        let word = if failed == 0 { "ok" } else { "FAILED" };
        println!("test result: {word}. {} passed; {failed} failed; 0 ignored", self.passed);
        failed == 0
    }
}
