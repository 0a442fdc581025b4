//! Safe wrappers of helpers. Those that send a frame on its way take the `Packet`: nothing may touch it after.

use aya_ebpf::{
    bindings::{TC_ACT_REDIRECT, bpf_redir_neigh, bpf_redir_neigh__bindgen_ty_1},
    helpers::{bpf_get_prandom_u32, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer},
};
use overlay_common::{DropReason, vxlan::Vtep};

use crate::{Verdict, packet::Packet};

/// `BPF_F_INGRESS`.
const INGRESS: u64 = 1;
/// `AF_INET`.
const AF_INET: u32 = 2;
/// `AF_INET6`.
const AF_INET6: u32 = 10;

/// Parameters over IPv4. Aligned, as those over IPv6, because the compiler stores words where two fields follow each
/// other, and the verifier refuses a word on the stack that is misaligned.
#[repr(C, align(8))]
struct ParamsV4(bpf_redir_neigh);

/// Parameters over IPv6, whose address begins a word.
#[repr(C, align(8))]
struct ParamsV6 {
    pad: u32,
    params: bpf_redir_neigh,
}

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

/// Out of a device to a VTEP's next hop over IPv4, whose MAC address the kernel's neighbour table supplies.
#[inline(always)]
pub(crate) fn redirect_neigh_v4(pkt: Packet<'_>, vtep: &Vtep) -> Result<Verdict, DropReason> {
    let next_hop = u32::from_ne_bytes(vtep.next_hop_v4());
    let mut params = ParamsV4(params(AF_INET, [next_hop, 0, 0, 0]));
    redirect_neigh(pkt, vtep.ifindex, &mut params.0)
}

/// The same over IPv6.
#[inline(always)]
pub(crate) fn redirect_neigh_v6(pkt: Packet<'_>, vtep: &Vtep) -> Result<Verdict, DropReason> {
    let (high, low) = vtep.next_hop().halves();
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (high.to_ne_bytes(), low.to_ne_bytes());
    let next_hop = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_ne_bytes);
    let mut params = ParamsV6 { pad: 0, params: params(AF_INET6, next_hop) };
    redirect_neigh(pkt, vtep.ifindex, &mut params.params)
}

#[inline(always)]
const fn params(family: u32, next_hop: [u32; 4]) -> bpf_redir_neigh {
    bpf_redir_neigh {
        nh_family: family,
        __bindgen_anon_1: bpf_redir_neigh__bindgen_ty_1 { ipv6_nh: next_hop },
    }
}

#[inline(always)]
fn redirect_neigh(
    _pkt: Packet<'_>,
    ifindex: u32,
    params: &mut bpf_redir_neigh,
) -> Result<Verdict, DropReason> {
    // SAFETY: `params` is live during the call and its size is given.
    accepted(unsafe { bpf_redirect_neigh(ifindex, params, size_of::<bpf_redir_neigh>() as i32, 0) })
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
