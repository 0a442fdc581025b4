//! How long the way to each peer and back takes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So long a time holds that is not measured again.
const KEPT: Duration = Duration::from_mins(1);
/// Peers at most.
const MOST: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    at: Instant,
}

/// Round trip times by address, smoothed as TCP does (RFC 6298 section 2.3).
#[derive(Clone, Debug, Default)]
pub(super) struct Rtts(Arc<Mutex<BTreeMap<SocketAddr, Measured>>>);

impl Rtts {
    pub(super) fn add(&self, peer: SocketAddr, rtt: Duration) {
        let at = Instant::now();
        let mut rtts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rtts.len() >= MOST && !rtts.contains_key(&peer) {
            rtts.retain(|_, measured| holds(measured, at));
            if rtts.len() >= MOST {
                return;
            }
        }
        let measured = rtts.entry(peer).or_insert(Measured { smoothed: rtt, at });
        let former = if holds(measured, at) { measured.smoothed } else { rtt };
        *measured = Measured { smoothed: former * 7 / 8 + rtt / 8, at };
    }

    pub(super) fn all(&self) -> BTreeMap<SocketAddr, Duration> {
        let now = Instant::now();
        let rtts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holding = rtts.iter().filter(|(_, measured)| holds(measured, now));
        holding.map(|(peer, measured)| (*peer, measured.smoothed)).collect()
    }
}

fn holds(measured: &Measured, now: Instant) -> bool {
    now.saturating_duration_since(measured.at) < KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_are_smoothed_and_forgotten() {
        let (rtts, peer) = (Rtts::default(), SocketAddr::from(([192, 0, 2, 1], 7)));
        let of_peer = || rtts.all().get(&peer).copied();
        rtts.add(peer, Duration::from_millis(8));
        assert_eq!(of_peer(), Some(Duration::from_millis(8)));
        rtts.add(peer, Duration::from_millis(16));
        assert_eq!(of_peer(), Some(Duration::from_millis(9)));
        tokio::time::advance(KEPT).await;
        assert_eq!(of_peer(), None);
        rtts.add(peer, Duration::from_millis(24));
        assert_eq!(of_peer(), Some(Duration::from_millis(24)), "anew");
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_at_most() {
        let rtts = Rtts::default();
        let peer = |number: u16| SocketAddr::from(([192, 0, 2, 1], number));
        for number in 0..2 * MOST as u16 {
            rtts.add(peer(number), Duration::from_millis(1));
        }
        assert_eq!(rtts.all().len(), MOST);
        tokio::time::advance(KEPT).await;
        rtts.add(peer(2 * MOST as u16), Duration::from_millis(1));
        assert_eq!(rtts.all().len(), 1, "room again");
    }
}
