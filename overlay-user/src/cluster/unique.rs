//! Values that may stand in the file once.

use std::{collections::BTreeMap, fmt::Display};

use crate::document::{DocumentError, Value};

/// The values there are, and where each stands.
pub(super) struct Unique<K> {
    places: BTreeMap<K, usize>,
}

impl<K: Ord> Unique<K> {
    pub(super) fn new() -> Self {
        Self { places: BTreeMap::new() }
    }

    /// Takes `key`, which `value` gives and messages show as `shown`, or says who has it; `owner` is who needs its own.
    pub(super) fn claim(
        &mut self,
        key: K,
        value: &Value<'_>,
        shown: impl Display,
        owner: &str,
    ) -> Result<(), DocumentError> {
        // The line is counted only for a message: counting it for each value would take the square of the file.
        match self.places.get(&key) {
            Some(first) => {
                let line = value.document().line(*first);
                Err(value
                    .error(&format!("{shown} is already taken on line {line}; give each {owner} its own")))
            }
            None => {
                self.places.insert(key, value.start());
                Ok(())
            }
        }
    }
}
