//! `overlay cluster init` and `token`: what is done without an agent.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, bail};

use super::{
    args::{ClusterInit, Output, Paths},
    output,
};
use crate::{
    config::{Config, GOSSIP_PORT},
    gossip::JoinToken,
    joined,
    netlink::{Host, UnderlaySelect},
};

/// Makes a cluster; prints its token.
pub(super) fn init(paths: &Paths, args: &ClusterInit) -> anyhow::Result<String> {
    let config = paths.config.exists().then(|| Config::load(&paths.config)).transpose()?;
    let port = config.as_ref().map_or(GOSSIP_PORT, |config| config.cluster.gossip.port);
    let seed = match &args.seed {
        Some(seed) => read_seed(seed, port)?,
        None => SocketAddr::new(own_address(config.as_ref())?, port),
    };
    show(args.output, &joined::init(&paths.state_dir, seed)?)
}

/// Prints the token of the cluster that this host is of.
pub(super) fn token(paths: &Paths, output: Output) -> anyhow::Result<String> {
    show(output, &joined::token(&paths.state_dir)?)
}

fn show(output: Output, token: &JoinToken) -> anyhow::Result<String> {
    let shown = serde_json::json!({ "token": token.to_string(), "seeds": token.seeds() });
    output::render(output, &shown, |_| format!("{token}\n"))
}

fn read_seed(text: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok();
    let found = with_port.or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)));
    found.with_context(|| {
        format!("--seed: {text:?} is no address; write it like 10.88.0.1 or 10.88.0.1:{port}")
    })
}

/// Where the others reach this host: at its VTEP, or where its default route leaves.
fn own_address(config: Option<&Config>) -> anyhow::Result<IpAddr> {
    let Some(config) = config else { return Ok(joined::default_address()?) };
    let select = match (&config.node.underlay, config.node.vteps) {
        (_, Some(vteps)) => return Ok(vteps.first()),
        (Some(device), None) => UnderlaySelect::Device(device.clone()),
        (None, None) => bail!("node: neither underlay nor vtep is set; set one of them"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let host = Host::open().context("cannot read the network configuration")?;
        Ok(host.underlay_link(&select, None).await?.vteps.first())
    })
}
