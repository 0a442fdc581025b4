//! The versions of IP, and where the headers of a VXLAN packet are over each: by the RFCs, not by the product's types.

/// Length of an Ethernet header without tags.
pub const ETH: usize = 14;
/// Length of a UDP header.
pub const UDP: usize = 8;
/// Length of a VXLAN header.
pub const VXLAN: usize = 8;
/// Offset of the outer IP header, in a frame without tags.
pub const OUTER_IP: usize = ETH;

/// A version of IP: of the underlay, or inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// What a frame says that it is.
    pub fn of(frame: &[u8]) -> Self {
        if frame.get(ETH - 2..ETH) == Some(&Self::V6.ethertype().to_be_bytes()) { Self::V6 } else { Self::V4 }
    }

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Its EtherType.
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::V4 => 0x0800,
            Self::V6 => 0x86dd,
        }
    }

    /// Length of its header without options and extension headers.
    pub const fn header(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    /// Offset of the outer UDP header, in a frame without options, extension headers and tags.
    pub const fn udp(self) -> usize {
        OUTER_IP + self.header()
    }

    /// Offset of the VXLAN header.
    pub const fn vxlan(self) -> usize {
        self.udp() + UDP
    }

    /// Offset of the inner frame.
    pub const fn inner(self) -> usize {
        self.vxlan() + VXLAN
    }

    /// Where the outer IP header says how long something is, and where that begins.
    pub const fn ip_length(self) -> (usize, usize) {
        match self {
            Self::V4 => (OUTER_IP + 2, OUTER_IP),
            Self::V6 => (OUTER_IP + 4, self.udp()),
        }
    }

    /// Where the outer IP header says what follows it.
    pub const fn protocol(self) -> usize {
        match self {
            Self::V4 => OUTER_IP + 9,
            Self::V6 => OUTER_IP + 6,
        }
    }
}
