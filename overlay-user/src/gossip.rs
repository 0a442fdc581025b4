//! The transport of the gossip: sealed, fresh, bounded.
//!
//! `key`, `ring` and `shared` are the keys, `token` is what a new node is given. `seal` makes a datagram out of a `body` and opens
//! it, `replay` takes each one once, `fragment` cuts messages and joins them, `peers` is who has shown that it is there,
//! and `session` puts these together without I/O: bytes and the time in, bytes out. `transport` is the socket,
//! `counters` and `rtt` are what it has seen.

mod body;
mod counters;
#[cfg(feature = "decoders")]
pub mod decoders;
mod fragment;
mod hellos;
mod key;
mod limit;
mod peers;
mod replay;
mod ring;
mod rtt;
mod seal;
mod session;
mod shared;
#[cfg(test)]
mod tests;
mod token;
mod transport;

pub use self::{
    counters::{Counters, Refused, Snapshot},
    key::{InvalidKeyId, Key, KeyId},
    ring::{KeyRing, Listed, RingError},
    seal::Security,
    shared::SharedRing,
    token::{JoinToken, MOST_SEEDS, TokenError},
    transport::SealedTransport,
};
