//! Safe wrappers of helpers. Those that send a frame on its way take the `Packet`: nothing may touch it after.

use aya_ebpf::{
    bindings::{TC_ACT_REDIRECT, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1},
    helpers::{bpf_get_prandom_u32, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer},
};
use overlay_common::DropReason;

use crate::{Verdict, packet::Packet};

/// `BPF_F_INGRESS`.
const INGRESS: u64 = 1;
/// `AF_INET`.
const AF_INET: u32 = 2;

/// Out of a device, as the frame stands.
#[inline(always)]
pub(crate) fn redirect(_pkt: Packet<'_>, ifindex: u32) -> Result<Verdict, DropReason> {
    // SAFETY: the helper takes numbers only.
    accepted(unsafe { bpf_redirect(ifindex, 0) })
}

/// Into a device, as if the frame had come in there.
#[inline(always)]
pub(crate) fn redirect_ingress(_pkt: Packet<'_>, ifindex: u32) -> Result<Verdict, DropReason> {
    // SAFETY: the helper takes numbers only.
    accepted(unsafe { bpf_redirect(ifindex, INGRESS) })
}

/// Into the namespace of a veth's other end, without its receive queue.
#[inline(always)]
pub(crate) fn redirect_peer(_pkt: Packet<'_>, ifindex: u32) -> Result<Verdict, DropReason> {
    // SAFETY: the helper takes numbers only.
    accepted(unsafe { bpf_redirect_peer(ifindex, 0) })
}

/// Out of a device to a next hop, whose MAC address the kernel's neighbour table supplies.
#[inline(always)]
pub(crate) fn redirect_neigh(
    _pkt: Packet<'_>,
    ifindex: u32,
    next_hop: [u8; 4],
) -> Result<Verdict, DropReason> {
    let mut params = bpf_redir_neigh {
        nh_family: AF_INET,
        __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 { ipv6_nh: [u32::from_ne_bytes(next_hop), 0, 0, 0] },
    };
    // SAFETY: `params` is live during the call and its size is given.
    accepted(unsafe { bpf_redirect_neigh(ifindex, &raw mut params, size_of::<bpf_redir_neigh>() as i32, 0) })
}

/// A number that no sender can foresee.
#[inline(always)]
pub(crate) fn random() -> u32 {
    // SAFETY: the helper takes nothing and gives a number.
    unsafe { bpf_get_prandom_u32() }
}

#[inline(always)]
fn accepted(action: i64) -> Result<Verdict, DropReason> {
    if action == i64::from(TC_ACT_REDIRECT) {
        Ok(Verdict::Redirected(action as i32))
    } else {
        Err(DropReason::KernelRefused)
    }
}
