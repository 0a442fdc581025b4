//! How often a node gossips, and with whom.
//!
//! Every message lists all nodes. So that what a node sends does not grow with their square, it gossips the less often the
//! more there are; and that is how long their silence must be before it means something.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    time::Duration,
};

use tokio::time::Instant;

use crate::membership::liveness::SILENCE;

/// From one beat to the next in a small cluster. Each beat is an exchange with one peer.
const FASTEST: Duration = Duration::from_millis(75);
/// So much of a beat for each peer: beyond 30 of them, a node sends about the same whatever their number.
const OF_A_PEER: Duration = Duration::from_micros(2500);
/// From one beat to the next at most, with 200 peers and more: their death is not to be found ever later.
pub(super) const SLOWEST: Duration = Duration::from_millis(500);
/// A peer that is there is heard of within so many beats: each doubles or trebles who has heard, and some are lost.
const BEATS_OF_SILENCE: u32 = 20;
/// From telling peers at once of a change to telling them of the next. What changes meanwhile is told with it: two
/// hundred changes a second cost what twenty do, and nobody waits for long.
const APART: Duration = Duration::from_millis(50);

/// From one beat to the next, with so many peers.
fn beat(peers: usize) -> Duration {
    let peers = u32::try_from(peers).unwrap_or(u32::MAX);
    OF_A_PEER.saturating_mul(peers).clamp(FASTEST, SLOWEST)
}

/// So long a node may be silent, with so many peers.
pub(super) fn silence(peers: usize) -> Duration {
    (beat(peers) * BEATS_OF_SILENCE).max(SILENCE)
}

/// When this node gossips. It has no clock: whoever asks tells it what time it is, and the same throughout.
#[derive(Debug)]
pub(super) struct Pace {
    beaten: Option<Instant>,
    told: Option<Instant>,
    random: RandomState,
    /// How many random numbers were drawn.
    drawn: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { beaten: None, told: None, random: RandomState::new(), drawn: 0 }
    }

    /// When the next beat is due, with so many peers; the first is at once.
    pub(super) fn beat_due(&self, peers: usize) -> Option<Instant> {
        Some(self.beaten? + beat(peers))
    }

    /// When peers may be told of a change; of the first at once.
    pub(super) fn tell_due(&self) -> Option<Instant> {
        Some(self.told? + APART)
    }

    /// Whether a beat is due; then it is taken.
    pub(super) fn beats(&mut self, now: Instant, peers: usize) -> bool {
        let is_due = self.beat_due(peers).is_none_or(|due| due <= now);
        if is_due {
            self.beaten = Some(now);
        }
        is_due
    }

    /// Whether peers may be told of a change; then they are.
    pub(super) fn tells(&mut self, now: Instant) -> bool {
        let is_due = self.tell_due().is_none_or(|due| due <= now);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// With whom to gossip: with one that is up; and the more likely the more there are, with one that is away.
    ///
    /// Whoever is away may have come back, or be the other side of a split.
    pub(super) fn choose(
        &mut self,
        up: &BTreeSet<SocketAddr>,
        away: &BTreeSet<SocketAddr>,
    ) -> impl Iterator<Item = SocketAddr> + use<> {
        let one = self.one_of(up);
        let is_away_asked = self.draw(up.len() + 1) < away.len();
        let other = if is_away_asked { self.one_of(away) } else { None };
        one.into_iter().chain(other)
    }

    fn one_of(&mut self, peers: &BTreeSet<SocketAddr>) -> Option<SocketAddr> {
        let place = self.draw(peers.len().max(1));
        peers.iter().nth(place).copied()
    }

    /// A random number below another.
    fn draw(&mut self, below: usize) -> usize {
        self.drawn += 1;
        (self.random.hash_one(self.drawn) % below as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn peers(numbers: std::ops::Range<u8>) -> BTreeSet<SocketAddr> {
        numbers.map(|number| SocketAddr::from(([192, 0, 2, number], 7950))).collect()
    }

    #[test]
    fn a_beat_is_the_longer_the_more_peers_there_are_within_bounds() {
        for (peers, milliseconds) in
            [(0, 75), (1, 75), (30, 75), (49, 122), (99, 247), (200, 500), (511, 500), (usize::MAX, 500)]
        {
            assert_eq!(beat(peers).as_millis(), milliseconds, "{peers}");
        }
        for (peers, milliseconds) in [(1, 4000), (49, 4000), (99, 4950), (199, 9950), (511, 10_000)] {
            assert_eq!(silence(peers).as_millis(), milliseconds, "{peers}");
        }
    }

    #[test]
    fn the_first_change_is_told_at_once_and_of_a_stream_one_in_a_while() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        assert!(pace.tells(start), "the first");
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let told = (1..=1000).filter(|milliseconds| pace.tells(after(*milliseconds))).count();
        assert_eq!(told as u128, 1000 / APART.as_millis());
        assert!(!pace.tells(after(1001)));
        assert!(pace.tells(after(5000)), "after a pause the next at once");
    }

    #[test]
    fn a_beat_is_due_once_in_its_time() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        assert!(pace.beats(start, 100), "the first");
        assert!(!pace.beats(start, 100));
        assert_eq!(pace.beat_due(100), Some(start + beat(100)));
        let soon = start + beat(1);
        assert!(!pace.beats(soon, 100), "with many peers it is not yet");
        assert!(pace.beats(soon, 1), "with few it is");
    }

    #[test]
    fn everybody_has_a_turn_and_who_is_away_the_less_the_fewer_they_are() {
        let mut pace = Pace::new();
        let (up, away) = (peers(0..20), peers(20..23));
        let mut asked: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        for _ in 0..10_000 {
            for peer in pace.choose(&up, &away) {
                *asked.entry(peer).or_default() += 1;
            }
        }
        assert_eq!(asked.len(), 23, "all of them");
        let of_up: u32 = up.iter().map(|peer| asked[peer]).sum();
        let of_away: u32 = away.iter().map(|peer| asked[peer]).sum();
        assert_eq!(of_up, 10_000, "one in each beat");
        assert!((1000..2000).contains(&of_away), "three in 21 beats: {of_away}");
        let alone: Vec<_> = pace.choose(&BTreeSet::new(), &away).collect();
        assert_eq!(alone.len(), 1, "where nobody is up, one is asked in each beat");
        assert_eq!(pace.choose(&up, &BTreeSet::new()).count(), 1, "where nobody is away, one");
        assert_eq!(pace.choose(&BTreeSet::new(), &BTreeSet::new()).count(), 0, "where nobody is, none");
    }
}
