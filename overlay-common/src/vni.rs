//! `Vni`: the VXLAN network identifier.

use core::fmt;

/// A VXLAN network identifier: 24 bits, never 0 (RFC 7348 section 5).
///
/// 0 is kept out because it has no meaning of its own in our tables, and because a zeroed map value must not
/// name a network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

/// A number that is no VNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidVni(pub u32);

impl Vni {
    /// The largest VNI, 2^24 - 1.
    pub const MAX: u32 = 0x00ff_ffff;

    /// The VNI under which `from_underlay` hands frames to our vxlan device; no network may have it.
    pub const ANCHOR: u32 = 0x00ff_fffe;

    /// Checks that `vni` is in 1..=2^24-1.
    pub const fn new(vni: u32) -> Result<Self, InvalidVni> {
        if vni == 0 || vni > Self::MAX { Err(InvalidVni(vni)) } else { Ok(Self(vni)) }
    }

    /// The VNI of the three bytes of a VXLAN header, most significant first; `None` for 0.
    #[inline(always)]
    pub const fn from_be_bytes(bytes: [u8; 3]) -> Option<Self> {
        let vni = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        if vni == 0 { None } else { Some(Self(vni)) }
    }

    /// The three bytes of a VXLAN header, most significant first.
    #[inline(always)]
    pub const fn to_be_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The VNI as a number in host byte order.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vni {
    type Error = InvalidVni;

    fn try_from(vni: u32) -> Result<Self, InvalidVni> {
        Self::new(vni)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vni({})", self.0)
    }
}

impl fmt::Display for InvalidVni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VNI {} is outside 1..{}", self.0, Vni::MAX)
    }
}

impl core::error::Error for InvalidVni {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_one_and_24_bits() {
        assert_eq!(Vni::new(0), Err(InvalidVni(0)));
        assert_eq!(Vni::new(1).map(Vni::get), Ok(1));
        assert_eq!(Vni::new(0x00ff_ffff).map(Vni::get), Ok(0x00ff_ffff));
        assert_eq!(Vni::new(0x0100_0000), Err(InvalidVni(0x0100_0000)));
    }

    #[test]
    fn bytes_are_most_significant_first() {
        let vni = Vni::from_be_bytes([0x12, 0x34, 0x56]).expect("not zero");
        assert_eq!(vni.get(), 0x0012_3456);
        assert_eq!(vni.to_be_bytes(), [0x12, 0x34, 0x56]);
        assert_eq!(Vni::from_be_bytes([0, 0, 0]), None);
    }
}
