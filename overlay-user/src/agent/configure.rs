//! What an agent is run with: its configuration, and the cluster that it joins.

use anyhow::bail;

use crate::{
    cli::{Agent as Args, Paths},
    config::{Config, Engine},
    gossip::JoinToken,
    joined,
};

/// The configuration of the agent. Without a file a host that joins a cluster, or has joined one, needs none.
pub fn configure(paths: &Paths, args: &Args) -> anyhow::Result<Config> {
    let token: Option<JoinToken> = args.join.as_deref().map(|token| token.trim().parse()).transpose()?;
    let seeds = match &token {
        Some(token) => token.seeds().to_vec(),
        None => joined::seeds(&paths.state_dir)?,
    };
    let mut config = if !paths.config.exists() && !seeds.is_empty() {
        let vtep = joined::own_address(&seeds)?;
        Config::joined(vtep).map_err(|error| {
            anyhow::anyhow!("{}; write an overlay.toml with [node] and [cluster]", error.message)
        })?
    } else {
        Config::load(&paths.config)?
    };
    let asked = match (token.is_some(), args.insecure) {
        (true, _) => Some("--join"),
        (false, true) => Some("--insecure"),
        (false, false) => None,
    };
    if let Some(asked) = asked
        && config.cluster.engine != Engine::Gossip
    {
        let (engine, path) = (config.cluster.engine.name(), paths.config.display());
        bail!("{asked}: cluster.engine is {engine:?} in {path}; set it to \"gossip\" to join a cluster");
    }
    if let Some(token) = &token {
        joined::accept(&paths.state_dir, token)?;
    }
    config.cluster.gossip.insecure |= args.insecure;
    let known = &mut config.cluster.gossip.seeds;
    for seed in seeds {
        if !known.contains(&seed) {
            known.push(seed);
        }
    }
    Ok(config)
}
