//! The transport without I/O: bytes and the time in, bytes out.
//!
//! Nothing is taken that is not addressed to the session of this opening of the socket, from a session that has shown
//! to be at its address. Who does not know the other's session asks:
//!
//! ```text
//! A: Hello   to nobody     cookie of A
//! B: Answer  to A          the same, cookie of B      B keeps nothing
//! A: Confirm to B          cookie of B                A knows B, and sends what has waited
//!                                                     B knows A
//! ```
//!
//! A cookie is good for its address and some seconds. So nothing recorded earlier makes a session known: neither after
//! this socket was opened again, nor once the session has been forgotten. Who gets what is addressed to another session
//! asks, too: that is how a peer learns that this socket was opened again.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::{
    body::{Body, Said, Session},
    counters::{Counters, Refusal},
    fragment::{self, Fragment, Joiner},
    hellos::Hellos,
    key,
    limit::Limit,
    peers::Peers,
    seal::Security,
};

/// A cookie is good for as long as this, and at most twice as long.
const COOKIE: u64 = 4;
/// Hellos that are answered in a second.
const ANSWERS: u32 = 1024;
/// Hellos that are sent in a second to who sends what is for another session.
const QUESTIONS: u32 = 256;
/// So long a peer is not asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// So long a peer is not pinged again.
const PING_AGAIN: Duration = Duration::from_secs(1);
/// A longer time is none that a datagram took.
const LONGEST_RTT: Duration = Duration::from_secs(10);

/// What a datagram has come to.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// The message that is whole with it.
    pub(super) message: Option<Vec<u8>>,
    /// Datagrams for who has sent it.
    pub(super) replies: Vec<Vec<u8>>,
    /// What the way there and back took.
    pub(super) rtt: Option<Duration>,
}

/// One opening of a socket.
#[derive(Debug)]
pub(super) struct Core {
    security: Security,
    counters: Arc<Counters>,
    session: Session,
    /// The number of the next datagram.
    counter: u64,
    /// The number of the next message.
    number: u32,
    /// Makes cookies.
    cookies: RandomState,
    peers: Peers,
    joiner: Joiner,
    hellos: Hellos,
    answers: Limit,
    questions: Limit,
    /// Who was sent a question last, and when.
    questioned: Option<(SocketAddr, Duration)>,
}

impl Core {
    /// Begins a session of its own.
    pub(super) fn new(security: Security, counters: Arc<Counters>) -> io::Result<Self> {
        Ok(Self::with_session(security, counters, Session(key::random()?)))
    }

    /// Begins this session, which nobody else may ever have had.
    pub(super) fn with_session(security: Security, counters: Arc<Counters>, session: Session) -> Self {
        Self {
            security,
            counters,
            session,
            counter: 0,
            number: 0,
            cookies: RandomState::new(),
            peers: Peers::default(),
            joiner: Joiner::default(),
            hellos: Hellos::new(),
            answers: Limit::per_second(ANSWERS),
            questions: Limit::per_second(QUESTIONS),
            questioned: None,
        }
    }

    /// The datagrams that send a message, or ask the peer for its session first.
    pub(super) fn send(&mut self, now: Duration, to: SocketAddr, message: &[u8]) -> Vec<Vec<u8>> {
        if message.is_empty() || message.len() > fragment::LONGEST_MESSAGE {
            self.counters.unsent();
            return Vec::new();
        }
        let peer = self.peers.peer(now, to);
        let mut datagrams = Vec::new();
        if let Some(session) = peer.session {
            let is_due = peer.pinged.is_none_or(|pinged| now.saturating_sub(pinged) >= PING_AGAIN);
            if is_due {
                peer.pinged = Some(now);
                let stamp = now.as_micros() as u64;
                datagrams.extend(self.seal(session, Said::Ping { stamp }));
            }
            self.seal_message(session, message, &mut datagrams);
            return datagrams;
        }
        let is_due = peer.asked.is_none_or(|asked| now.saturating_sub(asked) >= ASK_AGAIN);
        if is_due {
            peer.asked = Some(now);
            datagrams.extend(self.hello(now, to));
        }
        for _ in 0..self.peers.wait(now, to, message) {
            self.counters.unsent();
        }
        datagrams
    }

