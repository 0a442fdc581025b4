//! Sampled trace of verdicts. Off, the verifier removes all of it: the sample rate is constant once loaded.

use aya_ebpf::{Global, helpers::bpf_get_prandom_u32, programs::TcContext};

use crate::{Drop, Verdict};

/// One frame in this many is logged; 0, and the programs carry no trace at all. Set when loading.
#[unsafe(no_mangle)]
static TRACE_SAMPLE: Global<u32> = Global::new(0);

/// Logs what became of a frame, if it is among the sampled.
#[inline(always)]
pub(crate) fn frame(ctx: &TcContext, result: &Result<Verdict, Drop>) {
    let one_in = TRACE_SAMPLE.load();
    // SAFETY: the helper takes nothing and gives a number.
    if one_in == 0 || unsafe { bpf_get_prandom_u32() } % one_in != 0 {
        return;
    }
    // SAFETY: the context is readable for as long as the program runs.
    let device = unsafe { (*ctx.skb.skb).ifindex };
    match result {
        Ok(Verdict::Pass) => {
            aya_log_ebpf::info!(ctx, "device {}: {} bytes passed to the host", device, ctx.len());
        }
        Ok(Verdict::Redirected(_)) => {
            aya_log_ebpf::info!(ctx, "device {}: {} bytes forwarded", device, ctx.len());
        }
        Err(drop) => aya_log_ebpf::info!(
            ctx,
            "device {}: {} bytes of VNI {} dropped: reason {}",
            device,
            ctx.len(),
            drop.vni,
            drop.reason as u32
        ),
    }
}
