//! What the programs count besides drops.

/// An event that a program counts, and its index in `COUNTERS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Frames of containers sent to a VTEP.
    ToUnderlay = 0,
    /// Frames of containers delivered to a container on this node.
    ToLocal = 1,
    /// Frames of VTEPs delivered to a container on this node.
    FromUnderlay = 2,
    /// ARP requests answered.
    ArpAnswered = 3,
    /// Neighbour solicitations answered.
    NdAnswered = 4,
    /// Senders of packets that are too big told so, beside the drop.
    TooBigAnswered = 5,
    /// Frames of VTEPs left to our vxlan device; those that it gives back are counted as `FromUnderlay`, too.
    ToAnchor = 6,
    /// Frames of VTEPs that XDP took out of their tunnels, after the kernel merged them; counted as `FromUnderlay`, too.
    FromXdp = 7,
}

impl Counter {
    /// Every counter, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::ToUnderlay,
        Self::ToLocal,
        Self::FromUnderlay,
        Self::ArpAnswered,
        Self::NdAnswered,
        Self::TooBigAnswered,
        Self::ToAnchor,
        Self::FromXdp,
    ];

    /// The name that listings and metrics carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToUnderlay => "to_underlay",
            Self::ToLocal => "to_local",
            Self::FromUnderlay => "from_underlay",
            Self::ArpAnswered => "arp_answered",
            Self::NdAnswered => "nd_answered",
            Self::TooBigAnswered => "too_big_answered",
            Self::ToAnchor => "to_anchor",
            Self::FromXdp => "from_xdp",
        }
    }
}
