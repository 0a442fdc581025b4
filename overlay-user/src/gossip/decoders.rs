//! The receiver, the ring and the token, for the fuzz targets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    body::{Body, Said, Session},
    counters::Counters,
    key::{Key, KeyId},
    ring::KeyRing,
    seal::Security,
    session::Core,
    shared::SharedRing,
    token::JoinToken,
};

/// The session of the receiver.
const OURS: Session = Session([b'o'; Session::LEN]);
/// The session of a peer that the receiver knows.
const PEERS: Session = Session([b'p'; Session::LEN]);
/// Where the peer is.
const PEER: ([u8; 4], u16) = ([192, 0, 2, 1], 7946);

/// Bodies of a known peer, each behind its length in two bytes.
#[derive(Debug)]
pub struct Bodies(Vec<u8>);

impl Bodies {
    /// What a peer says after it has shown to be there: a ping, a message of two parts, and all it said before.
    pub fn of_a_peer() -> Self {
        let message = vec![b'm'; super::fragment::FULL + 1];
        let parts = super::fragment::cut(1, &message).map(Said::Data);
        let others = [
            Said::Ping { stamp: 1 },
            Said::Pong { stamp: 1 },
            Said::Answer { echo: 1, cookie: 2 },
            Said::Confirm { echo: 1 },
        ];
        let hello = Body { to: Session::NOBODY, said: Said::Hello { cookie: 1 } };
        let to_us = others.into_iter().chain(parts).map(|said| Body { to: OURS, said });
        let mut all = Self(Vec::new());
        for body in std::iter::once(hello).chain(to_us) {
            let mut bytes = Vec::new();
            body.write(&mut bytes);
            all.0.extend((bytes.len() as u16).to_be_bytes());
            all.0.extend(bytes);
        }
        all
    }

    /// Their bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What a receiver has made of datagrams.
#[derive(Debug)]
pub struct Made {
    /// Datagrams that were taken.
    pub opened: u64,
    /// Datagrams that were not.
    pub refused: u64,
    /// Datagrams that came.
    pub received: u64,
    /// Messages that came out.
    pub messages: Vec<Vec<u8>>,
    /// Datagrams that were sent back.
    pub replies: usize,
}

/// Has a receiver without keys take these bodies from a peer that it knows.
pub fn from_peer(bodies: &[u8]) -> Made {
    let counters = Arc::new(Counters::default());
    let mut core = Core::with_session(Security::Insecure, Arc::clone(&counters), OURS);
    let (peer, mut now) = (SocketAddr::from(PEER), Duration::from_secs(1));
    let mut counter = 0;
    let mut datagram = |body: &dyn Fn(&mut Vec<u8>)| {
        let head = Body { to: OURS, said: Said::Ping { stamp: 0 } };
        let mut datagram = Security::Insecure.seal(PEERS, counter, &head).unwrap_or_default();
        counter += 1;
        datagram.truncate(super::seal::HEADER);
        body(&mut datagram);
        datagram
    };
    for mut hello in core.send(now, peer, b"m") {
        if let Ok(Said::Hello { cookie: echo }) =
            Security::Insecure.open(&mut hello).map(|open| open.body.said)
        {
            let answer = Body { to: OURS, said: Said::Answer { echo, cookie: 0 } };
            core.receive(now, peer, &mut datagram(&|bytes| answer.write(bytes)));
        }
    }
    let (mut messages, mut replies, mut rest) = (Vec::new(), 0, bodies);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (body, after) = after.split_at(after.len().min(u16::from_be_bytes(*length).into()));
        rest = after;
        now += Duration::from_millis(100);
        let received = core.receive(now, peer, &mut datagram(&|bytes| bytes.extend(body)));
        messages.extend(received.message);
        replies += received.replies.len();
    }
    made(&counters, messages, replies)
}

/// Has a receiver with a key take these bytes as one datagram.
pub fn from_anybody(datagram: &[u8]) -> Made {
    let counters = Arc::new(Counters::default());
    let key = Key::from_parts(KeyId::from_bytes(*b"keys"), [1; Key::LEN]);
    let ring = SharedRing::from(KeyRing::unkept(key));
    let mut core = Core::with_session(Security::Ring(ring), Arc::clone(&counters), OURS);
    let received = core.receive(Duration::ZERO, SocketAddr::from(PEER), &mut datagram.to_vec());
    made(&counters, received.message.into_iter().collect(), received.replies.len())
}

fn made(counters: &Counters, messages: Vec<Vec<u8>>, replies: usize) -> Made {
    let counted = counters.snapshot();
    let (opened, refused, received) = (counted.opened, counted.refused(), counted.received);
    Made { opened, refused, received, messages, replies }
}

/// The text of a ring's file, written again; none where it is no ring.
pub fn ring(text: &[u8]) -> Option<Vec<u8>> {
    KeyRing::parse(text).ok()?.text().ok()
}

/// A token, written again; none where it is none.
pub fn token(text: &str) -> Option<String> {
    text.parse::<JoinToken>().ok().map(|token| token.to_string())
}

/// A ring's text and a token.
pub fn keys() -> [Vec<u8>; 2] {
    let key = Key::from_parts(KeyId::from_bytes(*b"keys"), [1; Key::LEN]);
    let seeds = vec![SocketAddr::from(PEER), SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 7946))];
    let ring = KeyRing::unkept(key.clone()).text().unwrap_or_default();
    let token = JoinToken::new(key, seeds).map(|token| token.to_string()).unwrap_or_default();
    [ring, token.into_bytes()]
}
