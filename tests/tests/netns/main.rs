//! The `netns` tier: real traffic between namespaces, real agents, captures read by tshark.
//!
//! Run by `cargo xtask test netns`, as root, one test at a time.

mod access;
mod anchor;
mod cards;
mod clsact;
mod connectivity;
mod contract;
mod dad;
mod fail_closed;
mod families;
mod follow;
mod forwarding;
mod frames;
mod guards;
mod headroom;
mod jumbo;
mod lifecycle;
mod limits;
mod log;
mod malformed;
mod masquerade;
mod masquerade_v6;
mod mtu;
mod next_hop;
mod policy;
mod refusals;
mod refused_edits;
mod restart;
mod rogue;
mod service;
mod source;
mod start;
mod stream;
mod support;
mod too_big;
mod traffic;
mod wire;
mod xdp;
