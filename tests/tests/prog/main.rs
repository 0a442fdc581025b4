//! The kernel programs on single frames: bytes in; verdict, bytes, and which counter moved out.
//!
//! The kernel runs the loaded programs on frames handed to it (`BPF_PROG_TEST_RUN`): root is needed, but no device
//! and no traffic. Frames are built and read by `etherparse`, not by our own parser. Every refused frame stands
//! beside one that gets through and differs in the one thing tested.

mod anchor;
mod arp;
mod dhcp;
mod ecn;
mod entropy;
mod forward;
mod frames;
mod guard;
mod harness;
mod nd;
mod nd_claims;
mod object;
mod random;
mod reasons;
mod router;
mod scene;
mod size;
mod slices;
mod to_underlay;
mod too_big;
mod underlay_deliver;
mod underlay_member;
mod underlay_neigh;
mod underlay_outer;
mod underlay_pass;
mod unguarded;
mod v6_encap;
mod v6_outer;
mod v6_short;
