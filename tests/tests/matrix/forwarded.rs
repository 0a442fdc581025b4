//! Whether the frames of a cell lost their outer headers where its column says.

use anyhow::{Result, ensure};
use overlay_tests::{Family, Host};

use crate::{columns::Side, support::forwarded};

/// Which frames of a row XDP takes out of their tunnels; the others are TC's in every column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ByXdp {
    All,
    /// With IPv4 inside; with IPv6, none of them, because they are this.
    OfIpv4(&'static str),
}

impl ByXdp {
    /// Why XDP leaves the frames of a column to TC, if it does.
    pub(crate) const fn refuses(self, inner: Family) -> Option<&'static str> {
        match (self, inner) {
            (Self::OfIpv4(why), Family::V6) => Some(why),
            (Self::All, _) | (_, Family::V4) => None,
        }
    }
}

/// The frames from the underlay that a host sent on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded {
    by_xdp: u64,
    by_tc: u64,
    /// Of those by TC: what the anchor gave back is counted with them.
    by_anchor: u64,
}

impl Forwarded {
    /// Reads the counters.
    pub(crate) fn read(host: &Host) -> Self {
        let [all, by_xdp, by_anchor] =
            ["from_underlay", "from_xdp", "to_anchor"].map(|counter| forwarded(host, counter));
        Self { by_xdp, by_tc: all - by_xdp, by_anchor }
    }

    /// What was sent on since.
    pub(crate) fn since(self, host: &Host) -> Self {
        let now = Self::read(host);
        Self {
            by_xdp: now.by_xdp - self.by_xdp,
            by_tc: now.by_tc - self.by_tc,
            by_anchor: now.by_anchor - self.by_anchor,
        }
    }

    /// An error unless the frames went by XDP in a column of it, but for those that it refuses, and by TC in another.
    /// `forwards`: to a container that sends them on.
    pub(crate) fn check(self, side: Side, refused: bool, forwards: bool) -> Result<()> {
        let Self { by_xdp, by_tc, by_anchor } = self;
        match side {
            Side::Xdp if !refused => {
                // Neighbour discovery, and what the peer asks by ARP, are TC's.
                ensure!(by_xdp > by_tc, "not by XDP: {self:?}");
                ensure!(by_anchor == 0, "nothing of a tunnel was left to be cleared: {self:?}");
            }
            Side::Tc | Side::Xdp => {
                ensure!(by_xdp == 0, "by XDP: {self:?}");
                ensure!(by_tc > 0, "not by TC: {self:?}");
                ensure!(!forwards || by_anchor > by_tc / 2, "not by the anchor: {self:?}");
            }
        }
        Ok(())
    }
}
