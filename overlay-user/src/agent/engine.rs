//! The engine that the configuration names, opened.

use std::{net::SocketAddr, sync::Arc};

use anyhow::bail;
use chitchat::transport::UdpTransport;

use super::core::Agent;
use crate::{
    cli::Paths,
    config::{self, Config},
    event::{Event, SourceError},
    source::{
        Engine, FileSource, GossipSource,
        gossip::{self, Gossip, Options},
    },
};

/// Opens the engine; one that this node tells something is the agent's from now on.
pub(super) async fn open(paths: &Paths, config: &Config, agent: &mut Agent) -> anyhow::Result<Engine> {
    match config.cluster.engine {
        config::Engine::File => Ok(Engine::File(FileSource::new(config.cluster.file.path.clone()))),
        config::Engine::Gossip => {
            let gossip = Gossip::join(options(paths, config, agent)?).await?;
            agent.gossip = Some(gossip.clone());
            Ok(Engine::Gossip(GossipSource::new(gossip)))
        }
    }
}

fn options(paths: &Paths, config: &Config, agent: &Agent) -> anyhow::Result<Options> {
    let section = &config.cluster.gossip;
    if !section.insecure {
        bail!("there is no key");
    }
    let address = SocketAddr::new(agent.vteps.first(), section.port);
    Ok(Options {
        node: config.node.name.clone(),
        vteps: agent.vteps.iter().collect(),
        address,
        seeds: section.seeds.clone(),
        keys: Vec::new(),
        state_dir: paths.state_dir.clone(),
        transport: Arc::new(UdpTransport),
    })
}

/// The cluster as the engine has it now, for who does not take part in it.
pub(super) async fn once(paths: &Paths, config: &Config) -> anyhow::Result<Event> {
    use crate::source::Source as _;
    match config.cluster.engine {
        config::Engine::File => Ok(FileSource::new(config.cluster.file.path.clone()).next().await),
        config::Engine::Gossip => Ok(match gossip::recalled(&config.node.name, &paths.state_dir)? {
            Some(cluster) => Event::Cluster(cluster),
            None => Event::SourceFailed(SourceError {
                message: "no agent has joined the cluster on this node yet; start one: overlay agent"
                    .to_owned(),
                line: None,
                column: None,
            }),
        }),
    }
}
