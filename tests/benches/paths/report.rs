//! What was measured, as tables, files and plots.

mod compare;
mod files;
mod plot;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::compare::Results;
use crate::{facts::Facts, options::Options, rounds::Sample};

/// Prints the tables and writes the files.
pub(crate) fn write(options: &Options, facts: &Facts, samples: &[Sample]) -> Result<()> {
    let results = Results::new(samples);
    println!("\n{}", tables::text(&results));
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let save = |name: &str, text: &str| put(&dir.join(name), text);
    save("paths.csv", &files::csv(samples))?;
    save("paths.md", &files::markdown(facts, &results))?;
    for (name, svg) in plot::all(&results)? {
        save(&name, &svg)?;
    }
    println!("written to {}: paths.csv, paths.md, plots (*.svg)", dir.display());
    if let Some(path) = &options.json {
        put(path, &serde_json::to_string_pretty(&files::json(facts, &results, samples))?)?;
        println!("written to {}", path.display());
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::{compare::Results, files, plot, tables};
    use crate::{
        figures::{PROBES, Probe},
        rounds::Sample,
    };
    use overlay_tests::traffic::Figures;

    /// A window of the stream.
    fn sample(mode: &'static str, round: u32, gbits: f64) -> Sample {
        let probe: &Probe = &PROBES[0];
        // A second's worth of bytes, in the time that takes at this speed.
        let figures = Figures { bytes: 125_000_000, seconds: 1.0 / gbits, ..Figures::default() };
        let (others, stolen) = (0.0, 0.0);
        Sample { probe, mode, place: (round, 0), figures, others, stolen, disturbed: false, counts: true }
    }

    /// Two rounds; the second one was disturbed the first time.
    fn samples() -> Vec<Sample> {
        let bad = Sample { disturbed: true, counts: false, ..sample("ours", 1, 1.0) };
        let rest = [("hosts", 0, 20.0), ("ours", 0, 19.0), ("hosts", 1, 40.0), ("ours", 1, 40.0)];
        let rest = rest.into_iter().map(|(mode, round, gbits)| sample(mode, round, gbits));
        [bad].into_iter().chain(rest).collect()
    }

    #[test]
    fn ratios_are_those_of_windows_side_by_side_and_of_those_that_count() {
        let samples = samples();
        let results = Results::new(&samples);
        let stream = &PROBES[0].figures[0];
        let ratio = results.ratio(stream, "hosts").expect("both were measured");
        assert_eq!((ratio.count, ratio.min, ratio.max), (2, 0.95, 1.0));
        assert!((ratio.median - 0.975).abs() < 1e-9);
        assert!(results.ratio(stream, "docker").is_none());
        assert_eq!(results.modes(), ["hosts", "ours"]);
    }

    #[test]
    fn the_tables_tell_what_is_met_and_what_was_disturbed() {
        let samples = samples();
        let text = tables::text(&Results::new(&samples));
        assert!(text.contains("0.97 >=0.97 met") || text.contains("0.98 >=0.97 met"), "{text}");
        assert!(text.contains("1 of 5 windows were disturbed and measured again"), "{text}");
        assert!(!text.contains("docker"), "{text}");
    }

    #[test]
    fn every_window_is_in_the_csv() {
        let csv = files::csv(&samples());
        assert_eq!(csv.lines().count(), 6, "{csv}");
        let fields: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert!(fields.iter().all(|count| *count == fields[0]), "{csv}");
    }

    #[test]
    fn plots_are_drawn() {
        let samples = samples();
        let plots = plot::all(&Results::new(&samples)).expect("drawn");
        assert!(plots.iter().all(|(name, svg)| name.starts_with("paths-") && svg.contains("</svg>")));
        assert!(plots.iter().any(|(name, _)| name == "paths-stream.svg"));
    }
}
