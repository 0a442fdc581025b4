//! `[log]`: how the agent logs.

use crate::{
    document::{DocumentError, Table},
    words::{quoted, suggestion},
};

/// The agent's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSection {
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

impl LogFormat {
    const ALL: [Self; 2] = [Self::Text, Self::Json];

    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

pub(super) fn read(root: &Table<'_>) -> Result<LogSection, DocumentError> {
    let Some(log) = root.table("log")? else { return Ok(LogSection::default()) };
    log.only(&["format"])?;
    let Some(value) = log.get("format") else { return Ok(LogSection::default()) };
    let name = value.string()?;
    match LogFormat::ALL.into_iter().find(|format| format.name() == name) {
        Some(format) => Ok(LogSection { format }),
        None => {
            let remedy = suggestion(name, LogFormat::ALL.map(LogFormat::name), "formats");
            Err(value.error(&format!("unknown format {}; {remedy}", quoted(name))))
        }
    }
}
