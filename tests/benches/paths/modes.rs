//! The ways that are measured beside each other.

mod bridge;
mod cilium;
mod docker;
mod flannel;
mod headers;
mod hosts;
mod ours;
mod pair;
mod programs;
mod proof;
mod redirect;
mod routed;

use std::{net::IpAddr, path::PathBuf};

use anyhow::{Context as _, Result, bail};

/// The names of all modes, in the order of the report.
pub(crate) const ALL: [&str; 9] =
    ["hosts", "routed", "redirect", "headers", "docker", "bridge", "flannel", "cilium", "ours"];

/// Where the load of a figure goes.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    /// The file that holds the client's network namespace.
    pub(crate) client: PathBuf,
    /// The file that holds the server's.
    pub(crate) server: PathBuf,
    /// The server's address.
    pub(crate) to: IpAddr,
}

/// A way for packets between two hosts' containers, up from its start until it is dropped.
///
/// Each mode has two host namespaces of its own, joined by one veth pair with an MTU of 1500: what one mode leaves in
/// a host, as netfilter rules, slows no other.
pub(crate) trait Mode {
    /// Its word in the tables.
    fn name(&self) -> &'static str;
    /// Between two hosts.
    fn across(&self) -> Ends;
    /// The file of the network namespace that the frames of `across`'s client come to; none where the client is the
    /// host.
    fn host(&self) -> Option<PathBuf>;
    /// Between two containers of one host, where the mode has any.
    fn local(&self) -> Option<Ends>;
    /// What moves only when traffic between two hosts goes the named way: runs of its programs, packets of its device
    /// and the like. It only grows.
    fn passed(&self) -> Result<u64>;
    /// Devices and programs of the path, in one line.
    fn path(&self) -> String;
}

/// Sets a mode up.
pub(crate) fn start(name: &str) -> Result<Box<dyn Mode>> {
    let mode: Box<dyn Mode> = match name {
        "hosts" => Box::new(hosts::Hosts::start()?),
        "redirect" => Box::new(redirect::start()?),
        "headers" => Box::new(headers::start()?),
        "docker" => Box::new(docker::Docker::start()?),
        "bridge" => Box::new(bridge::start()?),
        "flannel" => Box::new(flannel::start()?),
        "cilium" => Box::new(cilium::start()?),
        "routed" => Box::new(routed::Routed::start()?),
        "ours" => Box::new(ours::Ours::start()?),
        _ => bail!("no mode is called {name}: there are {}", ALL.join(", ")),
    };
    proof::prove(&*mode).with_context(|| format!("mode {name} is not what it says"))?;
    Ok(mode)
}
