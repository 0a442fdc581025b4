//! Telling what a test has measured.

use std::{fmt::Display, io::Write as _};

/// Tells `cargo xtask test` a figure: which test, of what, how much. It prints all of a tier's as one table.
///
/// Writes past the test harness, which would keep the output of a passed test to itself.
pub fn figure(name: &str, what: &str, figure: impl Display) {
    let mut out = std::io::stdout().lock();
    // Nobody to tell when standard output is gone.
    let _ = writeln!(out, "\nfigure: {name}: {what}: {figure}").and_then(|()| out.flush());
}
