//! The entry points: one program a hook.
#![no_std]
#![no_main]

use aya_ebpf::{macros::classifier, programs::TcContext};

/// Hook: TC ingress of the host side of an endpoint's veth.
#[classifier]
fn from_container(ctx: TcContext) -> i32 {
    overlay_ebpf::from_container(&ctx)
}

/// Hook: TC ingress of the underlay device.
#[classifier]
fn from_underlay(ctx: TcContext) -> i32 {
    overlay_ebpf::from_underlay(&ctx)
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // No panic can be reached: the verifier refuses programs with an endless loop.
    loop {}
}

/// The licence the kernel reads: helpers that are for GPL programs only need it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
