//! What the kernel programs and the agent share: the ABI of every map, and all packet logic that is pure.
//!
//! Rules of the ABI. Map keys and values are `repr(C)`, without hidden padding, without enums and without
//! `Option`; addresses and anything else that comes from or goes to the wire are big-endian bytes, private
//! behind constructors; numbers that never leave the machine (interface indexes, counters) are in host order.
//! Size and alignment of each are asserted where it is defined. A change of any of them raises `ABI_VERSION`.
#![no_std]

#[cfg(test)]
extern crate std;

mod addr;
pub mod arp;
mod counter;
mod drop;
pub mod ecn;
pub mod entropy;
mod handed;
pub mod hash;
pub mod header;
pub mod icmp;
pub mod map;
pub mod mark;
pub mod meta;
pub mod nd;
mod vni;
pub mod vxlan;

pub use crate::{
    addr::{InvalidMac, Ip16, MacAddr},
    counter::Counter,
    drop::DropReason,
    handed::Handed,
    vni::{InvalidVni, Vni},
};

/// The version of the ABI between the kernel programs and the agent.
pub const ABI_VERSION: u32 = if cfg!(feature = "abi-next") { 8 } else { 7 };
