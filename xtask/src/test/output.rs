//! Reading what the test harness prints.

/// What tests came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that held.
    pub(crate) passed: usize,
    /// Tests that did not.
    pub(crate) failed: usize,
    /// Tests that could not or should not run.
    pub(crate) skipped: usize,
    /// Name and reason of each skipped test that gave one.
    pub(crate) reasons: Vec<(String, String)>,
    /// Skips told since the last result line, which counts those tests as passed.
    told: usize,
}

impl Count {
    /// Takes note of one line of the harness's output.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.read_result(result);
        } else if let Some((name, reason)) = told_skip(line) {
            self.told += 1;
            self.reasons.push((name.to_owned(), reason.to_owned()));
        } else if let Some((name, reason)) = ignored(line) {
            self.reasons.push((name.to_owned(), reason.to_owned()));
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`
    fn read_result(&mut self, result: &str) {
        let number = |word: &str| {
            let before = result.split_once(word)?.0;
            before.split_whitespace().next_back()?.parse::<usize>().ok()
        };
        let passed = number(" passed").unwrap_or(0);
        // A test that tells its skip and then fails has failed.
        let told = self.told.min(passed);
        self.passed += passed - told;
        self.failed += number(" failed").unwrap_or(0);
        self.skipped += number(" ignored").unwrap_or(0) + told;
        self.told = 0;
    }

    /// Counts a test that could not run.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.skipped += 1;
        self.reasons.push((name.to_owned(), reason.to_owned()));
    }

    /// Adds another's tests to these.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons);
    }

    /// The line that people and CI read.
    pub(crate) fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// `skipped: NAME: REASON`, also behind the harness's own `test NAME ... `.
fn told_skip(line: &str) -> Option<(&str, &str)> {
    let told = match line.strip_prefix("skipped: ") {
        Some(told) => told,
        None => line.strip_prefix("test ")?.split_once(" ... skipped: ")?.1,
    };
    told.split_once(": ")
}

/// `test NAME ... ignored, REASON`, or without a reason.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, end) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, end.strip_prefix(", ").unwrap_or("marked #[ignore]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Count {
        let mut count = Count::default();
        text.lines().for_each(|line| count.read(line));
        count
    }

    #[test]
    fn results_of_several_binaries_add_up() {
        let count = count(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s",
        );
        assert_eq!(count.line(), "15 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn a_skip_told_at_run_time_is_no_pass() {
        let count = count(
            "test moves ... \nskipped: moves: no second core\nok\n\
             test spreads ... skipped: spreads: needs 6.6: has 6.1\n\
             test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!(count.line(), "4 passed, 0 failed, 2 skipped");
        assert_eq!(count.reasons[0], ("moves".to_owned(), "no second core".to_owned()));
        assert_eq!(count.reasons[1], ("spreads".to_owned(), "needs 6.6: has 6.1".to_owned()));
    }

    #[test]
    fn an_ignored_test_is_skipped_with_its_reason() {
        let count = count(
            "test slow ... ignored, takes an hour\ntest odd ... ignored\n\
             test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!(count.line(), "0 passed, 0 failed, 2 skipped");
        assert_eq!(count.reasons[0], ("slow".to_owned(), "takes an hour".to_owned()));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            count("running 3 tests\ntest skipped::names ... ok\nhello: skipped: x: y"),
            Count::default()
        );
    }
}
