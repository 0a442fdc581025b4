//! Every drop reason stands in the README's table and in a test.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use overlay_common::DropReason;

const BEGIN: &str = "<!-- drop-reasons -->";
const END: &str = "<!-- /drop-reasons -->";

/// Reasons that the table or the tests lack; `fix` writes the table.
pub(crate) fn faults(root: &Path, fix: bool) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).unwrap_or_default();
    match with_table(&text, &table()) {
        None => faults.push(format!("README.md: no lines {BEGIN} and {END} for the table of drop reasons")),
        Some(right) if right == text => {}
        Some(right) if fix => fs::write(&readme, right).context("cannot write README.md")?,
        Some(_) => {
            faults.push(
                "README.md: the table of drop reasons is not current: run `cargo xtask check --fix`"
                    .to_owned(),
            );
        }
    }
    let mut tests = String::new();
    for path in super::rust_files(&root.join("tests"))? {
        tests
            .push_str(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let untested = DropReason::ALL.into_iter().filter(|reason| !is_named(&tests, reason.name()));
    faults.extend(
        untested.map(|reason| format!("drop reason `{}`: no test under tests/ names it", reason.name())),
    );
    Ok(faults)
}

/// The table, as Markdown.
fn table() -> String {
    let row = |reason: DropReason| format!("| `{}` | {} |\n", reason.name(), reason.describe());
    let rows: String = DropReason::ALL.into_iter().map(row).collect();
    format!("| reason | what was dropped |\n|---|---|\n{rows}")
}

/// The text with its table replaced; `None` when it has no place for one.
fn with_table(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

/// Whether the tests name the reason, as `unknown_vtep` or as `UnknownVtep`, as a whole word.
fn is_named(tests: &str, name: &str) -> bool {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let variant: String = name.split('_').map(capital).collect();
    let mut words = tests.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.any(|word| word == name || word == variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_and_then_current() {
        let text = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let right = with_table(&text, "| new |\n").expect("a place for it");
        assert_eq!(right, format!("above\n{BEGIN}\n| new |\n{END}\nbelow\n"));
        assert_eq!(with_table(&right, "| new |\n"), Some(right));
        assert_eq!(with_table("no place", "| new |\n"), None);
    }

    #[test]
    fn a_reason_is_named_by_its_whole_name_only() {
        assert!(is_named("assert(\"unknown_vni\")", "unknown_vni"));
        assert!(is_named("DropReason::UnknownVni", "unknown_vni"));
        assert!(!is_named("not_unknown_vni UnknownVnis", "unknown_vni"));
    }
}
