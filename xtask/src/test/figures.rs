//! What tests have measured, as a table.

/// The figures of a tier, in the order they were told.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<[String; 3]>);

impl Figures {
    /// Takes note of one line of the harness's output: `figure: NAME: WHAT: FIGURE`, also behind the harness's own
    /// `test NAME ... `.
    pub(crate) fn read(&mut self, line: &str) {
        let told = line.strip_prefix("figure: ").or_else(|| {
            let (_, told) = line.strip_prefix("test ")?.split_once(" ... figure: ")?;
            Some(told)
        });
        let mut parts = told.into_iter().flat_map(|told| told.splitn(3, ": ")).map(str::to_owned);
        if let (Some(name), Some(what), Some(figure)) = (parts.next(), parts.next(), parts.next()) {
            self.0.push([name, what, figure]);
        }
    }

    /// The lines of the table: name, what, figure; none where nothing was told.
    pub(crate) fn lines(&self) -> Vec<String> {
        let width = |column: usize| self.0.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let [name, what, figure] = [width(0), width(1), width(2)];
        let line = |row: &[String; 3]| format!("  {:<name$}  {:<what$}  {:>figure$}", row[0], row[1], row[2]);
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_columns() {
        let mut figures = Figures::default();
        for line in [
            "test ping ... figure: ping: answered: 50 of 50",
            "running 3 tests",
            "figure: stream: rate of a: b: 12",
            "figure: half",
        ] {
            figures.read(line);
        }
        assert_eq!(
            figures.lines(),
            ["  ping    answered   50 of 50", "  stream  rate of a     b: 12"],
            "a figure may hold a colon"
        );
    }
}
