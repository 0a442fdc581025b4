//! Where the cluster membership and the endpoint table come from.

use std::future::Future;

use crate::event::Event;

mod file;
pub mod gossip;

pub use self::{
    file::{FILE_LIMIT, FileSource},
    gossip::GossipSource,
};

/// A membership engine.
pub trait Source: Send {
    /// The name of the engine, as in `cluster.engine`.
    fn name(&self) -> &'static str;

    /// Waits for the next change: the whole cluster, or why there is none. Nothing, where the agent is to ask the engine
    /// itself what it is (`Gossip::news`), as the commands that change something do.
    ///
    /// The first call answers at once. A future that is dropped loses no change.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// The engine that the configuration names.
pub enum Engine {
    /// `file`
    File(FileSource),
    /// `gossip`
    Gossip(GossipSource),
}

impl Source for Engine {
    fn name(&self) -> &'static str {
        match self {
            Self::File(source) => source.name(),
            Self::Gossip(source) => source.name(),
        }
    }

    async fn next(&mut self) -> Option<Event> {
        match self {
            Self::File(source) => source.next().await,
            Self::Gossip(source) => source.next().await,
        }
    }
}
