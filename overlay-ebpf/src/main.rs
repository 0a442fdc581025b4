//! The entry points: one program a hook, inlined into what the macros make of them: a call costs 32 of the 512 bytes of
//! stack (`check_max_stack_depth`).
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

use aya_ebpf::{
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// Hook: TC ingress of the host side of an endpoint's veth.
#[classifier]
#[inline(always)]
fn from_container(ctx: TcContext) -> i32 {
    overlay_ebpf::from_container(&ctx)
}

/// Hook: TC ingress of the host side of an endpoint's veth, after `from_container`.
#[classifier]
#[inline(always)]
fn unguarded(ctx: TcContext) -> i32 {
    overlay_ebpf::unguarded(&ctx)
}

/// Hook: TC ingress of the underlay device.
#[classifier]
#[inline(always)]
fn from_underlay(ctx: TcContext) -> i32 {
    overlay_ebpf::from_underlay(&ctx)
}

/// Hook: TC ingress of our vxlan device.
#[classifier]
#[inline(always)]
fn from_anchor(ctx: TcContext) -> i32 {
    overlay_ebpf::from_anchor(&ctx)
}

/// Hook: TC egress of the underlay device.
#[classifier]
#[inline(always)]
fn to_underlay(ctx: TcContext) -> i32 {
    overlay_ebpf::to_underlay(&ctx)
}

/// Hook: XDP of the underlay device, native. With `frags`: a device may have an MTU of more than a page.
#[xdp(frags)]
#[inline(always)]
fn xdp_underlay(ctx: XdpContext) -> u32 {
    overlay_ebpf::xdp_underlay(&ctx)
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // No panic can be reached: the verifier refuses programs with an endless loop.
    loop {}
}

/// The licence the kernel reads: helpers that are for GPL programs only need it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// For the host there is nothing to run; it compiles so that `cargo clippy` and the documentation's tests see all.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
