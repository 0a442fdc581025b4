//! HTTP and JSON on a Unix socket: how the command line, and whoever else may, talks to the agent.

pub mod access;
pub mod client;
mod extract;
pub mod fds;
mod fdstream;
mod handlers;
mod openapi;
mod places;
mod router;
pub mod server;
pub mod socket;
pub mod types;

use std::path::{Path, PathBuf};

/// Where the agent of this run directory listens.
pub fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("overlay.sock")
}

#[cfg(test)]
mod tests;
