//! Every parser, on every input near a good one: all values of each byte, telling values of each two bytes, of some all
//! values of two; of texts all that are short. None panics, and what each says is what a model says that was written
//! without it.
//!
//! The parsers take whole headers. Whether one lies within its packet the programs see to, by which the tier `prog` goes.

mod arp;
mod ecn;
mod entropy;
mod icmp;
mod inputs;
mod nd;
mod text;
mod vxlan;
mod words;
