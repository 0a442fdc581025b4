//! The overlay node agent and its command line.

pub mod cluster;
pub mod config;
pub mod datapath;
pub mod document;
pub mod event;
pub mod plan;
pub mod source;
pub mod state;
pub mod tables;
mod text_file;
mod words;
