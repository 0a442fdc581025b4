//! What an inner frame is, and whether the kernel can be told.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6},
};

/// The flags by which `bpf_skb_adjust_room` can be told the inner family; none before Linux 6.3. Set when loading.
#[unsafe(no_mangle)]
static DECAP_FLAGS: Global<u32> = Global::new(BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_DECAP_L3_IPV6);

/// The family of an inner frame, which decides how its memory may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Not IP: `bpf_skb_adjust_room` refuses it on the way out, and the kernel must re-read its type on the way in.
    Other,
}

impl Family {
    /// Whether the kernel knows a frame as of this family once `shrink` has taken an outer header of another out; else
    /// it goes on taking it for the other.
    #[inline(always)]
    pub fn can_be_told() -> bool {
        DECAP_FLAGS.load() != 0
    }

    /// The flag that tells it to `bpf_skb_adjust_room`, where it can be told.
    #[inline(always)]
    pub(super) fn told(self) -> u64 {
        let flag = match self {
            Self::V4 => BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
            Self::V6 => BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
            Self::Other => 0,
        };
        u64::from(flag & DECAP_FLAGS.load())
    }
}
