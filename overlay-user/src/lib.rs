//! The overlay node agent and its command line.
//!
//! `source` says what the cluster is, `state` what follows from it, `plan` what to change, `datapath` changes it in
//! the kernel; `netlink` and `netns` are the edges to devices and containers, `api` and `cli` those to people.

pub mod agent;
pub mod api;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod datapath;
#[cfg(feature = "decoders")]
#[doc(hidden)]
pub mod decoders;
mod dir_lock;
pub mod document;
pub mod event;
mod failpoint;
mod files;
pub mod gossip;
pub mod joined;
mod kernel;
pub mod logging;
pub mod membership;
pub mod netlink;
pub mod netns;
pub mod plan;
pub mod source;
pub mod state;
pub mod tables;
mod text_file;
pub mod uninstall;
pub mod vteps;
mod words;
