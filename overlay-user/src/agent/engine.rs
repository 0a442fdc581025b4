//! The engine that the configuration names, opened.

use std::{net::SocketAddr, sync::Arc};

use super::core::Agent;
use crate::{
    cli::Paths,
    config::{self, Config},
    event::{Event, SourceError},
    gossip::{Counters, SealedTransport, Security, SharedRing},
    joined::{self, JoinedError},
    source::{
        Engine, FileSource, GossipSource,
        gossip::{self, Gossip, Options},
    },
};

/// The keys of the engine, where it has any. Asked for before anything is installed: without them nothing is.
pub(super) fn keys(paths: &Paths, config: &Config) -> anyhow::Result<Option<SharedRing>> {
    if config.cluster.engine != config::Engine::Gossip || config.cluster.gossip.insecure {
        return Ok(None);
    }
    let path = joined::ring_path(&paths.state_dir);
    if !path.exists() {
        return Err(JoinedError::None.into());
    }
    Ok(Some(SharedRing::open(&path)?))
}

/// Opens the engine; one that this node tells something is the agent's from now on.
pub(super) async fn open(
    paths: &Paths,
    config: &Config,
    ring: Option<SharedRing>,
    agent: &mut Agent,
) -> anyhow::Result<Engine> {
    match config.cluster.engine {
        config::Engine::File => Ok(Engine::File(FileSource::new(config.cluster.file.path.clone()))),
        config::Engine::Gossip => {
            let gossip = Gossip::join(options(paths, config, ring, agent)).await?;
            agent.gossip = Some(gossip.clone());
            Ok(Engine::Gossip(GossipSource::new(gossip)))
        }
    }
}

fn options(paths: &Paths, config: &Config, ring: Option<SharedRing>, agent: &Agent) -> Options {
    let section = &config.cluster.gossip;
    let security = ring.clone().map_or(Security::Insecure, Security::Ring);
    let counters: Arc<Counters> = Arc::default();
    let transport = SealedTransport::new(security, Arc::clone(&counters));
    let address = SocketAddr::new(agent.vteps.first(), section.port);
    Options {
        node: config.node.name.clone(),
        vteps: agent.vteps.iter().collect(),
        address,
        seeds: section.seeds.clone(),
        state_dir: paths.state_dir.clone(),
        transport: Arc::new(transport.clone()),
        ring,
        counters,
        rtts: Arc::new(move || transport.rtts()),
    }
}

/// The cluster as the engine has it now, for who does not take part in it.
pub(super) async fn once(paths: &Paths, config: &Config) -> anyhow::Result<Option<Event>> {
    use crate::source::Source as _;
    match config.cluster.engine {
        config::Engine::File => Ok(FileSource::new(config.cluster.file.path.clone()).next().await),
        config::Engine::Gossip => Ok(match gossip::recalled(&config.node.name, &paths.state_dir)? {
            Some(cluster) => Some(Event::Cluster(cluster)),
            None => Some(Event::SourceFailed(SourceError {
                message: "no agent has joined the cluster on this node yet; start one: overlay agent"
                    .to_owned(),
                line: None,
                column: None,
            })),
        }),
    }
}
