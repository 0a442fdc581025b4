//! The machine, the kernel and the run, for the header of the report.

use std::{process::Command, thread};

use overlay_tests::{cpu_model, run, traffic::realtime_allowed};
use serde_json::{Value, json};

use crate::{lab::Lab, options::Options};

/// What veths cannot tell.
pub(crate) const CAVEAT: &str = "The underlay is a veth pair: this says nothing about what network cards do by themselves \
(segmentation, merging and spreading of VXLAN), nor of the bandwidth that 50 bytes of headers take on a wire.";

/// Names and values, in order.
#[derive(Debug)]
pub(crate) struct Facts {
    list: Vec<(&'static str, String)>,
    paths: Vec<(&'static str, String)>,
}

impl Facts {
    pub(crate) fn read(options: &Options, lab: &Lab, awake: bool) -> Self {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let ends = match (cpus, realtime_allowed()) {
            (1, _) => "client and server share the only CPU",
            (_, true) => "client on CPU 0, server on CPU 1, above ordinary processes (SCHED_FIFO)",
            (_, false) => {
                "client on CPU 0, server on CPU 1, as ordinary processes: SCHED_FIFO is not allowed"
            }
        };
        let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let list = vec![
            ("command", format!("cargo xtask bench {}", words.join(" ")).trim_end().to_owned()),
            ("date", said("date", &["--utc", "+%Y-%m-%d %H:%M UTC"])),
            ("commit", commit()),
            ("kernel", said("uname", &["-sr"])),
            ("CPU", format!("{cpus} of {}", cpu_model())),
            ("ends", ends.to_owned()),
            ("idle", if awake { "CPUs poll (/dev/cpu_dma_latency 0)" } else { "CPUs sleep" }.to_owned()),
            ("rounds", options.rounds.to_string()),
        ];
        let paths = lab.lanes.iter().map(|lane| (lane.name(), lane.path())).collect();
        Self { list, paths }
    }

    /// Lines for a terminal.
    pub(crate) fn text(&self) -> String {
        let lines = self.list.iter().map(|(name, value)| format!("  {name:<9} {value}"));
        let paths = self.paths.iter().map(|(name, path)| format!("  {name:<9} {path}"));
        let mut lines: Vec<String> = lines.chain(["Paths".to_owned()]).chain(paths).collect();
        lines.insert(0, "Machine and run".to_owned());
        lines.join("\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let table = |head: &str, rows: &[(&str, String)]| {
            let rows: Vec<String> =
                rows.iter().map(|(name, value)| format!("| {name} | {value} |")).collect();
            format!("| {head} | |\n|---|---|\n{}\n", rows.join("\n"))
        };
        format!("{}\n{}\n{CAVEAT}\n", table("run", &self.list), table("path", &self.paths))
    }

    pub(crate) fn json(&self) -> Value {
        let object = |rows: &[(&'static str, String)]| -> Value {
            rows.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
        };
        json!({"run": object(&self.list), "paths": object(&self.paths), "caveat": CAVEAT})
    }
}

fn said(program: &str, args: &[&str]) -> String {
    run(Command::new(program).args(args)).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn commit() -> String {
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=10"]);
    commit.replace("-dirty", ", with changes")
}
