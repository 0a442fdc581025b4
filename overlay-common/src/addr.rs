//! Addresses as the maps hold them: MAC addresses, and IPv4 or IPv6 addresses in 16 bytes.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{hash::fnv1a, vxlan::fold};

/// An Ethernet address, in the order of the wire.
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct MacAddr([u8; 6]);

/// A text that is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMac;

impl MacAddr {
    /// All zero: no address.
    pub const ZERO: Self = Self([0; 6]);
    /// All ones: broadcast.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address of six bytes in the order of the wire.
    #[inline(always)]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The six bytes in the order of the wire.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the group bit is set: broadcast or multicast (IEEE 802.3 section 3.2.3).
    #[inline(always)]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether a station can have this address: neither zero nor a group address.
    #[inline(always)]
    pub fn is_unicast(self) -> bool {
        !self.is_multicast() && self.0 != [0; 6]
    }

    /// The MAC address of an endpoint with this IPv4 address: `02:42:a:b:c:d`, as Docker derives it.
    #[inline(always)]
    pub const fn from_ipv4(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The IPv4 address that this MAC address is derived from; none if it is not of that form.
    pub const fn ipv4(self) -> Option<Ipv4Addr> {
        let [first, second, a, b, c, d] = self.0;
        if first == 0x02 && second == 0x42 { Some(Ipv4Addr::new(a, b, c, d)) } else { None }
    }

    /// The MAC address that is derived from this mapped IPv4 address; none for an IPv6 address.
    #[inline(always)]
    pub const fn of_ipv4(ip: Ip16) -> Option<Self> {
        let [.., a, b, c, d] = ip.octets();
        if ip.is_v4() { Some(Self::from_ipv4(Ipv4Addr::new(a, b, c, d))) } else { None }
    }

    /// The MAC address whose link-local address this is; none for any other address.
    #[inline(always)]
    pub const fn of_link_local(ip: Ip16) -> Option<Self> {
        let (high, low) = ip.halves();
        let [a, b, c, _, _, d, e, f] = low.to_ne_bytes();
        if high == Ip16::LINK_LOCAL && low & Ip16::EUI_64_MASK == Ip16::EUI_64 {
            Some(Self([a ^ 2, b, c, d, e, f]))
        } else {
            None
        }
    }

    /// The MAC address of an endpoint that has only this IPv6 address: `06:` and 40 bits of its FNV-1a hash.
    ///
    /// The first byte is local and unicast, and never that of `from_ipv4`.
    pub fn from_ipv6(ip: Ipv6Addr) -> Self {
        let [.., a, b, c, d, e] = fnv1a(ip.octets()).to_be_bytes();
        Self([0x06, a, b, c, d, e])
    }

    /// The link-local IPv6 address of this MAC address: `fe80::` and the modified EUI-64 (RFC 4291 appendix A).
    #[inline(always)]
    pub const fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        Ipv6Addr::from_octets([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = InvalidMac;

    /// Six groups of one or two hexadecimal digits, separated by colons.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let mut bytes = [0; 6];
        let mut groups = text.split(':');
        for byte in &mut bytes {
            let group = groups.next().ok_or(InvalidMac)?;
            if group.is_empty() || group.len() > 2 || group.starts_with('+') {
                return Err(InvalidMac);
            }
            *byte = u8::from_str_radix(group, 16).map_err(|_| InvalidMac)?;
        }
        if groups.next().is_some() { Err(InvalidMac) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for InvalidMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address of the form 02:42:0a:01:00:01")
    }
}

impl core::error::Error for InvalidMac {}

/// An IPv4 or IPv6 address in 16 bytes, in the order of the wire; IPv4 is mapped (`::ffff:a.b.c.d`).
///
/// Held as two words, so that the kernel programs compare and copy it in two steps.
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(bytemuck::Pod, bytemuck::Zeroable))]
pub struct Ip16([u64; 2]);

impl Ip16 {
    /// All zero, `::`.
    pub const ZERO: Self = Self([0; 2]);
    /// The bytes of the second of `halves` that mark a mapped IPv4 address.
    pub const V4_TAG_MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    /// The first of `halves` of a link-local address, `fe80::/64`.
    const LINK_LOCAL: u64 = u64::from_ne_bytes([0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
    /// The bytes of the second of `halves` that mark an EUI-64 made of a MAC address (RFC 4291 appendix A).
    const EUI_64_MASK: u64 = u64::from_ne_bytes([0, 0, 0, 0xff, 0xff, 0, 0, 0]);
    /// What those bytes are.
    const EUI_64: u64 = u64::from_ne_bytes([0, 0, 0, 0xff, 0xfe, 0, 0, 0]);
    /// What those bytes are in a mapped IPv4 address.
    const V4_TAG: u64 = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);

    /// An IPv4 address of four bytes in the order of the wire.
    #[inline(always)]
    pub const fn v4(ip: [u8; 4]) -> Self {
        let [a, b, c, d] = ip;
        Self([0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])])
    }

    /// An IPv6 address of sixteen bytes in the order of the wire.
    #[inline(always)]
    pub const fn v6(b: [u8; 16]) -> Self {
        Self([
            u64::from_ne_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            u64::from_ne_bytes([b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]),
        ])
    }

