//! Sampled trace of verdicts. Off, the verifier removes all of it: the sample rate is constant once loaded.

use aya_ebpf::{Global, programs::TcContext};

use crate::{Drop, Verdict, helpers, packet::Packet};

/// One frame in this many is logged; 0, and the programs carry no trace at all. Set when loading.
#[unsafe(no_mangle)]
static TRACE_SAMPLE: Global<u32> = Global::new(0);

/// Logs what became of a frame, if it is among the sampled.
#[inline(always)]
pub(crate) fn frame(ctx: &TcContext, result: &Result<Verdict, Drop>) {
    let one_in = TRACE_SAMPLE.load();
    if one_in == 0 || !helpers::random().is_multiple_of(one_in) {
        return;
    }
    let device = Packet::new(ctx).ifindex();
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
