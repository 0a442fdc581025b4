//! The `matrix` tier: every kind of traffic between every kind of ends, one cell each.
//!
//! Run by `cargo xtask test matrix`, as root. It has a harness of its own, so that each cell counts as a test.

#[path = "../netns/support.rs"]
#[expect(dead_code, reason = "shared with the netns tier")]
mod support;

mod columns;
mod rows;
mod setting;

use std::process::ExitCode;

use overlay_tests::{Data, aligned};

use self::{columns::Description, rows::ROWS, setting::Setting};

fn main() -> ExitCode {
    let data = Data::new("matrix").expect("a file");
    let mut table = vec![vec![String::new()]];
    table.extend(ROWS.iter().map(|row| vec![row.name.to_owned()]));
    let mut failures = Vec::new();
    let descriptions = Description::all();
    for description in &descriptions {
        let setting = Setting::new(*description);
        for v6 in [false, true] {
            let column = format!("IPv{} in {}", if v6 { 6 } else { 4 }, description.name());
            for (number, row) in ROWS.iter().enumerate() {
                let cell = match setting.run(row, v6, &data) {
                    Ok(cell) => cell,
                    Err(error) => {
                        failures.push(format!("{}, {column}: {error:#}", row.name));
                        "FAILED".to_owned()
                    }
                };
                println!("cell  {}, {column}: {cell}", row.name);
                table[number + 1].push(cell);
            }
            table[0].push(column);
        }
    }
    for line in aligned(&table) {
        println!("{line}");
    }
    for failure in &failures {
        println!("{failure}");
    }
    let cells = ROWS.len() * descriptions.len() * 2;
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {} failed; 0 ignored", cells - failures.len(), failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
