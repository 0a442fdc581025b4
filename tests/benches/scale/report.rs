//! The figures as tables.

use overlay_tests::aligned;
use serde::Serialize;

use crate::{agent::Agent, tables::Alone};

/// The number of endpoints that the targets are about.
const TARGET: u32 = 1_000_000;
const MB: f64 = 1e6;

/// All of one size.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) endpoints: u32,
    #[serde(flatten)]
    pub(crate) alone: Alone,
    pub(crate) agent: Option<Agent>,
}

/// A row for each figure, a column for each size.
pub(crate) fn table(figures: &[Figures]) -> Vec<String> {
    let mut rows = vec![vec!["endpoints".to_owned()]];
    rows[0].extend(figures.iter().map(|figures| figures.endpoints.to_string()));
    let mut row = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(figures.iter().map(cell));
        rows.push(row);
    };
    row("cluster.toml to desired tables, ms", &|f| format!("{:.1}", f.alone.desired_ms));
    row("desired tables into empty maps, ms", &|f| format!("{:.1}", f.alone.install_ms));
    row("  steps", &|f| f.alone.steps.to_string());
    row("maps, MB", &|f| format!("{:.1}", f.alone.memory_total as f64 / MB));
    let names = figures.first().map(|figures| figures.alone.memory.keys().cloned().collect::<Vec<_>>());
    for name in names.unwrap_or_default() {
        row(&format!("  {name}"), &|f| {
            format!("{:.1}", f.alone.memory.get(&name).copied().unwrap_or(0) as f64 / MB)
        });
    }
    row("IPv4 out to a VTEP, hot, least, ns", &|f| f.alone.hot_ns.to_string());
    row("  hot, median", &|f| f.alone.hot_median_ns.to_string());
    row("  random, median", &|f| f.alone.random_median_ns.to_string());
    row("one change, seen by the next frame, us", &|f| format!("{:.1}", f.alone.change_us));
    row("  99th percentile", &|f| format!("{:.1}", f.alone.change_p99_us));
    let agent = |cell: fn(&Agent) -> String| move |f: &Figures| f.agent.as_ref().map_or("-".to_owned(), cell);
    row("agent: start to all installed, ms", &agent(|agent| format!("{:.0}", agent.start_ms)));
    row("agent: resident, MB", &agent(|agent| format!("{:.1}", agent.rss as f64 / MB)));
    row("  at most", &agent(|agent| format!("{:.1}", agent.rss_peak as f64 / MB)));
    row(
        "agent: cluster.toml renamed to entry changed, ms",
        &agent(|agent| format!("{:.0}", agent.change_ms)),
    );
    aligned(&rows)
}

/// What was to be reached, and whether it was.
pub(crate) fn targets(figures: &[Figures]) -> Vec<String> {
    let Some(Figures { alone, .. }) = figures.iter().find(|figures| figures.endpoints == TARGET) else {
        return vec!["  not measured".to_owned()];
    };
    let random = alone.random_median_ns.saturating_sub(alone.hot_median_ns) as f64;
    let judged = [
        ("installed", alone.install_ms, 700.0, "ms"),
        ("all tables together", alone.memory_total as f64 / MB, 120.0, "MB"),
        ("look-up of an endpoint at random, more than of the same", random, 300.0, "ns"),
        ("one change visible to the next frame, 99th percentile", alone.change_p99_us / 1000.0, 1.0, "ms"),
    ];
    let mut rows = vec![["what", "measured", "target", ""].map(str::to_owned).to_vec()];
    for (what, measured, target, unit) in judged {
        let word = if measured <= target { "met" } else { "missed" };
        let measured = if measured < 10.0 { format!("{measured:.3}") } else { format!("{measured:.0}") };
        rows.push(vec![
            what.into(),
            format!("{measured} {unit}"),
            format!("<= {target} {unit}"),
            word.into(),
        ]);
    }
    aligned(&rows)
}
