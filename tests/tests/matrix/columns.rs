//! The columns: what lies between the two ends. Each is run with IPv4 and with IPv6 inside.

use std::net::IpAddr;

use overlay_tests::{over_v4, over_v6};

/// What carries the outer packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outer {
    V4,
    V6,
}

/// Where a frame from the underlay loses its outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Tc,
}

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A container of another node.
    Ours,
    /// A stock vxlan device of the kernel.
    Kernel,
}

impl Outer {
    const ALL: [Self; 2] = [Self::V4, Self::V6];

    const fn word(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The addresses of host `number`.
    pub(crate) fn vteps(self) -> fn(u8) -> Vec<IpAddr> {
        match self {
            Self::V4 => over_v4,
            Self::V6 => over_v6,
        }
    }

    /// The length of their prefix.
    pub(crate) const fn prefix_length(self) -> u8 {
        match self {
            Self::V4 => 24,
            Self::V6 => 64,
        }
    }

    /// What an underlay of 1500 bytes leaves.
    pub(crate) const fn mtu(self) -> u32 {
        match self {
            Self::V4 => 1450,
            Self::V6 => 1430,
        }
    }
}

impl Side {
    const ALL: [Self; 1] = [Self::Tc];

    const fn word(self) -> &'static str {
        match self {
            Self::Tc => "TC",
        }
    }

    /// The value of `node.underlay_mode`.
    pub(crate) const fn mode(self) -> &'static str {
        match self {
            Self::Tc => "tc",
        }
    }
}

impl Far {
    const ALL: [Self; 2] = [Self::Ours, Self::Kernel];

    const fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Kernel => "kernel peer",
        }
    }
}

/// What two columns have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    pub(crate) outer: Outer,
    pub(crate) side: Side,
    pub(crate) far: Far,
}

impl Description {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let sides = Outer::ALL.into_iter().flat_map(|outer| Side::ALL.map(|side| (outer, side)));
        sides.flat_map(|(outer, side)| Far::ALL.map(|far| Self { outer, side, far })).collect()
    }

    /// What the table says, after the version of IP inside.
    pub(crate) fn name(self) -> String {
        format!("{}, {}, {}", self.outer.word(), self.side.word(), self.far.word())
    }

    /// Names the lab.
    pub(crate) fn lab(self) -> String {
        let outer = self.outer.word().trim_start_matches("IPv");
        let far = self.far.word().split(' ').next().unwrap_or_default();
        format!("mx{outer}{}{far}", self.side.mode())
    }
}
