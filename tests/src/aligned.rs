//! Tables for people.

/// Rows in aligned columns, indented by two, the first row as their heading; numbers stand right.
pub fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let number = |cell: &str| cell.parse::<f64>().is_ok();
    let right = |column: usize| {
        let mut body = rows.iter().skip(1).filter_map(|row| row.get(column)).peekable();
        body.peek().is_some() && body.all(|cell| number(cell) || cell == "-")
    };
    let line = |row: &Vec<String>| {
        let cells = (0..columns).map(|column| {
            let cell = row.get(column).map_or("", String::as_str);
            let gap = " ".repeat(width(column).saturating_sub(cell.chars().count()));
            if right(column) { format!("  {gap}{cell}") } else { format!("  {cell}{gap}") }
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let rows = [vec!["name", "count"], vec!["a", "5"], vec!["long", "-"], vec!["b", "12345.5"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(
            aligned(&rows),
            ["  name    count", "  a           5", "  long        -", "  b     12345.5"]
        );
    }
}
