//! With whom a node gossips, of its own accord and when something has changed.

use std::{collections::BTreeSet, net::SocketAddr};

use tokio::time::Instant;

use super::Engine;
use crate::membership::liveness::Alive;

/// To so many peers a change is told at once; from them it spreads.
const TOLD_AT_ONCE: usize = 16;

impl Engine {
    /// Gossips as far as it is due; when there is more of it to do.
    pub(in super::super) fn gossip(&mut self) -> Instant {
        let (now, peers) = (Instant::now(), self.addresses.len());
        if self.untold && self.pace.tells(now) {
            self.untold = false;
            self.tell();
        }
        if self.pace.beats(now, peers) {
            self.beat();
        }
        let tell = self.pace.tell_due().filter(|_| self.untold);
        tell.into_iter().chain(self.pace.beat_due(peers)).min().unwrap_or(now)
    }

    /// Tells peers at once of what was published.
    fn tell(&self) {
        let mut peers: Vec<SocketAddr> = self.addresses.values().copied().collect();
        // Another start at each change, so that no peer is always the last to know.
        let count = peers.len().max(1);
        peers.rotate_left((self.machine.version() % count as u64) as usize);
        peers.into_iter().take(TOLD_AT_ONCE).for_each(|peer| self.gossip_with(peer));
    }

    /// Gossips with a peer or two.
    fn beat(&mut self) {
        let up: BTreeSet<SocketAddr> = self
            .addresses
            .iter()
            .filter(|(name, _)| self.machine.alive(name) == Alive::Up)
            .map(|(_, address)| *address)
            .collect();
        let heard_of = self.seen.keys().map(|id| id.gossip_advertise_addr);
        let away = heard_of
            .chain(self.seeds.iter().copied())
            .filter(|address| *address != self.own && !up.contains(address))
            .collect();
        self.pace.choose(&up, &away).for_each(|peer| self.gossip_with(peer));
    }

    fn gossip_with(&self, peer: SocketAddr) {
        if let Err(error) = self.chitchat.gossip(peer) {
            tracing::warn!("cannot gossip: {error:#}");
        }
    }
}
