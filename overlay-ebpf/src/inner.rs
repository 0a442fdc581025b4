//! What the inner IP header and the start of the transport header say, and the flow they belong to.

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use overlay_common::{
    DropReason, Ip16, entropy,
    header::{Eth, ExtHdr, FragmentHdr, Header, Ports, protocol},
};

use crate::packet::{ETH, Family, Packet};

/// Extension headers that are followed. More of them is not seen on real networks, and what cannot be followed
/// cannot be checked.
const MAX_EXTENSIONS: usize = 4;

/// An inner IP packet.
pub(crate) struct Ip {
    pub(crate) family: Family,
    pub(crate) src: Ip16,
    pub(crate) dst: Ip16,
    /// TOS or traffic class.
    pub(crate) tos: u8,
    /// TTL or hop limit.
    pub(crate) hop_limit: u8,
    /// Transport protocol.
    pub(crate) protocol: u8,
    /// Offset of the transport header in the frame.
    pub(crate) transport: usize,
    /// Whether it is a part of a datagram, the first or a later one.
    pub(crate) fragment: bool,
    /// First four bytes of the transport header of TCP, UDP and SCTP; zero for others, and in later fragments.
    pub(crate) ports: Ports,
}

const NO_PORTS: Ports = Ports { src: [0; 2], dst: [0; 2] };

/// What forwarding needs to know of a frame's payload.
pub(crate) struct Flow {
    pub(crate) family: Family,
    /// TOS or traffic class; 0 where the frame is not IP.
    pub(crate) tos: u8,
    /// The same for every frame of a flow.
    pub(crate) hash: u64,
    /// Transport protocol; 0 where the frame is not IP.
    pub(crate) protocol: u8,
    /// Offset of the transport header in the frame; 0 where the frame is not IP.
    pub(crate) transport: usize,
}

impl Flow {
    /// The flow of a frame that is not IP.
    #[inline(always)]
    pub(crate) fn other(eth: &Eth) -> Self {
        Self {
            family: Family::Other,
            tos: 0,
            hash: entropy::stations(eth.src, eth.dst),
            protocol: 0,
            transport: 0,
        }
    }
}

impl Ip {
    /// The flow it belongs to.
    #[inline(always)]
    pub(crate) fn flow(&self) -> Flow {
        // No fragment of a datagram may hash by what the others do not show.
        let (protocol, ports) =
            if self.fragment { (protocol::FRAGMENT, NO_PORTS) } else { (self.protocol, self.ports) };
        let ([a, b], [c, d]) = (ports.src, ports.dst);
        let hash = entropy::flow(self.src, self.dst, protocol, u32::from_ne_bytes([a, b, c, d]));
        Flow { family: self.family, tos: self.tos, hash, protocol: self.protocol, transport: self.transport }
    }
}

/// The inner IPv4 packet behind an Ethernet header at the start of the frame.
#[inline(always)]
pub(crate) fn ipv4(pkt: Packet<'_>) -> Result<(Packet<'_>, Ip), DropReason> {
    let pkt = pkt.pull(ETH + Ipv4Hdr::LEN)?;
    let header = pkt.at::<Ipv4Hdr>(ETH)?;
    let length = usize::from(header.vihl & 0xf) * 4;
    if header.vihl >> 4 != 4 || length < Ipv4Hdr::LEN {
        return Err(DropReason::Malformed);
    }
    let ip = Ip {
        family: Family::V4,
        src: Ip16::v4(header.src_addr),
        dst: Ip16::v4(header.dst_addr),
        tos: header.tos,
        hop_limit: header.ttl,
        protocol: header.proto,
        transport: ETH + length,
        // More-fragments flag, or offset.
        fragment: header.frags[0] & 0x3f != 0 || header.frags[1] != 0,
        ports: NO_PORTS,
    };
    let later = header.frags[0] & 0x1f != 0 || header.frags[1] != 0;
    if later { Ok((pkt, ip)) } else { ports(pkt, ip) }
}

/// The inner IPv6 packet behind an Ethernet header at the start of the frame.
#[inline(always)]
pub(crate) fn ipv6(pkt: Packet<'_>) -> Result<(Packet<'_>, Ip), DropReason> {
    let pkt = pkt.pull(ETH + Ipv6Hdr::LEN)?;
    let header = pkt.at::<Ipv6Hdr>(ETH)?;
    if header.vcf[0] >> 4 != 6 {
        return Err(DropReason::Malformed);
    }
    let mut ip = Ip {
        family: Family::V6,
        src: Ip16::v6(header.src_addr),
        dst: Ip16::v6(header.dst_addr),
        tos: header.vcf[0] << 4 | header.vcf[1] >> 4,
        hop_limit: header.hop_limit,
        protocol: header.next_hdr,
        transport: ETH + Ipv6Hdr::LEN,
        fragment: false,
        ports: NO_PORTS,
    };
    // Copied: of pointers that go round a loop the compiler makes arithmetic that the verifier refuses.
    // Once more than there are extension headers: for the transport header.
    for _ in 0..=MAX_EXTENSIONS {
        match ip.protocol {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                let extension = pkt.copy::<ExtHdr>(ip.transport).ok_or(DropReason::Malformed)?;
                ip.protocol = extension.next;
                ip.transport += (usize::from(extension.len) + 1) * 8;
            }
            protocol::FRAGMENT => {
                let fragment = pkt.copy::<FragmentHdr>(ip.transport).ok_or(DropReason::Malformed)?;
                ip.fragment = true;
                // The lowest three bits are no part of the offset.
                if fragment.offset[0] != 0 || fragment.offset[1] & 0xf8 != 0 {
                    return Ok((pkt, ip));
                }
                // The first one says what it is of: it must not hide it from the guards.
                ip.protocol = fragment.next;
                ip.transport += FragmentHdr::LEN;
            }
            _ => return ports(pkt, ip),
        }
    }
    Err(DropReason::Malformed)
}

/// Reads the ports, of protocols that have some.
#[inline(always)]
fn ports(pkt: Packet<'_>, mut ip: Ip) -> Result<(Packet<'_>, Ip), DropReason> {
    match ip.protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP => {
            let pkt = pkt.pull(ip.transport + Ports::LEN)?;
            ip.ports = *pkt.at::<Ports>(ip.transport)?;
            Ok((pkt, ip))
        }
        _ => Ok((pkt, ip)),
    }
}
