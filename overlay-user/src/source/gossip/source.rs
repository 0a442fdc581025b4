//! Tells the agent what the cluster is, no oftener than it can follow.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Gossip;
use crate::{cluster::Cluster, event::Event, source::Source};

/// So long the agent is spared changes after one, and for a multiple of what that one took.
const PAUSE: Duration = Duration::from_millis(20);
/// Of the time at most one part in so many is spent on following the cluster.
const SHARE: u32 = 4;

/// Tells the agent what the cluster is.
pub struct GossipSource {
    gossip: Gossip,
    told: Option<Cluster>,
    /// The version of the machine that was told.
    version: u64,
    /// When the last change was told, until it is known how long the agent took over it.
    told_at: Option<Instant>,
    /// Before that the agent is spared the next change.
    not_before: Instant,
}

impl GossipSource {
    /// A source of what an engine has.
    pub fn new(gossip: Gossip) -> Self {
        Self { gossip, told: None, version: 0, told_at: None, not_before: Instant::now() }
    }

    /// The cluster, where it is another than was told.
    async fn news(&mut self) -> Option<Cluster> {
        let (version, view) = {
            let mut engine = self.gossip.engine.lock().await;
            let version = engine.version();
            (version, (version != self.version).then(|| engine.view()))
        };
        self.version = version;
        let view = view.filter(|view| self.told.as_ref() != Some(&view.cluster));
        view.map(|view| view.cluster.clone())
    }
}

impl Source for GossipSource {
    fn name(&self) -> &'static str {
        "gossip"
    }

    async fn next(&mut self) -> Event {
        // It calls again when it has followed the last change.
        if let Some(at) = self.told_at.take() {
            self.not_before = Instant::now() + PAUSE.max(at.elapsed() * SHARE);
        }
        loop {
            sleep_until(self.not_before).await;
            if let Some(cluster) = self.news().await {
                self.told = Some(cluster.clone());
                self.told_at = Some(Instant::now());
                return Event::Cluster(cluster);
            }
            self.gossip.changed.notified().await;
        }
    }
}
