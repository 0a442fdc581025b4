//! The kernel programs of overlay: what each hook does, and the policy from result to verdict.
//!
//! A frame out: container veth, `from_container` (port, guards, ARP and ND, FDB), then either the peer's
//! namespace, or encapsulation and the underlay device. A frame in: underlay device, `from_underlay` (outer
//! headers, membership of the sender, FDB), decapsulation, the container's namespace; or, by way of the host's stack, our
//! vxlan devices and `from_anchor`. Where the underlay device runs XDP, `xdp_underlay` has decapsulated what is plain.
//! What leaves by the underlay meets `to_underlay`, which stops VXLAN that is not of their making. The programs parse,
//! look up and act; they never learn.
#![no_std]

mod decap;
mod encap;
mod from_anchor;
mod from_container;
mod from_underlay;
mod helpers;
mod inner;
mod maps;
mod neigh;
mod neigh_remote;
mod outer;
pub mod packet;
mod to_underlay;
mod too_big;
mod trace;
mod xdp_underlay;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    programs::{TcContext, XdpContext},
};
use overlay_common::{DropReason, map::Port};

use crate::packet::Packet;

/// What becomes of a frame that is not dropped.
#[must_use]
enum Verdict {
    /// Not ours: the next program, or the host's stack, has it.
    Pass,
    /// On its way; the action of the redirect helper.
    Redirected(i32),
}

/// A frame to be dropped, and what it is counted under.
struct Drop {
    /// VNI in host order; 0 where the network is not known.
    vni: u32,
    reason: DropReason,
}

impl Drop {
    /// A drop before the frame's network is known.
    const fn outside(reason: DropReason) -> Self {
        Self { vni: 0, reason }
    }
}

/// A frame from a container: TC ingress of the host side of an endpoint's veth.
#[inline(always)]
pub fn from_container(ctx: &TcContext) -> i32 {
    finish(ctx, from_container::run(ctx))
}

/// A frame from a container that `from_container` did not take, because it was detached: behind it on the same hook.
///
/// The host's stack would drop most of them, but it takes a datagram from 0.0.0.0 to 255.255.255.255 from any device
/// (`ip_route_input_slow`).
#[inline(always)]
pub fn unguarded(ctx: &TcContext) -> i32 {
    let vni = maps::port(Packet::new(ctx).ifindex()).map_or(0, Port::vni);
    finish(ctx, Err(Drop { vni, reason: DropReason::Unguarded }))
}

/// A frame from the underlay: TC ingress of the underlay device.
#[inline(always)]
pub fn from_underlay(ctx: &TcContext) -> i32 {
    finish(ctx, from_underlay::run(ctx))
}

/// A frame that our vxlan device unpacked: TC ingress of that.
#[inline(always)]
pub fn from_anchor(ctx: &TcContext) -> i32 {
    finish(ctx, from_anchor::run(ctx))
}

/// A frame that leaves by the underlay: TC egress of the underlay device.
#[inline(always)]
pub fn to_underlay(ctx: &TcContext) -> i32 {
    finish(ctx, to_underlay::run(ctx))
}

/// A frame from the underlay, before there is a socket buffer: XDP of the underlay device.
#[inline(always)]
pub fn xdp_underlay(ctx: &XdpContext) -> u32 {
    match xdp_underlay::run(ctx) {
        // With its outer header or without, it is TC's.
        Ok(()) => xdp_action::XDP_PASS,
        Err(Drop { vni, reason }) => {
            maps::count_drop(vni, reason);
            xdp_action::XDP_DROP
        }
    }
}

/// The policy: what is not ours passes, what is forwarded was redirected, everything else is dropped and counted.
#[inline(always)]
fn finish(ctx: &TcContext, result: Result<Verdict, Drop>) -> i32 {
    trace::frame(ctx, &result);
    match result {
        // Not TC_ACT_OK: a later program on the same hook must see the frame too.
        Ok(Verdict::Pass) => TC_ACT_UNSPEC,
        Ok(Verdict::Redirected(action)) => action,
        Err(Drop { vni, reason }) => {
            maps::count_drop(vni, reason);
            TC_ACT_SHOT
        }
    }
}
