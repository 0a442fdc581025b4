//! What each fault came to: rows that the tests add, and one table of them.

use std::{
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use overlay_tests::Report;

/// What stands above the columns.
const HEAD: [&str; 10] =
    ["fault", "times", "sent", "rate/s", "lost", "dupl.", "corrupt", "TCP MB", "s", "note"];
/// The columns that hold words; the others hold numbers, and end at one line.
const WORDS: [usize; 2] = [0, 9];

static ROWS: Mutex<Vec<[String; 10]>> = Mutex::new(Vec::new());
/// What is too long for a row.
static DETAILS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// One fault's figures.
#[derive(Debug)]
pub(crate) struct Row([String; 10]);

impl Row {
    /// A fault, and how often it was made.
    pub(crate) fn new(fault: &str, times: usize) -> Self {
        let mut cells = [const { String::new() }; 10];
        fault.clone_into(&mut cells[0]);
        cells[1] = times.to_string();
        Self(cells)
    }

    /// What became of the load meanwhile.
    pub(crate) fn load(mut self, report: &Report) -> Self {
        let numbers = [report.sent, report.rate, report.lost, report.duplicated, report.corrupted];
        self.0[2..7].iter_mut().zip(numbers).for_each(|(cell, number)| *cell = number.to_string());
        self.0[7] = match &report.tcp_error {
            None => (report.tcp_bytes / 1_000_000).to_string(),
            Some(_) => "broken".to_owned(),
        };
        self.0[8] = format!("{:.1}", report.seconds);
        if let Some(invalid) = &report.invalid {
            return self.note(&format!("invalid: {invalid}"));
        }
        self
    }

    /// What else is to be said.
    pub(crate) fn note(mut self, note: &str) -> Self {
        if !self.0[9].is_empty() {
            self.0[9].push_str("; ");
        }
        self.0[9].push_str(note);
        self
    }

    /// Adds the row to the table. Called before anything is asserted, so that the table tells of failures too.
    pub(crate) fn add(self) {
        rows().push(self.0);
    }
}

/// Adds a line below the table, for what is too long for a row.
pub(crate) fn detail(text: String) {
    DETAILS.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

/// Prints the table, past the harness, which would keep the output of a passed test to itself.
pub(crate) fn print() {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows().iter().cloned());
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = "\n".to_owned();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if WORDS.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(format!("figures  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    for detail in DETAILS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        text.extend(["figures  ", detail, "\n"]);
    }
    let mut out = std::io::stdout().lock();
    // Nobody to tell when standard output is gone.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The rows; those of a test that panicked between two of them are as good.
fn rows() -> MutexGuard<'static, Vec<[String; 10]>> {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner)
}
