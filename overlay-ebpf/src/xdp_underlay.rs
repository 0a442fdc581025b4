//! Before there is a socket buffer: takes the tunnel's header off frames that are plainly for a container here, so that
//! the kernel merges the inner packets of a flow (GRO), and tells `from_underlay` whose they are.
//!
//! It judges nobody. A frame goes on untouched unless each thing about it is as our VTEPs send it; what is wrong with the
//! others, or special, is for `from_underlay` to say, as if there were no XDP. What it takes, `from_underlay` would have
//! taken: its checks are those of `outer` and `from_underlay`, with less allowed.

use aya_ebpf::programs::XdpContext;
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};
use overlay_common::{
    Handed, Ip16, MacAddr, ecn,
    header::{Eth, Header, ethertype, protocol},
    map::{Fdb, Member, NodeConfig},
    vxlan::{self, OuterV4, OuterV6},
};

use crate::{
    Drop, maps,
    maps::Network,
    packet::{ETH, xdp::Frame},
};

/// What the outer header of a plain frame says.
struct Tunnel {
    /// VNI in host order.
    vni: u32,
    /// Who sent it.
    src: Ip16,
    /// TOS or traffic class.
    tos: u8,
    /// Offset of the inner frame.
    inner: usize,
}

#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> Result<(), Drop> {
    let mut frame = Frame::new(ctx);
    let Some(tunnel) = plain(&frame) else { return Ok(()) };
    let Some(fdb) = endpoint(&mut frame, &tunnel) else { return Ok(()) };
    let vni = tunnel.vni;
    match frame.pop(tunnel.inner, Handed::new(vni, fdb)) {
        None | Some(Ok(())) => Ok(()),
        Some(Err(reason)) => Err(Drop { vni, reason }),
    }
}

/// The tunnel of a frame to our VTEP and port; `None`: it is not plain VXLAN.
#[inline(always)]
fn plain(frame: &Frame<'_>) -> Option<Tunnel> {
    let config = maps::config().ok()?;
    let eth = frame.at::<Eth>(0)?;
    // The kernel has not sorted out yet what is for other stations (`eth_type_trans`).
    if eth.dst != config.mac {
        return None;
    }
    match eth.ethertype {
        ethertype::IPV4 => v4(frame, config),
        ethertype::IPV6 => v6(frame, config),
        _ => None,
    }
}

#[inline(always)]
fn v4(frame: &Frame<'_>, config: &NodeConfig) -> Option<Tunnel> {
    let OuterV4 { ip, udp, vxlan, .. } = frame.at::<OuterV4>(0)?;
    // More fragments, or an offset.
    let whole = ip.frags[0] & 0x3f | ip.frags[1] == 0;
    let ours = ip.vihl == 0x45
        && ip.proto == protocol::UDP
        && whole
        && Ip16::v4(ip.dst_addr) == config.vtep_v4
        && udp.dst == config.udp_port_be();
    let ip_len = usize::from(u16::from_be_bytes(ip.tot_len));
    let udp_len = usize::from(u16::from_be_bytes(udp.len));
    let exact = ip_len == Ipv4Hdr::LEN + udp_len && ETH + ip_len == frame.len();
    if !(ours && exact && vxlan::ipv4_checksum_holds(ip)) {
        return None;
    }
    Some(Tunnel { vni: vxlan::vni(vxlan)?, src: Ip16::v4(ip.src_addr), tos: ip.tos, inner: OuterV4::LEN })
}

#[inline(always)]
fn v6(frame: &Frame<'_>, config: &NodeConfig) -> Option<Tunnel> {
    let OuterV6 { ip, udp, vxlan, .. } = frame.at::<OuterV6>(0)?;
    let src = Ip16::v6(ip.src_addr);
    let ours = config.vtep_v6 != Ip16::ZERO
        && ip.vcf[0] >> 4 == 6
        && ip.next_hdr == protocol::UDP
        && Ip16::v6(ip.dst_addr) == config.vtep_v6
        // A mapped source would pass for the IPv4 address that it maps.
        && !src.is_v4()
        && udp.dst == config.udp_port_be();
    let udp_len = usize::from(u16::from_be_bytes(udp.len));
    let exact = usize::from(u16::from_be_bytes(ip.payload_len)) == udp_len
        && udp_len >= UdpHdr::LEN
        && ETH + Ipv6Hdr::LEN + udp_len == frame.len();
    if !(ours && exact) {
        return None;
    }
    let tos = ip.vcf[0] << 4 | ip.vcf[1] >> 4;
    Some(Tunnel { vni: vxlan::vni(vxlan)?, src, tos, inner: OuterV6::LEN })
}

/// The local endpoint that the inner frame is for, once the outer header's mark is carried into it; `None`: something
/// about it is for `from_underlay` to look at.
#[inline(always)]
fn endpoint(frame: &mut Frame<'_>, tunnel: &Tunnel) -> Option<Fdb> {
    let member = maps::membership(tunnel.vni, tunnel.src)?;
    if member.flags & Member::ENCRYPTED != 0 {
        return None;
    }
    let eth = *frame.at::<Eth>(tunnel.inner)?;
    if !MacAddr::is_unicast(eth.src) || eth.dst.is_multicast() {
        return None;
    }
    let fdb = maps::fdb(Network { vni: tunnel.vni, slice: &member.slice }, eth.dst).ok()?;
    if !matches!(fdb.delivery(), Fdb::PEER | Fdb::EGRESS) {
        return None;
    }
    match eth.ethertype {
        ethertype::IPV4 => ecn::mark_v4(frame.at_mut(tunnel.inner + ETH)?, tunnel.tos)?,
        ethertype::IPV6 => {
            let ip = frame.at_mut::<Ipv6Hdr>(tunnel.inner + ETH)?;
            // Of the others each may be, or hide, neighbour discovery.
            if !matches!(ip.next_hdr, protocol::TCP | protocol::UDP) {
                return None;
            }
            ip.vcf[1] = ecn::mark_v6(ip.vcf[1], tunnel.tos)?;
        }
        _ => return None,
    }
    Some(fdb)
}