    /// Takes a datagram, and counts it.
    pub(super) fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &mut [u8]) -> Received {
        let mut received = Received::default();
        self.counters.received(datagram.len());
        match self.take(now, from, datagram, &mut received) {
            Ok(()) => self.counters.opened(),
            Err(why) => self.counters.refused(why, from),
        }
        received
    }

    fn take(
        &mut self,
        now: Duration,
        from: SocketAddr,
        datagram: &mut [u8],
        received: &mut Received,
    ) -> Result<(), Refusal> {
        let length = datagram.len();
        let security = self.security.clone();
        let opened = security.open(datagram)?;
        // One of our own, sent back.
        if opened.from == self.session {
            return Err(Refusal::Replayed);
        }
        if let Said::Hello { cookie } = opened.body.said {
            if !self.hellos.is_fresh(opened.from, opened.counter) {
                return Err(Refusal::Replayed);
            }
            if !self.answers.take(now) {
                return Err(Refusal::NoRoom);
            }
            let answer = Said::Answer { echo: cookie, cookie: self.cookie(now, from) };
            received.replies.extend(self.seal(opened.from, answer));
            return Ok(());
        }
        if opened.body.to != self.session {
            return Err(self.question(now, from, length, received));
        }
        let is_of_a_peer = matches!(opened.body.said, Said::Ping { .. } | Said::Pong { .. } | Said::Data(_));
        if is_of_a_peer && !self.peers.is_there(now, from, opened.from) {
            return Err(self.question(now, from, length, received));
        }
        if let Said::Answer { echo, .. } | Said::Confirm { echo } = opened.body.said
            && !self.is_cookie(now, from, echo)
        {
            return Err(Refusal::OtherSession);
        }
        // After all of these: neither what was for others nor a copy from elsewhere must move the window, or the copy that
        // comes first would have the real one refused.
        if !self.peers.is_fresh(opened.from, opened.counter) {
            return Err(Refusal::Replayed);
        }
        match opened.body.said {
            Said::Hello { .. } => {}
            Said::Answer { cookie, .. } => {
                self.peers.establish(now, from, opened.from, opened.counter);
                received.replies.extend(self.seal(opened.from, Said::Confirm { echo: cookie }));
                self.flush(now, from, opened.from, received);
            }
            Said::Confirm { .. } => {
                self.peers.establish(now, from, opened.from, opened.counter);
                self.flush(now, from, opened.from, received);
            }
            said @ (Said::Ping { .. } | Said::Pong { .. } | Said::Data(_)) => {
                self.hear(now, opened.from, said, received);
            }
        }
        Ok(())
    }

    /// Takes what a peer says that is there.
    fn hear(&mut self, now: Duration, from: Session, said: Said<'_>, received: &mut Received) {
        match said {
            Said::Ping { stamp } => received.replies.extend(self.seal(from, Said::Pong { stamp })),
            Said::Pong { stamp } => {
                let rtt = now.checked_sub(Duration::from_micros(stamp));
                received.rtt = rtt.filter(|rtt| *rtt <= LONGEST_RTT);
            }
            Said::Data(part) => received.message = self.join(now, from, &part),
            Said::Hello { .. } | Said::Answer { .. } | Said::Confirm { .. } => {}
        }
    }

    fn join(&mut self, now: Duration, from: Session, part: &Fragment<'_>) -> Option<Vec<u8>> {
        let joined = self.joiner.take(now, from, part);
        self.counters.unfinished(joined.given_up);
        joined.message
    }

    /// Whether an echo is of a cookie that went to an address not long ago.
    fn is_cookie(&self, now: Duration, address: SocketAddr, echo: u64) -> bool {
        let former = now.saturating_sub(Duration::from_secs(COOKIE));
        echo == self.cookie(now, address) || echo == self.cookie(former, address)
    }

    /// Sends what has waited.
    fn flush(&mut self, now: Duration, from: SocketAddr, session: Session, received: &mut Received) {
        if let Some(message) = self.peers.waited(now, from) {
            self.seal_message(session, &message, &mut received.replies);
        }
    }

    /// Asks who has sent what is not for this session for its own one; never with more bytes than it has sent.
    fn question(
        &mut self,
        now: Duration,
        from: SocketAddr,
        length: usize,
        received: &mut Received,
    ) -> Refusal {
        let just_now =
            self.questioned.is_some_and(|(who, at)| who == from && now.saturating_sub(at) < ASK_AGAIN);
        if length >= self.security.small() && !just_now && self.questions.take(now) {
            self.questioned = Some((from, now));
            received.replies.extend(self.hello(now, from));
        }
        Refusal::OtherSession
    }

    fn hello(&mut self, now: Duration, to: SocketAddr) -> Option<Vec<u8>> {
        let cookie = self.cookie(now, to);
        self.seal(Session::NOBODY, Said::Hello { cookie })
    }

    /// The number that who is at an address sends back.
    fn cookie(&self, now: Duration, address: SocketAddr) -> u64 {
        self.cookies.hash_one((now.as_secs() / COOKIE, address))
    }

    fn seal_message(&mut self, to: Session, message: &[u8], datagrams: &mut Vec<Vec<u8>>) {
        let number = self.number;
        self.number = number.wrapping_add(1);
        for part in fragment::cut(number, message) {
            datagrams.extend(self.seal(to, Said::Data(part)));
        }
    }

    fn seal(&mut self, to: Session, said: Said<'_>) -> Option<Vec<u8>> {
        let counter = self.counter;
        self.counter += 1;
        self.security.seal(self.session, counter, &Body { to, said })
    }

    /// Peers, sessions, bytes that wait, unfinished messages and their bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> ((usize, usize, usize), (usize, usize)) {
        (self.peers.size(), self.joiner.size())
    }
}
