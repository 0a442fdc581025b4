//! The outer headers of a frame from the underlay: is it VXLAN for us, and do they hold.

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};
use overlay_common::{
    DropReason, Ip16,
    header::{Eth, ExtHdr, FragmentHdr, Header, ethertype, protocol},
    map::NodeConfig,
    vxlan::{self, OuterV6},
};

use crate::{
    maps,
    packet::{ETH, Packet},
};

/// Extension headers that are followed.
const MAX_EXTENSIONS: usize = 4;

/// A VXLAN packet whose outer headers hold.
pub(crate) struct Outer {
    /// VNI in host order.
    pub(crate) vni: u32,
    /// Who sent it.
    pub(crate) src: Ip16,
    /// TOS or traffic class.
    pub(crate) tos: u8,
    /// Length of its IP header without options.
    pub(crate) ip_len: usize,
    /// Offset of the inner frame.
    pub(crate) inner: usize,
    /// Length of the frame up to the end of the UDP datagram.
    pub(crate) end: usize,
}

impl Outer {
    /// Whether its IP header is one of IPv6.
    #[inline(always)]
    pub(crate) fn is_v6(&self) -> bool {
        self.ip_len == Ipv6Hdr::LEN
    }
}

/// The VXLAN packet to our VTEP and port that a frame is; `None`: it is the host's.
///
/// UDP to our address whose port cannot be read is malformed: it might be VXLAN, and the host's stack would drop
/// it uncounted.
#[inline(always)]
pub(crate) fn read(pkt: Packet<'_>) -> Result<Option<(Packet<'_>, Outer)>, DropReason> {
    const SHORTEST: usize = ETH + Ipv4Hdr::LEN;
    if pkt.len() < SHORTEST || !pkt.is_for_host() || pkt.has_vlan_tag() {
        return Ok(None);
    }
    let pkt = pkt.pull(SHORTEST)?;
    match pkt.at::<Eth>(0)?.ethertype {
        ethertype::IPV4 => v4(pkt, maps::config()?),
        ethertype::IPV6 => v6(pkt, maps::config()?),
        _ => Ok(None),
    }
}

/// Over IPv4, checked as the kernel's stack and its vxlan device would.
#[inline(always)]
fn v4<'a>(pkt: Packet<'a>, config: &NodeConfig) -> Result<Option<(Packet<'a>, Outer)>, DropReason> {
    const MORE_FRAGMENTS: u8 = 0x20;
    let ip = *pkt.at::<Ipv4Hdr>(ETH)?;
    if ip.proto != protocol::UDP || Ip16::v4(ip.dst_addr) != config.vtep_v4 {
        return Ok(None);
    }
    // A later fragment has no ports: the host's, which will not make a datagram of it without its first.
    if ip.frags[0] & 0x1f | ip.frags[1] != 0 {
        return Ok(None);
    }
    let header = usize::from(ip.vihl & 0xf) * 4;
    if header < Ipv4Hdr::LEN {
        return Err(DropReason::Malformed);
    }
    let pkt = pkt.pull(ETH + header + UdpHdr::LEN)?;
    if pkt.at::<UdpHdr>(ETH + header)?.dst != config.udp_port_be() {
        return Ok(None);
    }
    let inner = ETH + header + UdpHdr::LEN + VxlanHdr::LEN;
    let pkt = pkt.pull(inner + ETH)?;
    if ip.frags[0] & MORE_FRAGMENTS != 0 {
        return Err(DropReason::OuterFragment);
    }
    let udp = pkt.at::<UdpHdr>(ETH + header)?;
    let (ip_len, udp_len) =
        (usize::from(u16::from_be_bytes(ip.tot_len)), usize::from(u16::from_be_bytes(udp.len)));
    let outer = Outer {
        vni: vxlan::vni(pkt.at::<VxlanHdr>(ETH + header + UdpHdr::LEN)?).ok_or(DropReason::Malformed)?,
        src: Ip16::v4(ip.src_addr),
        tos: ip.tos,
        ip_len: Ipv4Hdr::LEN,
        inner,
        end: ETH + header + udp_len,
    };
    let lengths_hold = header + udp_len <= ip_len && ETH + ip_len <= pkt.len() && inner + ETH <= outer.end;
    // Options are not summed here: no VTEP of ours sends any, and one that does is told by the count.
    let header_holds = ip.vihl == 0x45 && vxlan::ipv4_checksum_holds(&ip);
    if lengths_hold && header_holds { Ok(Some((pkt, outer))) } else { Err(DropReason::Malformed) }
}

