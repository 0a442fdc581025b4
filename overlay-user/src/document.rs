//! A TOML document in which every key and value knows its place, so that an error can name line and column.
//!
//! Readers of a file walk the tree by `Table` and `Value` rather than by serde, because only the walk can say
//! what is wrong in the words of the file: which field, which key was meant, how to write it.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::words::{quoted, suggestion};

/// Why a document is refused, and where; line and column start at 1, columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct DocumentError {
    /// One sentence: the field, what is wrong, the remedy.
    pub message: String,
    /// The line of the offending value.
    pub line: usize,
    /// The column of the offending value.
    pub column: usize,
}

/// A document that is TOML.
pub(crate) struct Document<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// A table of a document, and the name by which messages call it.
pub(crate) struct Table<'d> {
    document: &'d Document<'d>,
    name: String,
    place: Range<usize>,
    entries: &'d DeTable<'d>,
}

/// A value of a document, and the field by which messages call it.
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    field: String,
    place: Range<usize>,
    value: &'d DeValue<'d>,
}

impl<'t> Document<'t> {
    /// Parses TOML.
    pub(crate) fn parse(text: &'t str) -> Result<Self, DocumentError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { text, root }),
            Err(error) => {
                let start = error.span().map_or(text.len(), |span| span.start);
                let message = error.message().replace('\n', ", ");
                Err(error_at(text, start, format!("this is not TOML: {message}; correct the line")))
            }
        }
    }

    /// The table that the whole document is.
    pub(crate) fn root(&self) -> Table<'_> {
        Table { document: self, name: String::new(), place: 0..0, entries: self.root.get_ref() }
    }

    /// The line of a place in the document.
    pub(crate) fn line(&self, place: usize) -> usize {
        position(self.text, place).0
    }
}

impl<'d> Table<'d> {
    /// Checks that the table has no key but `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), DocumentError> {
        let unknown = self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(first) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let key: &str = first.get_ref();
        let remedy = suggestion(key, known.iter().copied(), "keys here");
        let message = with_field(&self.name, &format!("unknown key {}; {remedy}", quoted(key)));
        Err(error_at(self.document.text, first.span().start, message))
    }

    /// The value of `key`, when the table has it.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'d>> {
        let value = self.entries.get(key)?;
        let field = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Some(Value { document: self.document, field, place: value.span(), value: value.get_ref() })
    }

    /// The value of `key`, which must be there; `example` is a value for the message.
    pub(crate) fn required(&self, key: &str, example: &str) -> Result<Value<'d>, DocumentError> {
        self.get(key).ok_or_else(|| self.error(&format!("{key} is missing; add {key} = {example}")))
    }

    /// The table `[key]`; without it, none.
    pub(crate) fn table(&self, key: &str) -> Result<Option<Table<'d>>, DocumentError> {
        self.get(key).map(|value| value.table(&format!("write it as [{}]", value.field))).transpose()
    }

    /// The tables `[[key]]`, in the order of the file.
    pub(crate) fn tables(&self, key: &str) -> Result<Vec<Table<'d>>, DocumentError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let remedy = format!("write each one as [[{}]]", value.field);
        let DeValue::Array(_) = value.value else {
            return Err(value.wrong_type("an array of tables", &remedy));
        };
        value.items()?.iter().map(|item| item.table(&remedy)).collect()
    }

    /// An error about the table, at its head.
    pub(crate) fn error(&self, message: &str) -> DocumentError {
        error_at(self.document.text, self.place.start, with_field(&self.name, message))
    }
}

impl<'d> Value<'d> {
    /// The text of a string.
    pub(crate) fn string(&self) -> Result<&'d str, DocumentError> {
        self.value.as_str().ok_or_else(|| self.wrong_type("a string", "write it in quotes"))
    }

    /// The number, which must be in `range`.
    pub(crate) fn integer(&self, min: u32, max: u32) -> Result<u32, DocumentError> {
        let number = self
            .value
            .as_integer()
            .ok_or_else(|| self.wrong_type("an integer", "write a whole number without quotes"))?;
        i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| (min..=max).contains(value))
            .ok_or_else(|| {
                let shown: String = number.to_string().chars().take(32).collect();
                self.error(&format!("{shown} is outside {min}..{max}; choose a number in that range"))
            })
    }

    /// Whether the value is a number.
    pub(crate) fn is_integer(&self) -> bool {
        self.value.is_integer()
    }

    /// Whether the value is an array.
    pub(crate) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    /// The truth value.
    pub(crate) fn boolean(&self) -> Result<bool, DocumentError> {
        self.value.as_bool().ok_or_else(|| self.wrong_type("a boolean", "write true or false without quotes"))
    }

    /// The items of an array.
    pub(crate) fn items(&self) -> Result<Vec<Value<'d>>, DocumentError> {
        let array = self
            .value
            .as_array()
            .ok_or_else(|| self.wrong_type("an array", "write it in square brackets"))?;
        Ok(array
            .iter()
            .map(|item| Value {
                document: self.document,
                field: self.field.clone(),
                place: item.span(),
                value: item.get_ref(),
            })
            .collect())
    }

    /// The items of an array that may have `most`, `what` being their plural.
    pub(crate) fn at_most(&self, most: usize, what: &str) -> Result<Vec<Value<'d>>, DocumentError> {
        let items = self.items()?;
        if let Some(extra) = items.get(most) {
            return Err(extra.error(&format!("there are more than {most} {what}; remove some")));
        }
        Ok(items)
    }

    /// Where the value starts, for `Document::line`.
    pub(crate) fn start(&self) -> usize {
        self.place.start
    }

    /// The document that holds the value.
    pub(crate) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// An error about the value, at its place.
    pub(crate) fn error(&self, message: &str) -> DocumentError {
        error_at(self.document.text, self.place.start, with_field(&self.field, message))
    }

    fn table(&self, remedy: &str) -> Result<Table<'d>, DocumentError> {
        let entries = self.value.as_table().ok_or_else(|| self.wrong_type("a table", remedy))?;
        Ok(Table { document: self.document, name: self.field.clone(), place: self.place.clone(), entries })
    }

    fn wrong_type(&self, wanted: &str, remedy: &str) -> DocumentError {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.error(&format!("{wanted} belongs here, not {found}; {remedy}"))
    }
}

fn with_field(field: &str, message: &str) -> String {
    if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") }
}

fn error_at(text: &str, place: usize, message: String) -> DocumentError {
    let (line, column) = position(text, place);
    DocumentError { message, line, column }
}

/// Line and column of a byte of the text, both from 1.
fn position(text: &str, place: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..place.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    // A character is counted at its first byte; the others have the form 10xxxxxx.
    let column = before[start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_lines_and_characters_from_one() {
        let text = "a = 1\nb = \"é\" # x";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 6), (2, 1));
        assert_eq!(position(text, text.find('#').expect("a hash")), (2, 9));
        assert_eq!(position(text, 1000), (2, 12));
    }

    #[test]
    fn a_table_knows_where_its_head_is() {
        let document = Document::parse("x = 1\n\n  [[t]]\na = 1\n[[t]]\n").expect("TOML");
        let tables = document.root().tables("t").expect("tables");
        let heads: Vec<_> = tables.iter().map(|table| table.error("here")).collect();
        assert_eq!(heads[0].to_string(), "3:3: t: here");
        assert_eq!(heads[1].to_string(), "5:1: t: here");
    }

    #[test]
    fn not_toml_is_one_line() {
        let error = Document::parse("a = 1\nb = [1,\n").err().expect("an error");
        assert!(error.message.starts_with("this is not TOML: "), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(error.line >= 2, "{error}");
    }
}
