//! The parts together: keys kept, sessions without I/O, and real sockets.

mod flood;
mod ring;
mod sessions;
mod sockets;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    counters::Counters,
    key::{Key, KeyId},
    ring::KeyRing,
    seal::Security,
    session::{Core, Received},
    shared::SharedRing,
};

fn key(number: u8) -> Key {
    Key::from_parts(KeyId::from_bytes([number; KeyId::LEN]), [number; Key::LEN])
}

fn shared(number: u8) -> SharedRing {
    SharedRing::from(KeyRing::unkept(key(number)))
}

fn security(number: u8) -> Security {
    Security::Ring(shared(number))
}

/// A message whose bytes tell their places.
fn message(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// One opening of a socket without the socket.
struct Node {
    core: Core,
    counters: Arc<Counters>,
    address: SocketAddr,
    messages: Vec<Vec<u8>>,
    rtt: Option<Duration>,
}

impl Node {
    fn new(number: u8, security: Security) -> Self {
        let counters = Arc::new(Counters::default());
        let core = Core::new(security, Arc::clone(&counters)).expect("random numbers");
        let address = SocketAddr::from(([192, 0, 2, number], 7946));
        Self { core, counters, address, messages: Vec::new(), rtt: None }
    }

    fn send(&mut self, now: Duration, to: &Self, message: &[u8]) -> Vec<Vec<u8>> {
        self.core.send(now, to.address, message)
    }

    /// Takes datagrams that come from an address; the replies.
    fn take(&mut self, now: Duration, from: SocketAddr, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for datagram in datagrams {
            let Received { message, replies, rtt } = self.core.receive(now, from, &mut datagram.clone());
            self.messages.extend(message);
            self.rtt = rtt.or(self.rtt);
            all.extend(replies);
        }
        all
    }

    /// Opens its socket again.
    fn reopen(&mut self, security: Security) {
        self.core = Core::new(security, Arc::clone(&self.counters)).expect("random numbers");
    }
}

/// Carries datagrams of `one`, and whatever follows, until nothing does; all of it, that of `one` first.
fn carry(
    now: Duration,
    one: &mut Node,
    other: &mut Node,
    datagrams: Vec<Vec<u8>>,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut by_one, mut by_other) = (Vec::new(), Vec::new());
    let mut going = datagrams;
    for _ in 0..10 {
        by_one.extend(going.clone());
        let coming = other.take(now, one.address, &going);
        by_other.extend(coming.clone());
        going = one.take(now, other.address, &coming);
        if going.is_empty() {
            return (by_one, by_other);
        }
    }
    panic!("they do not come to an end");
}

/// Two nodes that know each other.
fn pair() -> (Node, Node) {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let datagrams = one.send(Duration::ZERO, &other, b"first");
    carry(Duration::ZERO, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"first"]);
    other.messages.clear();
    (one, other)
}
