//! The overlay node agent and its command line.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod event;
pub mod netlink;
pub mod netns;
pub mod tables;
