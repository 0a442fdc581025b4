//! Packet memory before there is a socket buffer.

use aya_ebpf::{
    helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_meta, bpf_xdp_get_buff_len},
    programs::XdpContext,
};
use overlay_common::{DropReason, Handed, header::Header};

/// A frame, seen as its driver received it. As a `Packet`, what moves its memory takes it.
pub struct Frame<'a> {
    ctx: &'a XdpContext,
}

impl<'a> Frame<'a> {
    /// The frame that a program was called with.
    #[inline(always)]
    pub const fn new(ctx: &'a XdpContext) -> Self {
        Self { ctx }
    }

    /// The header at an offset; `None` where the frame's first buffer ends before it.
    #[inline(always)]
    pub fn at<H: Header>(&self, offset: usize) -> Option<&H> {
        let start = self.ctx.data() + offset;
        if start + H::LEN > self.ctx.data_end() {
            return None;
        }
        // SAFETY: the bytes from `start` lie inside the frame, as just checked, and `Header` allows any alignment
        // and content. Nothing moves them while the `Frame` is borrowed.
        Some(unsafe { &*(start as *const H) })
    }

    /// The header at an offset, for writing.
    #[inline(always)]
    pub fn at_mut<H: Header>(&mut self, offset: usize) -> Option<&mut H> {
        let start = self.ctx.data() + offset;
        if start + H::LEN > self.ctx.data_end() {
            return None;
        }
        // SAFETY: as in `at`; the borrow of `self` is unique.
        Some(unsafe { &mut *(start as *mut H) })
    }

    /// Length of the frame in bytes, with its Ethernet header and all its buffers.
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    #[inline(always)]
    pub fn len(&self) -> usize {
        // SAFETY: the context is the one the program was called with.
        unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) as usize }
    }

    /// Cuts `by` bytes off the front and puts metadata before the rest; `None`, and the frame as it was, where its
    /// driver has no room for metadata.
    #[inline(always)]
    pub fn pop(self, by: usize, metadata: Handed) -> Option<Result<(), DropReason>> {
        // The room first: a frame that was cut must not go on without it (`bpf_xdp_adjust_head` moves it along).
        // SAFETY: the context is the one the program was called with.
        if unsafe { bpf_xdp_adjust_meta(self.ctx.ctx, -(Handed::LEN as i32)) } != 0 {
            return None;
        }
        // SAFETY: as above.
        if unsafe { bpf_xdp_adjust_head(self.ctx.ctx, by as i32) } != 0 {
            return Some(Err(DropReason::KernelRefused));
        }
        let start = self.ctx.metadata();
        if start + Handed::LEN > self.ctx.metadata_end() {
            return Some(Err(DropReason::KernelRefused));
        }
        // SAFETY: the bytes from `start` are the metadata's, as just checked; `Handed` takes any alignment.
        unsafe { (start as *mut Handed).write(metadata) };
        Some(Ok(()))
    }
}
