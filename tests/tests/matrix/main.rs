//! The `matrix` tier: every kind of traffic between every kind of ends, one cell each.
//!
//! Run by `cargo xtask test matrix`, as root. It has a harness of its own, so that each cell counts as a test.

#[path = "../netns/support.rs"]
#[expect(dead_code, reason = "shared with the netns tier")]
mod support;

mod columns;
mod forwarded;
mod rows;
mod setting;

use std::process::ExitCode;

use overlay_tests::{Data, Family, aligned};

use self::{columns::Description, rows::ROWS, setting::Setting};

/// The cells that were tried, and what was wrong with some.
#[derive(Default)]
struct Results {
    cells: usize,
    failures: Vec<String>,
}

fn main() -> ExitCode {
    let data = Data::new("matrix").expect("a file");
    let mut results = Results::default();
    let mut lines = Vec::new();
    for columns in Description::tables() {
        lines.push(columns[0].table());
        lines.extend(aligned(&table(columns, &data, &mut results)));
    }
    for line in lines.iter().chain(&results.failures) {
        println!("{line}");
    }
    let (passed, failed) = (results.cells - results.failures.len(), results.failures.len());
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries every row in these columns.
fn table(columns: [Description; 2], data: &Data, results: &mut Results) -> Vec<Vec<String>> {
    let mut table = vec![vec![String::new()]];
    table.extend(ROWS.iter().map(|row| vec![row.name.to_owned()]));
    for description in columns {
        let setting = Setting::new(description);
        for inner in Family::ALL {
            let column = description.column(inner);
            for (number, row) in ROWS.iter().enumerate() {
                let place = format!("{}, {column}, {}", row.name, description.table());
                results.cells += 1;
                let cell = setting.run(row, inner, data).unwrap_or_else(|error| {
                    results.failures.push(format!("{place}: {error:#}"));
                    "FAILED".to_owned()
                });
                println!("cell  {place}: {cell}");
                table[number + 1].push(cell);
            }
            table[0].push(column);
        }
    }
    table
}
