//! Names of nodes, networks and endpoints.

use crate::{
    document::{DocumentError, Value},
    words::quoted,
};

/// The longest name: that of a label of DNS.
const LONGEST: usize = 63;

/// Checks a name; the error is what is wrong with it and the remedy.
///
/// A network's name has no dot, because an endpoint's ID separates it by one.
pub(crate) fn check_name(name: &str, dots: bool) -> Result<(), String> {
    let rule =
        if dots { "letters, digits, \".\", \"_\" and \"-\"" } else { "letters, digits, \"_\" and \"-\"" };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (dots && byte == b'.');
    if name.is_empty() {
        Err("the name is empty; give one".to_owned())
    } else if !name.bytes().all(allowed) {
        Err(format!("{} is no name; use {rule} only", quoted(name)))
    } else if name.len() > LONGEST {
        Err(format!("{} is longer than {LONGEST} characters; choose a shorter name", quoted(name)))
    } else if !name.as_bytes()[0].is_ascii_alphanumeric() {
        Err(format!("{} does not start with a letter or digit; choose a name that does", quoted(name)))
    } else {
        Ok(())
    }
}

/// The name that a value is.
pub(super) fn read(value: &Value<'_>, dots: bool) -> Result<String, DocumentError> {
    let name = value.string()?;
    check_name(name, dots).map_err(|message| value.error(&message))?;
    Ok(name.to_owned())
}
