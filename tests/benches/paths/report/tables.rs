//! The tables that are printed.

use overlay_tests::aligned;

use super::compare::{OURS, Results};
use crate::{
    figures::Figure,
    stats::Summary,
    targets::{REFERENCES, met, target},
};

/// All tables.
pub(crate) fn text(results: &Results<'_>) -> String {
    let mut parts = Vec::new();
    let references = references(results);
    if !references.is_empty() {
        let modes = results.modes();
        let others: Vec<&str> = modes.into_iter().filter(|mode| *mode != OURS).collect();
        parts.push(table("Ours as a multiple of each, median and target", &targets(results, &references)));
        parts.push(table(
            "Ours as a multiple of each: the median lies in between, with 95 % confidence",
            &rows(results, &others, |figure, mode| results.ratio(figure, mode).map(|ratio| between(&ratio))),
        ));
    }
    parts.push(table(
        "Medians, and half of the middle half's width",
        &rows(results, &results.modes(), |figure, mode| {
            results.absolute(figure, mode).map(|summary| spread(&summary, figure.digits))
        }),
    ));
    parts.push(disturbed(results));
    parts.join("\n\n")
}

/// The modes to compare with that were measured, where ours was.
fn references(results: &Results<'_>) -> Vec<&'static str> {
    let modes = results.modes();
    let measured = |mode: &&str| modes.contains(&OURS) && modes.contains(mode);
    REFERENCES.into_iter().filter(measured).collect()
}

fn table(title: &str, rows: &[Vec<String>]) -> String {
    format!("{title}\n{}", aligned(rows).join("\n"))
}

/// Ratios with their targets.
pub(super) fn targets(results: &Results<'_>, references: &[&'static str]) -> Vec<Vec<String>> {
    rows(results, references, |figure, mode| {
        let ratio = results.ratio(figure, mode)?.median;
        let Some(target) = target(figure.name, mode) else { return Some(format!("{ratio:.2}")) };
        let sign = if figure.lower { "<=" } else { ">=" };
        let verdict = if met(ratio, target, figure.lower) { "met" } else { "missed" };
        Some(format!("{ratio:.2} {sign}{target:.2} {verdict}"))
    })
}

/// A row for each figure, a column for each mode.
pub(super) fn rows(
    results: &Results<'_>,
    modes: &[&'static str],
    cell: impl Fn(&Figure, &str) -> Option<String>,
) -> Vec<Vec<String>> {
    let head = ["figure"].into_iter().chain(modes.iter().copied()).map(str::to_owned).collect();
    let row = |figure: &'static Figure| {
        let cells = modes.iter().map(|mode| cell(figure, mode).unwrap_or_else(|| "-".to_owned()));
        [figure.title.to_owned()].into_iter().chain(cells).collect()
    };
    [head].into_iter().chain(results.figures().into_iter().map(row)).collect()
}

/// The interval of a ratio.
pub(super) fn between(ratio: &Summary) -> String {
    let [low, high] = ratio.confidence;
    format!("{low:.2}-{high:.2}")
}

/// A median and its spread.
pub(super) fn spread(summary: &Summary, digits: usize) -> String {
    format!("{:.digits$} ±{:.0}%", summary.median, summary.spread() * 100.0)
}

/// What is to be known of disturbances.
pub(super) fn disturbed(results: &Results<'_>) -> String {
    let [all, again, taken] = results.counts();
    let mut text = match again {
        0 => format!("None of {all} windows was disturbed and measured again."),
        _ => format!("{again} of {all} windows were disturbed and measured again."),
    };
    if taken > 0 {
        text = format!(
            "{text} {taken} were taken although they were disturbed (--noisy): the figures may be off."
        );
    }
    text
}
