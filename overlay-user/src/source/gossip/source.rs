//! Tells the agent that the cluster has changed, no oftener than it can follow.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Gossip;
use crate::{event::Event, source::Source};

/// So long the agent is spared changes after one, and for a multiple of what that one took.
const PAUSE: Duration = Duration::from_millis(20);
/// Of the time at most one part in so many is spent on following the cluster.
const SHARE: u32 = 4;

/// Tells the agent that there is something new.
pub struct GossipSource {
    gossip: Gossip,
    /// What was told last.
    serial: u64,
    /// When that was, until it is known how long the agent took over it.
    told_at: Option<Instant>,
    /// Before that the agent is spared the next change.
    not_before: Instant,
}

impl GossipSource {
    /// A source of what an engine has.
    pub fn new(gossip: Gossip) -> Self {
        Self { gossip, serial: 0, told_at: None, not_before: Instant::now() }
    }
}

impl Source for GossipSource {
    fn name(&self) -> &'static str {
        "gossip"
    }

    async fn next(&mut self) -> Option<Event> {
        // It calls again when it has followed the last change.
        if let Some(at) = self.told_at.take() {
            self.not_before = Instant::now() + PAUSE.max(at.elapsed() * SHARE);
        }
        loop {
            sleep_until(self.not_before).await;
            let serial = self.gossip.serial().await;
            if serial != self.serial {
                self.serial = serial;
                self.told_at = Some(Instant::now());
                return None;
            }
            self.gossip.changed.notified().await;
        }
    }
}
