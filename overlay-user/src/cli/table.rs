//! Text for people: aligned columns without lines, and nothing in them that a terminal would obey.

use comfy_table::{Cell, ContentArrangement, presets};

/// Makes a table with a header, or says `empty` if there is no row.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    empty: &str,
) -> String {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return format!("{empty}\n");
    }
    let mut table = comfy_table::Table::new();
    // Not wrapped to the terminal: a row stays a line for grep and awk.
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| Cell::new(if cell.is_empty() { "-".to_owned() } else { plain(&cell) })));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Makes lines of `name value`, with the values aligned; a value of several lines stays in its column.
pub(super) fn fields(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let fields: Vec<_> = fields.into_iter().collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (name, value) in fields {
        let value = if value.is_empty() { "-".to_owned() } else { value };
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            text += format!("{name:width$}{}", plain(line)).trim_end();
            text.push('\n');
        }
    }
    text
}

/// Replaces what would move the cursor, change colours or reverse the text.
pub(super) fn plain(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_lines() {
        let rows = [["a".to_owned(), "1".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "N"], rows, "none"), "NAME    N\na       1\nlonger  -\n");
        assert_eq!(table::<2>(["NAME", "N"], [], "none"), "none\n");
    }

    #[test]
    fn nothing_in_a_cell_commands_the_terminal() {
        let evil = "\u{1b}[2Jgone\n\u{202e}txt".to_owned();
        let text = table(["NAME"], [[evil.clone()]], "none");
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(!fields([("name", evil)]).contains('\u{1b}'));
    }

    #[test]
    fn values_of_several_lines_stay_in_their_column() {
        assert_eq!(
            fields([("a", "1\n2".to_owned()), ("long", String::new())]),
            "a     1\n      2\nlong  -\n"
        );
    }
}
