//! Who has shown that it is there: the session of each peer by its address, and what of each session has come.

use std::{collections::HashMap, hash::Hash, net::SocketAddr, time::Duration};

use super::{body::Session, replay::Window};

/// Peers, and sessions, that are remembered; the one that was not needed for longest is forgotten.
pub(super) const MOST: usize = 1024;
/// Bytes that wait for answers of peers.
pub(super) const MOST_WAITING: usize = 4 * 1024 * 1024;
/// So long a message waits for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of an address.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// The session that was shown to be there.
    pub(super) session: Option<Session>,
    /// A message that is sent once there is a session.
    waiting: Option<Waiting>,
    /// When it was last asked for its session.
    pub(super) asked: Option<Duration>,
    /// When it was last pinged.
    pub(super) pinged: Option<Duration>,
    used: Duration,
}

#[derive(Debug)]
struct Waiting {
    message: Vec<u8>,
    until: Duration,
}

#[derive(Debug)]
struct Known {
    window: Window,
    used: Duration,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_address: HashMap<SocketAddr, Peer>,
    sessions: HashMap<Session, Known>,
    /// Bytes that wait.
    waiting: usize,
}

impl Peers {
    /// What is known of an address; if nothing, that from now on.
    pub(super) fn peer(&mut self, now: Duration, address: SocketAddr) -> &mut Peer {
        if !self.by_address.contains_key(&address) {
            let forgotten = make_room(&mut self.by_address, |peer| peer.used);
            self.waiting -= forgotten.and_then(|peer| peer.waiting).map_or(0, |gone| gone.message.len());
        }
        let peer = self.by_address.entry(address).or_default();
        peer.used = now;
        peer
    }

    /// Whether this is the session that was shown to be at the address.
    pub(super) fn is_there(&mut self, now: Duration, address: SocketAddr, session: Session) -> bool {
        let peer = self.by_address.get_mut(&address).filter(|peer| peer.session == Some(session));
        match (peer, self.sessions.get_mut(&session)) {
            (Some(peer), Some(known)) => {
                peer.used = now;
                known.used = now;
                true
            }
            _ => false,
        }
    }

    /// Whether a datagram of a session has not come before, as far as that is known.
    pub(super) fn is_fresh(&mut self, session: Session, counter: u64) -> bool {
        self.sessions.get_mut(&session).is_none_or(|known| known.window.take(counter))
    }

    /// Notes that a session is at an address: it has shown so with the datagram of this number.
    pub(super) fn establish(&mut self, now: Duration, address: SocketAddr, session: Session, counter: u64) {
        self.peer(now, address).session = Some(session);
        if let Some(known) = self.sessions.get_mut(&session) {
            known.used = now;
            return;
        }
        make_room(&mut self.sessions, |known| known.used);
        let mut window = Window::new();
        window.take(counter);
        self.sessions.insert(session, Known { window, used: now });
    }

    /// Has a message wait until the peer has answered, in place of one that does already. How many are lost by that.
    pub(super) fn wait(&mut self, now: Duration, address: SocketAddr, message: &[u8]) -> usize {
        let replaced = self.take_waiting(address).is_some();
        if self.waiting + message.len() > MOST_WAITING {
            self.expire(now);
        }
        if self.waiting + message.len() > MOST_WAITING {
            return 1 + usize::from(replaced);
        }
        self.waiting += message.len();
        let waiting = Waiting { message: message.to_vec(), until: now + PATIENCE };
        self.peer(now, address).waiting = Some(waiting);
        usize::from(replaced)
    }

    /// The message that has waited for this peer, if not too long.
    pub(super) fn waited(&mut self, now: Duration, address: SocketAddr) -> Option<Vec<u8>> {
        self.take_waiting(address).filter(|waiting| now <= waiting.until).map(|waiting| waiting.message)
    }

