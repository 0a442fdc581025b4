//! Reading what libFuzzer prints.

/// Lines of a panic that are worth repeating.
const SAID: usize = 3;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Inputs tried.
    pub(super) executions: u64,
    /// Inputs a second.
    pub(super) rate: u64,
    /// Edges of the control flow that were taken.
    pub(super) edges: u64,
    /// Inputs that took an edge, or took one more often, that none before did.
    pub(super) kept: u64,
    /// The path of the input that did wrong.
    pub(super) finding: Option<String>,
    /// What was said of it.
    pub(super) said: Vec<String>,
    /// Whether the run came to its end: that of its time, or at an input that did wrong.
    pub(super) ended: bool,
}

impl Log {
    /// Reads the whole text; `success` is that of the process.
    pub(super) fn read(text: &str, success: bool) -> Self {
        let mut log = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(stat) = line.strip_prefix("stat::") {
                log.stat(stat);
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                log.finding = Some(path.trim().to_owned());
            } else if line.contains("panicked at ") {
                // What it says stands in the line below.
                log.said.extend([line].into_iter().chain(lines.next()).map(|said| said.trim().to_owned()));
            } else if line.contains("ERROR: libFuzzer: ") {
                log.said.push(line.trim().to_owned());
            } else if line.starts_with('#') {
                log.progress(line);
            }
        }
        log.said.truncate(SAID);
        log.ended = log.finding.is_some() != success;
        log
    }

    /// `number_of_executed_units: 2734924`
    fn stat(&mut self, stat: &str) {
        let Some((name, value)) = stat.split_once(':') else { return };
        let Ok(value) = value.trim().parse() else { return };
        match name {
            "number_of_executed_units" => self.executions = value,
            "average_exec_per_sec" => self.rate = value,
            _ => {}
        }
    }

    /// `#4096  pulse  cov: 88 ft: 123 corp: 19/201b lim: 33 exec/s: 2048 rss: 40Mb`
    fn progress(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "cov:" => self.edges = words.next().and_then(|word| word.parse().ok()).unwrap_or(self.edges),
                "corp:" => {
                    let kept = words.next().and_then(|word| word.split('/').next()?.parse().ok());
                    self.kept = kept.unwrap_or(self.kept);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: &str = "INFO: seed corpus: files: 2\n#3\tINITED cov: 80 ft: 81 corp: 2/9b exec/s: 0 rss: 30Mb\n\
        #4096\tpulse  cov: 88 ft: 123 corp: 19/201b lim: 33 exec/s: 2048 rss: 40Mb\n";

    #[test]
    fn a_run_without_findings_has_its_figures() {
        let text = format!(
            "{PROGRESS}Done 5000 runs in 2 second(s)\nstat::number_of_executed_units: 5000\nstat::average_exec_per_sec:     2500\n"
        );
        let log = Log::read(&text, true);
        assert_eq!((log.executions, log.rate, log.edges, log.kept), (5000, 2500, 88, 19));
        assert_eq!((log.finding.as_deref(), log.ended), (None, true));
        assert!(!Log::read(&text, false).ended, "a process that failed without a finding");
    }

    #[test]
    fn a_finding_has_its_path_and_what_was_said() {
        let text = format!(
            "{PROGRESS}thread '<unnamed>' (7) panicked at src/a.rs:1:2:\nindex out of bounds\nnote: run with\n\
             ==7== ERROR: libFuzzer: deadly signal\nartifact_prefix='f/'; Test unit written to f/crash-0a\n"
        );
        let log = Log::read(&text, false);
        assert_eq!((log.finding.as_deref(), log.ended), (Some("f/crash-0a"), true));
        assert_eq!(log.said.len(), 3, "{:?}", log.said);
        assert!(log.said[0].contains("src/a.rs:1:2") && log.said[1] == "index out of bounds");
    }
}
