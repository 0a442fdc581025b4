//! Header types that packet memory is viewed as, and constants of the protocols they belong to.
//!
//! Most come from `network-types`; what it defines with an alignment above 1 (its `EthHdr`), or not at all
//! (neighbour discovery), is defined here.

use network_types::{
    arp::ArpHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};

use crate::{
    Handed, MacAddr,
    icmp::{BEFORE_V4, BEFORE_V6},
    vxlan::{OuterV4, OuterV6},
};

/// A view of packet memory.
///
/// # Safety
///
/// The type is `repr(C)`, has alignment 1 and no padding, and every bit pattern is a value of it: a reference to
/// it may point anywhere into a packet.
pub unsafe trait Header: Copy {
    /// Length in bytes.
    const LEN: usize = size_of::<Self>();
}

/// States that a type is a `Header`; alignment is checked here, the rest is argued at the call.
macro_rules! header {
    ($($type:ty),+ $(,)?) => {$(
        const _: () = assert!(align_of::<$type>() == 1);
        // SAFETY: `repr(C)` of byte arrays only, hence without padding and with every bit pattern valid; the
        // alignment is asserted above.
        unsafe impl Header for $type {}
    )+};
}

header!(
    Eth,
    ArpHdr,
    Ipv4Hdr,
    Ipv6Hdr,
    UdpHdr,
    VxlanHdr,
    Ports,
    ExtHdr,
    FragmentHdr,
    NdMessage,
    NdOption,
    [u8; 2],
    [u8; 8],
    [u8; 40],
    [u8; BEFORE_V4],
    [u8; BEFORE_V6],
    [u8; 86],
    [u8; 512],
    OuterV4,
    OuterV6,
    Handed,
);

/// An Ethernet header.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Eth {
    /// Destination.
    pub dst: MacAddr,
    /// Source.
    pub src: MacAddr,
    /// EtherType, big-endian.
    pub ethertype: [u8; 2],
}

/// The first four bytes of TCP, UDP and SCTP.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ports {
    /// Source port, big-endian.
    pub src: [u8; 2],
    /// Destination port, big-endian.
    pub dst: [u8; 2],
}

/// The first two bytes of an IPv6 extension header (RFC 8200 section 4).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ExtHdr {
    /// Protocol of what follows.
    pub next: u8,
    /// Length in units of 8 bytes, not counting the first 8.
    pub len: u8,
}

/// An IPv6 fragment header (RFC 8200 section 4.5).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FragmentHdr {
    /// Protocol of what follows, of the first fragment.
    pub next: u8,
    /// Reserved.
    pub reserved: u8,
    /// Offset in units of 8 bytes in the upper 13 bits, more-fragments flag in the lowest, big-endian.
    pub offset: [u8; 2],
    /// The same in all fragments of a packet.
    pub id: [u8; 4],
}

/// A neighbour solicitation or advertisement without its options (RFC 4861 sections 4.3 and 4.4).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NdMessage {
    /// ICMPv6 type.
    pub kind: u8,
    /// ICMPv6 code, 0.
    pub code: u8,
    /// ICMPv6 checksum, big-endian.
    pub checksum: [u8; 2],
    /// Flags R, S and O of an advertisement, reserved in a solicitation.
    pub flags: [u8; 4],
    /// Target address.
    pub target: [u8; 16],
}

/// A link-layer address option (RFC 4861 section 4.6.1); of other options only the first two fields have meaning.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NdOption {
    /// Option type.
    pub kind: u8,
    /// Length in units of 8 bytes.
    pub len: u8,
    /// The link-layer address.
    pub mac: MacAddr,
}

/// EtherTypes, as a header holds them.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: [u8; 2] = [0x08, 0x00];
    /// ARP.
    pub const ARP: [u8; 2] = [0x08, 0x06];
    /// IPv6.
    pub const IPV6: [u8; 2] = [0x86, 0xdd];
    /// IEEE 802.1Q customer tag.
    pub const VLAN: [u8; 2] = [0x81, 0x00];
    /// IEEE 802.1ad service tag.
    pub const QINQ: [u8; 2] = [0x88, 0xa8];
}

/// IP protocol numbers.
pub mod protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// IPv6 authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// ICMPv6 types of neighbour discovery (RFC 4861 section 4).
pub mod icmpv6 {
    /// Router solicitation.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;
}
