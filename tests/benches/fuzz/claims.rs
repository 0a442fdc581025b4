//! ARP and neighbour discovery from a VTEP: what our programs refuse of it, said a second time.
//!
//! The kernel delivers it all. Our programs check what a plain VXLAN device's stations claim, and all that goes to a
//! group, and give a question to a group to the one port that it is for.

use std::net::{IpAddr, Ipv6Addr};

use overlay_common::{DropReason, MacAddr};

use crate::{
    parsed::{Inner6, Last, Parsed, mac_at, v4_at, v6_at},
    scene::{PLAIN_VTEP, Place, owner_of, place_of},
};

/// Neighbour solicitation and advertisement (RFC 4861 section 4).
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Options that name the sender's MAC address.
const SOURCE_MAC: u8 = 1;
const TARGET_MAC: u8 = 2;
/// Options that are followed.
const OPTIONS: usize = 4;

/// What a claim that held asks for: an address, or nothing.
type Asked = Option<IpAddr>;

/// Whether a frame may be ARP or neighbour discovery, at first sight.
pub(crate) fn concerns(frame: &Parsed<'_>) -> bool {
    let next = || frame.inner.get(14 + 6).filter(|_| frame.inner.len() >= 14 + 40);
    match frame.ethertype {
        0x0806 => true,
        // Extension headers may hide it; to groups they must not (RFC 6980).
        0x86dd => next().is_some_and(|next| match next {
            58 => true,
            0 | 43 | 44 | 60 => !frame.inner_dst.is_multicast(),
            _ => false,
        }),
        _ => false,
    }
}

/// Why a frame that is about neighbours is refused; none where it is delivered. To one station that is on this node,
/// or to a group.
pub(crate) fn refused(frame: &Parsed<'_>) -> Option<DropReason> {
    let asked = match checked(frame) {
        Ok(asked) => asked,
        Err(reason) => return Some(reason),
    };
    if !frame.inner_dst.is_multicast() {
        return None;
    }
    let Some(asked) = asked else { return Some(DropReason::Bum) };
    let Some(owner) = owner_of(asked) else { return Some(DropReason::UnknownNeigh) };
    if owner == frame.inner_src {
        return Some(DropReason::OwnNeigh);
    }
    match place_of(owner)? {
        Place::Peer | Place::Egress => None,
        Place::Behind(_) => Some(DropReason::SplitHorizon),
    }
}

/// Whether what a frame claims must be checked; refused where its sender is not behind its VTEP.
fn must_check(frame: &Parsed<'_>) -> Result<bool, DropReason> {
    match place_of(frame.inner_src) {
        Some(Place::Behind(vtep)) if vtep == frame.src => {
            Ok(vtep == PLAIN_VTEP || frame.inner_dst.is_multicast())
        }
        _ => Err(DropReason::SpoofedMac),
    }
}

fn checked(frame: &Parsed<'_>) -> Result<Asked, DropReason> {
    if frame.ethertype == 0x0806 {
        return if must_check(frame)? { arp(frame) } else { Ok(None) };
    }
    let packet = Inner6::read(frame.inner).ok_or(DropReason::Malformed)?;
    match packet.last {
        Last::Lost => Err(DropReason::Malformed),
        Last::Transport(58, message) => icmpv6(frame, &packet, message),
        // Their ports are read.
        Last::Transport(6 | 17 | 132, header) if header.len() < 4 => Err(DropReason::Malformed),
        Last::Later | Last::Transport(..) => Ok(None),
    }
}

fn arp(frame: &Parsed<'_>) -> Result<Asked, DropReason> {
    let arp = frame.inner.get(14..14 + 28).ok_or(DropReason::Malformed)?;
    let request = match arp[..8] {
        [0, 1, 8, 0, 6, 4, 0, 1] => true,
        [0, 1, 8, 0, 6, 4, 0, 2] => false,
        _ => return Err(DropReason::Malformed),
    };
    let sender = v4_at(arp, 14).ok_or(DropReason::Malformed)?;
    let its_own = sender.is_unspecified() || owner_of(sender.into()) == Some(frame.inner_src);
    if mac_at(arp, 8) != Some(frame.inner_src) || !its_own {
        return Err(DropReason::SpoofedArp);
    }
    Ok(v4_at(arp, 24).filter(|_| request).map(IpAddr::V4))
}

fn icmpv6(frame: &Parsed<'_>, packet: &Inner6<'_>, message: &[u8]) -> Result<Asked, DropReason> {
    let kind = *message.get(..2).and_then(|start| start.first()).ok_or(DropReason::Malformed)?;
    if !matches!(kind, SOLICITATION | ADVERTISEMENT) || !must_check(frame)? {
        return Ok(None);
    }
    if packet.fragment {
        return Err(DropReason::Malformed);
    }
    if kind == SOLICITATION {
        let src = packet.src;
        if !(src.is_unspecified() || is_of(src, frame.inner_src)) {
            return Err(DropReason::SpoofedIp);
        }
        return Ok(Some(target(frame, packet, message, SOURCE_MAC)?.into()));
    }
    let target = target(frame, packet, message, TARGET_MAC)?;
    if is_of(target, frame.inner_src) { Ok(None) } else { Err(DropReason::SpoofedNd) }
}

/// Whether an address is a station's. One that maps an IPv4 address is nobody's.
fn is_of(addr: Ipv6Addr, mac: MacAddr) -> bool {
    owner_of(addr.into()) == Some(mac)
}

/// The target of a message whose options hold.
fn target(
    frame: &Parsed<'_>,
    packet: &Inner6<'_>,
    message: &[u8],
    claim: u8,
) -> Result<Ipv6Addr, DropReason> {
    let target = v6_at(message, 8).ok_or(DropReason::Malformed)?;
    if packet.hop_limit != 255 || target.to_ipv4_mapped().is_some() {
        return Err(DropReason::Malformed);
    }
    let mut options = &message[24..];
    let mut followed = 0;
    // What is shorter than a link-layer address names none.
    while options.len() >= 8 {
        let (kind, length) = (options[0], usize::from(options[1]) * 8);
        if length == 0 || followed == OPTIONS {
            return Err(DropReason::Malformed);
        }
        if kind == claim && mac_at(options, 2) != Some(frame.inner_src) {
            return Err(DropReason::SpoofedNd);
        }
        options = options.get(length..).unwrap_or(&[]);
        followed += 1;
    }
    Ok(target)
}
