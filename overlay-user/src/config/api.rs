//! `[api]`: who may use the socket, and for what.

use crate::{
    document::{DocumentError, Table, Value},
    words::quoted,
};

/// The API on the Unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSection {
    /// The group that may use the socket, by name or number; without one, that of the agent.
    pub group: Option<String>,
    /// The users that may change something, by name or number, beside root and the agent's own.
    pub admins: Vec<String>,
}

pub(super) fn read(root: &Table<'_>) -> Result<ApiSection, DocumentError> {
    let Some(api) = root.table("api")? else { return Ok(ApiSection::default()) };
    api.only(&["group", "admins"])?;
    let group = api.get("group").map(|value| read_account(&value, "group")).transpose()?;
    let admins = match api.get("admins") {
        Some(value) => {
            value.items()?.iter().map(|item| read_account(item, "user")).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    Ok(ApiSection { group, admins })
}

/// Reads the name or number of a user or group, whichever `what` says.
fn read_account(value: &Value<'_>, what: &str) -> Result<String, DocumentError> {
    if value.is_integer() {
        // The highest number means "no change" to chown.
        return value.integer(0, u32::MAX - 1).map(|number| number.to_string());
    }
    let name = value.string()?;
    if name.is_empty() || name.contains([':', '\n', '\0']) {
        return Err(value.error(&format!("{} is no {what}; write its name or its number", quoted(name))));
    }
    Ok(name.to_owned())
}
