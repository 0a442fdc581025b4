//! Labs of network namespaces, shared by `cargo xtask run` and the tests that need root.
//!
//! A `Lab` is an underlay bridge with hosts on it; a host is a network namespace with a real agent process;
//! a container is a network namespace bound to an endpoint of the host's agent. Everything a lab makes carries
//! its name, is removed when the `Lab` is dropped, and, after a crash, when the next lab of that name starts.
//! This library may shell out to `ip`, `nsenter` and `ping`; the agent may not.

mod aligned;
pub mod budget;
mod capture;
mod carry;
mod cluster;
mod command;
pub mod family;
mod figure;
mod full;
mod host;
pub mod interrupt;
mod lab;
mod leftovers;
mod load;
mod machine;
mod netns;
mod parallel;
mod patience;
mod random;
pub mod scene;
mod segments;
mod skip;
pub mod traffic;
mod underlay;
mod who;

pub use crate::{
    aligned::aligned,
    capture::Capture,
    carry::Data,
    cluster::{Cluster, Endpoint, Network, Node},
    command::{output_within, run},
    family::Family,
    figure::figure,
    full::full,
    host::Host,
    lab::{Container, Engine, Lab, Options, over_v4, over_v6},
    leftovers::{processes, remove_dir},
    load::{Flow, FlowReport, Load, Losses, Report},
    machine::cpu_model,
    netns::{Netns, inside},
    parallel::map_parallel,
    patience::patient,
    random::Random,
    segments::Datagrams,
    skip::skip,
    underlay::{Underlay, add_address},
    who::Who,
};