/// Over IPv6, checked as the kernel's stack and its vxlan device would.
#[inline(always)]
fn v6<'a>(pkt: Packet<'a>, config: &NodeConfig) -> Result<Option<(Packet<'a>, Outer)>, DropReason> {
    const IP_END: usize = ETH + Ipv6Hdr::LEN;
    // Without an address of our own its place is zero, which a header might say.
    if config.vtep_v6 == Ip16::ZERO || pkt.len() < IP_END {
        return Ok(None);
    }
    let pkt = pkt.pull(IP_END)?;
    let ip = *pkt.at::<Ipv6Hdr>(ETH)?;
    if Ip16::v6(ip.dst_addr) != config.vtep_v6 {
        return Ok(None);
    }
    let chain = match follow(&pkt, ip.next_hdr) {
        Chain::Udp(chain) => chain,
        Chain::Other => return Ok(None),
        Chain::Lost => return Err(DropReason::Malformed),
    };
    let Some(udp) = pkt.copy::<UdpHdr>(chain.end) else { return Err(DropReason::Malformed) };
    if udp.dst != config.udp_port_be() {
        return Ok(None);
    }
    if chain.fragment {
        return Err(DropReason::OuterFragment);
    }
    let src = Ip16::v6(ip.src_addr);
    let ip_end = IP_END + usize::from(u16::from_be_bytes(ip.payload_len));
    let end = match usize::from(u16::from_be_bytes(udp.len)) {
        // The rest of the packet (RFC 2675 section 4), which the kernel takes without a jumbo payload too.
        0 => ip_end,
        udp_len => chain.end + udp_len,
    };
    let inner = chain.end + UdpHdr::LEN + VxlanHdr::LEN;
    let lengths_hold = end <= ip_end && ip_end <= pkt.len() && inner + ETH <= end;
    // A mapped source would pass for the IPv4 address that it maps (the kernel refuses it of TCP only).
    let header_holds = ip.vcf[0] >> 4 == 6 && !chain.refused && !src.is_v4();
    let Some(vxlan) = pkt.copy::<VxlanHdr>(chain.end + UdpHdr::LEN) else {
        return Err(DropReason::Malformed);
    };
    let vni = vxlan::vni(&vxlan).ok_or(DropReason::Malformed)?;
    if !(lengths_hold && header_holds) {
        return Err(DropReason::Malformed);
    }
    let extensions = chain.end - IP_END;
    let pkt = if extensions == 0 { pkt } else { without(pkt, &ip, extensions)? };
    let pkt = pkt.pull(OuterV6::LEN + ETH)?;
    let tos = ip.vcf[0] << 4 | ip.vcf[1] >> 4;
    let outer = Outer { vni, src, tos, ip_len: Ipv6Hdr::LEN, inner: OuterV6::LEN, end: end - extensions };
    Ok(Some((pkt, outer)))
}

/// Takes `extensions` bytes of extension headers out of a packet that is UDP behind them, and has its header say so to
/// whoever reads it next: the host's stack, where the packet is left to our vxlan device.
#[inline(always)]
fn without<'a>(pkt: Packet<'a>, ip: &Ipv6Hdr, extensions: usize) -> Result<Packet<'a>, DropReason> {
    let payload = u16::from_be_bytes(ip.payload_len) - extensions as u16;
    let pkt = pkt.take_out_extensions(extensions)?;
    let pkt = pkt.store(ETH + 4, payload.to_be_bytes())?;
    pkt.store(ETH + 6, [protocol::UDP, ip.hop_limit])
}

/// What the extension headers of an IPv6 packet lead to.
pub(crate) enum Chain {
    Udp(Extensions),
    /// Another protocol, or a later fragment.
    Other,
    /// They do not end within the packet, or there are more than are followed.
    Lost,
}

/// Extension headers with UDP behind them.
pub(crate) struct Extensions {
    /// Offset of the UDP header.
    pub(crate) end: usize,
    /// Whether the packet is the first fragment of a longer one.
    pub(crate) fragment: bool,
    /// Whether a header is among them that no VTEP sends and that may lead elsewhere: a routing header, options of
    /// every hop in a place where the kernel has no handler for them, or a second header of a fragment.
    refused: bool,
}

/// Follows the extension headers behind the IPv6 header of a frame.
#[inline(always)]
pub(crate) fn follow(pkt: &Packet<'_>, first: u8) -> Chain {
    let mut next = first;
    let mut found = Extensions { end: ETH + Ipv6Hdr::LEN, fragment: false, refused: false };
    let mut atomic = false;
    // Once more than there are extension headers: for what follows them.
    for number in 0..=MAX_EXTENSIONS {
        match next {
            protocol::UDP => return Chain::Udp(found),
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                found.refused |= next == protocol::ROUTING || next == protocol::HOP_BY_HOP && number > 0;
                let Some(extension) = pkt.copy::<ExtHdr>(found.end) else { return Chain::Lost };
                next = extension.next;
                found.end += (usize::from(extension.len) + 1) * 8;
            }
            protocol::FRAGMENT => {
                let Some(fragment) = pkt.copy::<FragmentHdr>(found.end) else { return Chain::Lost };
                let [offset_high, offset_low] = fragment.offset;
                // The lowest three bits are no part of the offset.
                if offset_high != 0 || offset_low & 0xf8 != 0 {
                    return Chain::Other;
                }
                // Without more to come it is whole (RFC 6946), and no fragment of another one (`IP6SKB_FRAGMENTED`).
                found.fragment |= offset_low & 1 != 0;
                found.refused |= atomic;
                atomic = true;
                next = fragment.next;
                found.end += FragmentHdr::LEN;
            }
            _ => return Chain::Other,
        }
    }
    Chain::Lost
}
