//! Which version of IP carries the tunnel, and where the headers of such a frame are.

use crate::parsed::u16_at;

/// Offset of the outer IP header, in a frame without tags.
pub(crate) const IP: usize = 14;

/// The version of the outer IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// What a frame says that it is.
    pub(crate) fn of(frame: &[u8]) -> Self {
        if u16_at(frame, 12) == Some(0x86dd) { Self::V6 } else { Self::V4 }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Offset of the outer UDP header, in a frame without options, extension headers and tags.
    pub(crate) const fn udp(self) -> usize {
        match self {
            Self::V4 => IP + 20,
            Self::V6 => IP + 40,
        }
    }

    /// Offset of the VXLAN header.
    pub(crate) const fn vxlan(self) -> usize {
        self.udp() + 8
    }

    /// Offset of the inner frame.
    pub(crate) const fn inner(self) -> usize {
        self.vxlan() + 8
    }

    /// Where the IP header says how long something is, and where that begins.
    pub(crate) const fn ip_length(self) -> (usize, usize) {
        match self {
            Self::V4 => (IP + 2, IP),
            Self::V6 => (IP + 4, IP + 40),
        }
    }
}
