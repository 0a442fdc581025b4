//! A frame that leaves by the underlay device: VXLAN of our networks must be of our programs' making.
//!
//! A container with a second interface can send UDP to another node's VXLAN port. Where the host masquerades that,
//! it leaves with the VTEP address, and the other node would believe it.

use aya_ebpf::programs::TcContext;
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};
use overlay_common::{
    DropReason,
    header::{Eth, ethertype, protocol},
    mark, vxlan,
};

use crate::{
    Drop, Verdict, maps,
    outer::{self, Chain},
    packet::{ETH, Packet},
};

/// Segments of a super-frame that are looked at: those of 64 bytes in the longest one there is. A socket sends no
/// more than 128 (`UDP_MAX_SEGMENTS`), but a raw one may.
const MAX_SEGMENTS: usize = 1024;
/// Payload of the shortest segments of which no super-frame has more.
const MIN_SEGMENT: usize = 64;
/// An offset behind the end of any frame.
const BEYOND: usize = i32::MAX as usize;

#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> Result<Verdict, Drop> {
    let pkt = Packet::new(ctx);
    // Nothing but the mark is read of what the programs send.
    if mark::vtep(pkt.mark()).is_some() {
        return Ok(Verdict::Pass);
    }
    let Some(datagram) = to_our_port(&pkt) else { return Ok(Verdict::Pass) };
    // What came in at a port was sent on by a program there: the host's stack takes nothing from it. One of a version
    // that sets no mark is met while versions are swapped.
    if maps::port(pkt.ingress_ifindex()).is_ok() {
        return Ok(Verdict::Pass);
    }
    match forged(&pkt, &datagram) {
        Some(vni) => Err(Drop { vni, reason: DropReason::VxlanFromContainer }),
        None => Ok(Verdict::Pass),
    }
}

/// UDP to our port, or what might be.
struct Datagram {
    /// Offset of what follows the UDP header.
    payload: usize,
    /// Whether what cannot be read of it may hide a header: it is the first fragment of a longer one, or behind more
    /// extension headers than are followed.
    hides: bool,
}

/// The frame as UDP to our port; `None` where it is something else.
#[inline(always)]
fn to_our_port(pkt: &Packet<'_>) -> Option<Datagram> {
    // Copied, not pulled: most frames here are the host's own, and pulling unshares those that TCP keeps a clone of.
    let (udp, hides) = match pkt.copy::<Eth>(0)?.ethertype {
        ethertype::IPV4 => udp_v4(pkt)?,
        ethertype::IPV6 => udp_v6(pkt)?,
        _ => return None,
    };
    let payload = udp + UdpHdr::LEN;
    let Some(header) = pkt.copy::<UdpHdr>(udp) else {
        return hides.then_some(Datagram { payload, hides });
    };
    let ours = header.dst == maps::config().ok()?.udp_port_be();
    ours.then_some(Datagram { payload, hides })
}

/// The offset of the UDP header over IPv4, and whether it is of a first fragment.
#[inline(always)]
fn udp_v4(pkt: &Packet<'_>) -> Option<(usize, bool)> {
    let ip = pkt.copy::<Ipv4Hdr>(ETH)?;
    let [offset_high, offset_low] = ip.frags;
    if ip.proto != protocol::UDP || offset_high & 0x1f | offset_low != 0 {
        return None;
    }
    // More fragments (RFC 791 section 3.1).
    Some((ETH + usize::from(ip.vihl & 0xf) * 4, offset_high & 0x20 != 0))
}

/// The same over IPv6.
#[inline(always)]
fn udp_v6(pkt: &Packet<'_>) -> Option<(usize, bool)> {
    match outer::follow(pkt, pkt.copy::<Ipv6Hdr>(ETH)?.next_hdr) {
        Chain::Udp(found) => Some((found.end, found.fragment)),
        Chain::Other => None,
        Chain::Lost => Some((BEYOND, true)),
    }
}

/// The VNI under which a datagram without our mark is to be dropped, 0 for none in particular.
#[inline(always)]
fn forged(pkt: &Packet<'_>, datagram: &Datagram) -> Option<u32> {
    let Some(header) = pkt.copy::<VxlanHdr>(datagram.payload) else {
        // A fragment so short hides the header in the next one; nobody sends such but to do that.
        return datagram.hides.then_some(0);
    };
    // Reserved bits do not count: who receives it may ignore them (RFC 7348 section 5).
    let vni = vxlan::vni_of(&header);
    if header.flags & vxlan::FLAG_VNI != 0 && maps::is_net(vni) {
        return Some(vni);
    }
    forged_segment(pkt, datagram.payload)
}

/// The VNI of a later segment. A super-frame of `UDP_SEGMENT` becomes a datagram for each: every one has a VXLAN
/// header of its own, or none.
#[inline(always)]
fn forged_segment(pkt: &Packet<'_>, payload: usize) -> Option<u32> {
    let segment = pkt.gso_size();
    if segment == 0 {
        return None;
    }
    if segment < MIN_SEGMENT && pkt.len() > payload + MAX_SEGMENTS * segment {
        return Some(0);
    }
    let mut offset = payload;
    for _ in 0..MAX_SEGMENTS {
        offset += segment;
        let header = pkt.copy::<VxlanHdr>(offset)?;
        // In a super-frame of another vxlan device this place holds data. With the reserved bits in the check, data
        // does not pass for a header by chance.
        if let Some(vni) = vxlan::vni(&header)
            && maps::is_net(vni)
        {
            return Some(vni);
        }
    }
    None
}
