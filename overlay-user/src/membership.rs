//! The cluster without a server: what every node publishes of its own, and the one cluster that all of it makes.
//!
//! An engine (gossip) hands every node's records on to all. `record` is what they say, `known` what has come of it,
//! `liveness` who is there, `resolve` which of conflicting claims hold, and `follow` keeps what it comes to up to date;
//! `machine` is one node's part in it, and `guard` keeps what is forwarded from an emptied store. None of it does I/O or reads a clock.

mod blocks;
pub mod follow;
pub mod guard;
mod index;
pub mod ipam;
pub mod known;
pub mod limits;
pub mod liveness;
pub mod machine;
mod networks;
pub mod record;
pub mod refusal;
pub mod resolve;
#[cfg(test)]
mod tests;
