//! The columns: what lies between the two ends. Each is run with IPv4 and with IPv6 inside.

use std::net::IpAddr;

use overlay_tests::{Family, over_v4, over_v6};

/// Where a frame from the underlay loses its outer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Tc,
    /// Native on a veth, which only who asks for it gets.
    Xdp,
}

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    /// A container of another node.
    Ours,
    /// A stock vxlan device of the kernel.
    Kernel,
}

impl Side {
    const ALL: [Self; 2] = [Self::Tc, Self::Xdp];

    const fn word(self) -> &'static str {
        match self {
            Self::Tc => "TC",
            Self::Xdp => "XDP",
        }
    }

    /// The value of `node.underlay_mode`.
    pub(crate) const fn mode(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
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
    /// What carries the outer packets.
    pub(crate) outer: Family,
    pub(crate) side: Side,
    pub(crate) far: Far,
}

impl Description {
    /// All of them, in groups of equal ends: the columns of a table.
    pub(crate) fn tables() -> Vec<[Self; 2]> {
        let ends = Side::ALL.into_iter().flat_map(|side| Far::ALL.map(|far| (side, far)));
        ends.map(|(side, far)| Family::ALL.map(|outer| Self { outer, side, far })).collect()
    }

    /// The addresses of host `number` on the underlay.
    pub(crate) fn vteps(self) -> fn(u8) -> Vec<IpAddr> {
        match self.outer {
            Family::V4 => over_v4,
            Family::V6 => over_v6,
        }
    }

    /// The length of their prefix.
    pub(crate) const fn prefix_length(self) -> u8 {
        match self.outer {
            Family::V4 => 24,
            Family::V6 => 64,
        }
    }

    /// The longest packet inside: what an underlay of 1500 bytes leaves.
    pub(crate) const fn mtu(self) -> u32 {
        1500 - self.outer.inner() as u32
    }

    /// What stands over a table.
    pub(crate) fn table(self) -> String {
        format!("{}, {}", self.side.word(), self.far.word())
    }

    /// What stands over a column, by what is inside.
    pub(crate) fn column(self, inner: Family) -> String {
        format!("{} in {}", inner.word(), self.outer.word())
    }

    /// Names the lab.
    pub(crate) fn lab(self) -> String {
        let outer = self.outer.word().trim_start_matches("IPv");
        let far = self.far.word().split(' ').next().unwrap_or_default();
        format!("mx{outer}{}{far}", self.side.mode())
    }
}