    /// The sixteen bytes in the order of the wire.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) =
            (self.0[0].to_ne_bytes(), self.0[1].to_ne_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Writes the sixteen bytes in the order of the wire, in two steps.
    #[inline(always)]
    pub fn write(self, to: &mut [u8]) {
        to[..8].copy_from_slice(&self.0[0].to_ne_bytes());
        to[8..16].copy_from_slice(&self.0[1].to_ne_bytes());
    }

    /// The sum of its 16-bit words in the order of the wire (RFC 1071).
    #[inline(always)]
    pub const fn sum(self) -> u32 {
        // Summed as they lie in memory, which is the same but for the order of the result's bytes (section 2 (B)).
        u16::from_be(fold(words(self.0[0]) + words(self.0[1]))) as u32
    }

    /// The address as two words, for comparing and masking; their value as numbers has no meaning.
    #[inline(always)]
    pub const fn halves(self) -> (u64, u64) {
        (self.0[0], self.0[1])
    }

    /// Whether this is a mapped IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        let (high, low) = self.halves();
        high == 0 && low & Self::V4_TAG_MASK == Self::V4_TAG
    }

    /// Whether this is an IPv6 multicast address (RFC 4291 section 2.7).
    #[inline(always)]
    pub const fn is_v6_multicast(self) -> bool {
        self.octets()[0] == 0xff
    }

    /// The address for programs of user space.
    pub const fn to_ip(self) -> IpAddr {
        Ipv6Addr::from_octets(self.octets()).to_canonical()
    }
}

/// The sum of the 16-bit words of a word.
#[inline(always)]
const fn words(word: u64) -> u32 {
    let pairs = (word & 0xffff_ffff) + (word >> 32);
    // Up to 33 bits.
    ((pairs & 0xffff) + (pairs >> 16)) as u32
}

impl From<IpAddr> for Ip16 {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self::v6(ip.octets()),
        }
    }
}

impl fmt::Display for Ip16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}

impl fmt::Debug for Ip16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ip().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_tell_their_mac() {
        let ip = Ipv4Addr::new(10, 1, 0, 0xff);
        let mac = MacAddr::from_ipv4(ip);
        assert_eq!(MacAddr::of_ipv4(IpAddr::from(ip).into()), Some(mac));
        assert_eq!(mac.ipv4(), Some(ip));
        let link_local = Ip16::from(IpAddr::from(mac.link_local()));
        assert_eq!(MacAddr::of_link_local(link_local), Some(mac));
        assert_eq!(MacAddr::of_ipv4(link_local), None);
        assert_eq!(MacAddr::of_link_local(IpAddr::from(ip).into()), None);
        for other in ["fe80::1", "fe80:0:0:1:42:aff:fe01:ff", "fd00::42:aff:fe01:ff", "fe80::42:afe:fe01:ff"]
        {
            let other: IpAddr = other.parse().expect("an address");
            assert_eq!(MacAddr::of_link_local(other.into()), None, "{other}");
        }
        assert_eq!(MacAddr::new([0x06, 0x42, 10, 1, 0, 1]).ipv4(), None);
    }

    #[test]
    fn mac_reads_what_it_prints() {
        let mac = MacAddr::new([0x02, 0x42, 0x0a, 1, 0, 0xff]);
        let text = std::string::ToString::to_string(&mac);
        assert_eq!(text, "02:42:0a:01:00:ff");
        assert_eq!(text.parse(), Ok(mac));
        for bad in [
            "",
            "02:42:0a:01:00",
            "02:42:0a:01:00:ff:00",
            "02:42:0a:01:00:fg",
            "002:42:a:1:0:1",
            "+2:42:a:1:0:1",
        ] {
            assert_eq!(bad.parse::<MacAddr>(), Err(InvalidMac), "{bad}");
        }
    }

    #[test]
    fn mac_derives_from_the_address() {
        assert_eq!(MacAddr::from_ipv4(Ipv4Addr::new(10, 1, 0, 7)).octets(), [2, 0x42, 10, 1, 0, 7]);
        let six = MacAddr::from_ipv6("fd00:1::7".parse().expect("an address"));
        assert_eq!(six.octets()[0], 6);
        assert!(six.is_unicast());
        assert_ne!(six, MacAddr::from_ipv6("fd00:1::8".parse().expect("an address")));
    }

    #[test]
    fn link_local_is_modified_eui64() {
        let mac: MacAddr = "02:42:0a:01:00:01".parse().expect("a MAC");
        assert_eq!(mac.link_local(), "fe80::42:aff:fe01:1".parse::<Ipv6Addr>().expect("an address"));
    }

    #[test]
    fn ipv4_is_mapped_and_comes_back() {
        let ip: IpAddr = "10.1.0.1".parse().expect("an address");
        assert_eq!(Ip16::from(ip).octets()[10..], [0xff, 0xff, 10, 1, 0, 1]);
        assert_eq!(Ip16::from(ip).to_ip(), ip);
    }

    #[test]
    fn the_sum_of_an_address_is_that_of_its_words() {
        for bytes in [[0; 16], [0xff; 16], core::array::from_fn(|n| (n * 37) as u8), {
            let mut low = [0; 16];
            low[15] = 1;
            low
        }] {
            let words = bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
            assert_eq!(Ip16::v6(bytes).sum(), u32::from(fold(words)), "{bytes:x?}");
            let mut written = [0xaa; 18];
            Ip16::v6(bytes).write(&mut written[1..17]);
            assert_eq!(written[1..17], bytes);
            assert_eq!((written[0], written[17]), (0xaa, 0xaa));
        }
    }
}
