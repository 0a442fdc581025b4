//! The files.

use serde_json::{Map, Value, json};

use super::{
    compare::{OURS, Results},
    tables,
};
use crate::{
    facts::Facts,
    figures,
    rounds::Sample,
    stats::Summary,
    targets::{REFERENCES, target},
};

/// Every window that was measured, a line each.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let mut lines = vec![
        "probe,mode,round,window,counts,disturbed,others,stolen,count,sent,bytes,seconds,p50_us,p99_us,cpu_seconds".to_owned(),
    ];
    lines.extend(samples.iter().map(|sample| {
        let Sample { probe, mode, place: (round, window), figures, others, stolen, disturbed, counts } = sample;
        format!(
            "{},{mode},{round},{window},{counts},{disturbed},{others:.4},{stolen:.4},{},{},{},{:.6},{:.2},{:.2},{:.6}",
            probe.name,
            figures.count,
            figures.sent,
            figures.bytes,
            figures.seconds,
            figures.p50_us,
            figures.p99_us,
            figures.cpu_seconds
        )
    }));
    lines.join("\n") + "\n"
}

/// The tables, under the facts.
pub(crate) fn markdown(facts: &Facts, results: &Results<'_>) -> String {
    let modes = results.modes();
    let others: Vec<&'static str> = modes.iter().copied().filter(|mode| *mode != OURS).collect();
    let references: Vec<&'static str> = REFERENCES.into_iter().filter(|mode| modes.contains(mode)).collect();
    let mut parts = vec!["# Paths between two hosts\n".to_owned(), facts.markdown()];
    let mut part = |title: &str, rows: &[Vec<String>]| parts.push(format!("## {title}\n\n{}", table(rows)));
    part("Ours as a multiple of each, median and target", &tables::targets(results, &references));
    part(
        "Ours as a multiple of each: median, its interval of 95 % confidence, and quartiles",
        &tables::rows(results, &others, |figure, mode| {
            let ratio = results.ratio(figure, mode)?;
            let [low, high] = ratio.quartiles;
            Some(format!("{:.2}, {}, {low:.2}-{high:.2}", ratio.median, tables::between(&ratio)))
        }),
    );
    part(
        "Medians, half of the middle half's width, lowest to highest",
        &tables::rows(results, &modes, |figure, mode| {
            let summary = results.absolute(figure, mode)?;
            let (digits, text) = (figure.digits, tables::spread(&summary, figure.digits));
            Some(format!("{text}, {:.digits$}-{:.digits$}", summary.min, summary.max))
        }),
    );
    parts.push(tables::disturbed(results) + "\n");
    parts.join("\n")
}

fn table(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| format!("| {} |\n", row.join(" | "));
    let Some((head, body)) = rows.split_first() else { return String::new() };
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let body: String = body.iter().map(line).collect();
    format!("{}{rule}{body}", line(head))
}

/// Everything, for programs.
pub(crate) fn json(facts: &Facts, results: &Results<'_>, samples: &[Sample]) -> Value {
    let mut figures = Map::new();
    for figure in results.figures() {
        let mut modes = Map::new();
        for mode in results.modes() {
            let ratio = (mode != OURS).then(|| results.ratio(figure, mode)).flatten();
            let values: Vec<f64> = results.values(figure, mode).into_iter().map(|(_, value)| value).collect();
            modes.insert(
                mode.to_owned(),
                json!({
                    "values": values,
                    "summary": results.absolute(figure, mode).as_ref().map(summary),
                    "ours_to_this": ratio.as_ref().map(summary),
                    "target": target(figure.name, mode),
                }),
            );
        }
        let about = json!({"title": figure.title, "lower_is_better": figure.lower, "modes": modes});
        figures.insert(figure.name.to_owned(), about);
    }
    let [all, again, taken] = results.counts();
    json!({
        "facts": facts.json(),
        "figures": figures,
        "windows": {"all": all, "measured_again": again, "taken_although_disturbed": taken},
        "load": samples.iter().filter(|sample| sample.counts).map(load).collect::<Vec<_>>(),
        "not_measured": figures::all().map(|(_, figure)| figure.name)
            .filter(|name| !figures_have(results, name)).collect::<Vec<_>>(),
    })
}

fn figures_have(results: &Results<'_>, name: &str) -> bool {
    results.figures().iter().any(|figure| figure.name == name)
}

fn load(sample: &Sample) -> Value {
    json!({"probe": sample.probe.name, "mode": sample.mode, "place": sample.place, "figures": sample.figures})
}

fn summary(summary: &Summary) -> Value {
    json!({
        "count": summary.count,
        "median": summary.median,
        "quartiles": summary.quartiles,
        "confidence_95": summary.confidence,
        "min": summary.min,
        "max": summary.max,
    })
}