    fn take_waiting(&mut self, address: SocketAddr) -> Option<Waiting> {
        let waiting = self.by_address.get_mut(&address)?.waiting.take()?;
        self.waiting -= waiting.message.len();
        Some(waiting)
    }

    fn expire(&mut self, now: Duration) {
        for peer in self.by_address.values_mut() {
            if let Some(late) = peer.waiting.take_if(|waiting| waiting.until < now) {
                self.waiting -= late.message.len();
            }
        }
    }

    /// Peers, sessions, and bytes that wait.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let waiting = self.by_address.values().filter_map(|peer| peer.waiting.as_ref());
        let bytes: usize = waiting.map(|waiting| waiting.message.len()).sum();
        assert_eq!(bytes, self.waiting, "what waits is counted");
        (self.by_address.len(), self.sessions.len(), bytes)
    }
}

/// Forgets the value that was not used for longest, where there are as many as may be.
fn make_room<K: Copy + Eq + Hash, V>(map: &mut HashMap<K, V>, used: impl Fn(&V) -> Duration) -> Option<V> {
    if map.len() < MOST {
        return None;
    }
    let (&oldest, _) = map.iter().min_by_key(|(_, value)| used(value))?;
    map.remove(&oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number as u16))
    }

    fn session(number: usize) -> Session {
        let mut bytes = [0; Session::LEN];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Session(bytes)
    }

    fn at(number: usize) -> Duration {
        Duration::from_millis(number as u64)
    }

    #[test]
    fn the_one_that_was_not_needed_for_longest_is_forgotten() {
        let mut peers = Peers::default();
        for number in 0..MOST {
            peers.establish(at(number), address(number), session(number), 0);
        }
        assert!(peers.is_there(at(MOST), address(0), session(0)));
        for number in MOST..MOST + 10 {
            peers.establish(at(number + 1), address(number), session(number), 0);
        }
        assert_eq!(peers.size(), (MOST, MOST, 0));
        let mut is_there = |number| peers.is_there(at(2 * MOST), address(number), session(number));
        let there: Vec<usize> = (0..MOST + 10).filter(|number| is_there(*number)).collect();
        let expected: Vec<usize> = std::iter::once(0).chain(11..MOST + 10).collect();
        assert_eq!(there, expected, "the first was needed");
    }

    #[test]
    fn a_session_has_one_window_wherever_it_is() {
        let mut peers = Peers::default();
        peers.establish(at(0), address(1), session(1), 7);
        peers.establish(at(0), address(2), session(1), 9);
        assert!(!peers.is_fresh(session(1), 7), "it came from the first address");
        assert!(peers.is_fresh(session(1), 8), "the control");
        peers.establish(at(0), address(1), session(2), 0);
        assert!(!peers.is_there(at(0), address(1), session(1)), "another one is there");
        assert!(peers.is_there(at(0), address(2), session(1)));
    }

    #[test]
    fn one_message_of_a_peer_waits_and_not_for_long() {
        let mut peers = Peers::default();
        assert_eq!(peers.wait(at(0), address(1), b"first"), 0);
        assert_eq!(peers.wait(at(0), address(1), b"second"), 1);
        assert_eq!(peers.waited(at(1000), address(1)).as_deref(), Some(&b"second"[..]));
        assert_eq!(peers.waited(at(1000), address(1)), None, "once");
        peers.wait(at(0), address(1), b"third");
        assert_eq!(peers.waited(at(1001), address(1)), None, "too late");
        assert_eq!(peers.size(), (1, 0, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut peers = Peers::default();
        let message = vec![0; 60_000];
        let lost: usize = (0..2 * MOST).map(|number| peers.wait(at(0), address(number), &message)).sum();
        assert_eq!(lost, 2 * MOST - MOST_WAITING / message.len());
        assert!(peers.size().2 <= MOST_WAITING);
        assert_eq!(peers.wait(at(1001), address(5000), &message), 0, "time makes room");
        assert_eq!(peers.size().2, message.len());
    }
}
