//! The agent's own file, and what the kernel says of the process, for the fuzz targets.

use super::{bindings, preflight};

/// The bindings of `bindings.json`, written again; none where the text is none that an agent wrote.
pub fn bindings(text: &[u8]) -> Option<Vec<u8>> {
    let (_, by_id) = bindings::read(text)?;
    bindings::text(&by_id).ok()
}

/// Whether the text of `/proc/self/status` shows a process with all capabilities that are needed, or does not say.
pub fn capable(status: &str) -> bool {
    preflight::check_capabilities(status).is_ok()
}
