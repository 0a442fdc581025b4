//! The intended differences: where our programs do not do what the kernel's vxlan device does, and why.
//!
//! A frame that the kernel delivers must be delivered by us, with the same bytes, or the first row here that is about
//! it says what must be counted instead: a row is no leave to differ but a promise to. What the kernel drops, we do not
//! deliver. Nothing else is explained.

use overlay_common::DropReason;
use overlay_tests::Family;

use crate::{
    claims,
    parsed::Parsed,
    scene::{MEMBERS, OUR_VTEP, Place, SECRET_VNI, VNI, place_of},
};

/// A difference.
pub(crate) struct Difference {
    /// What is about the frame.
    pub(crate) name: &'static str,
    /// Whether a frame that the kernel delivers is one of these.
    pub(crate) holds: fn(&Parsed<'_>) -> bool,
    /// What our programs count; the host has the frame where it is `Unguarded` (see `Lane`).
    pub(crate) counted: DropReason,
    /// The only family of outer headers that it can be met over, if there is but one.
    pub(crate) over: Option<Family>,
    /// Why.
    pub(crate) why: &'static str,
}

/// What we hand to the host: the program behind `from_underlay` counts it.
pub(crate) const PASSED: DropReason = DropReason::Unguarded;

/// The differences, in the order that our program looks for them.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "outer VLAN tag 0",
        holds: |frame| frame.tagged,
        counted: PASSED,
        over: None,
        why: "a priority tag: VTEPs send none, so it is left to the host",
    },
    Difference {
        name: "outer group MAC",
        holds: |frame| frame.to_group,
        counted: PASSED,
        over: None,
        why: "VXLAN for one VTEP goes to its MAC address",
    },
    Difference {
        name: "outer group address",
        holds: |frame| frame.dst != OUR_VTEP,
        counted: PASSED,
        over: None,
        why: "the VTEP has one address; no network uses underlay multicast",
    },
    Difference {
        name: "outer IPv4 options",
        holds: |frame| frame.between.options > 0,
        counted: DropReason::Malformed,
        over: Some(Family::V4),
        why: "no VTEP sends any, and they would not be summed",
    },
    Difference {
        name: "five extension headers",
        holds: |frame| frame.between.extensions > 4,
        counted: DropReason::Malformed,
        over: Some(Family::V6),
        why: "no VTEP sends any; four are followed, and no more",
    },
    Difference {
        name: "outer routing header",
        holds: |frame| frame.between.routing,
        counted: DropReason::Malformed,
        over: Some(Family::V6),
        why: "no VTEP sends one; it might lead elsewhere (RFC 5095)",
    },
    Difference {
        name: "outer mapped source",
        holds: |frame| frame.mapped,
        counted: DropReason::Malformed,
        over: Some(Family::V6),
        why: "it would pass for the IPv4 address of a VTEP",
    },
    Difference {
        name: "outer length 0",
        holds: |frame| frame.no_length,
        counted: DropReason::Malformed,
        over: Some(Family::V6),
        why: "behind options of every hop the kernel takes it for a jumbogram (RFC 2675) without looking for its option",
    },
    Difference {
        name: "sender is no VTEP",
        holds: |frame| !MEMBERS.iter().any(|(_, vtep)| *vtep == frame.src),
        counted: DropReason::UnknownVtep,
        over: None,
        why: "RFC 7348 section 7: who can reach the port must not reach containers",
    },
    Difference {
        name: "sender is no member",
        holds: |frame| !MEMBERS.contains(&(frame.vni, frame.src)),
        counted: DropReason::VtepNotInVni,
        over: None,
        why: "a node without an endpoint in a network has nothing to say there",
    },
    Difference {
        name: "encrypted network",
        holds: |frame| frame.vni == SECRET_VNI,
        counted: DropReason::NotEncrypted,
        over: None,
        why: "in clear it is not from a member",
    },
    Difference {
        name: "inner source MAC",
        holds: |frame| !frame.inner_src.is_unicast(),
        counted: DropReason::Malformed,
        over: None,
        why: "no station has a group's address or zero (IEEE 802.3 section 3.2.3)",
    },
    Difference {
        name: "broadcast, multicast",
        holds: |frame| frame.inner_dst.is_multicast() && !claims::concerns(frame),
        counted: DropReason::Bum,
        over: None,
        why: "no flooding: only ARP and neighbour discovery are for groups",
    },
    Difference {
        name: "inner VLAN tag",
        holds: |frame| matches!(frame.ethertype, 0x8100 | 0x88a8),
        counted: DropReason::VlanTagged,
        over: None,
        why: "RFC 7348 section 6.1: should be discarded",
    },
    Difference {
        name: "MAC in no table",
        holds: |frame| to_one(frame) && place(frame).is_none(),
        counted: DropReason::UnknownMac,
        over: None,
        why: "the tables are complete: nobody else can be there",
    },
    Difference {
        name: "behind a VTEP",
        holds: |frame| to_one(frame) && matches!(place(frame), Some(Place::Behind(_))),
        counted: DropReason::SplitHorizon,
        over: None,
        why: "what a VTEP sends never goes to a VTEP: no loops",
    },
    claim("claim: another VTEP", |frame| refused(frame, DropReason::SpoofedMac), DropReason::SpoofedMac),
    claim("claim: ARP", |frame| refused(frame, DropReason::SpoofedArp), DropReason::SpoofedArp),
    claim("claim: ND source", |frame| refused(frame, DropReason::SpoofedIp), DropReason::SpoofedIp),
    claim("claim: ND option", |frame| refused(frame, DropReason::SpoofedNd), DropReason::SpoofedNd),
    Difference {
        name: "neighbours: malformed",
        holds: |frame| refused(frame, DropReason::Malformed),
        counted: DropReason::Malformed,
        over: None,
        why: "a claim that cannot be read cannot be checked (RFC 6980)",
    },
    Difference {
        name: "neighbours: no question",
        holds: |frame| refused(frame, DropReason::Bum),
        counted: DropReason::Bum,
        over: None,
        why: "an announcement to all: the tables have it already",
    },
    Difference {
        name: "neighbours: own",
        holds: |frame| refused(frame, DropReason::OwnNeigh),
        counted: DropReason::OwnNeigh,
        over: None,
        why: "duplicate address detection: the table decides duplicates",
    },
    Difference {
        name: "neighbours: nobody",
        holds: |frame| refused(frame, DropReason::UnknownNeigh),
        counted: DropReason::UnknownNeigh,
        over: None,
        why: "a question for an address that no endpoint has",
    },
    Difference {
        name: "neighbours: elsewhere",
        holds: |frame| refused(frame, DropReason::SplitHorizon),
        counted: DropReason::SplitHorizon,
        over: None,
        why: "a question for an endpoint of another node, which is asked itself",
    },
];

const fn claim(name: &'static str, holds: fn(&Parsed<'_>) -> bool, counted: DropReason) -> Difference {
    Difference {
        name,
        holds,
        counted,
        over: None,
        why: "what a station says of itself must be what the tables have",
    }
}

fn to_one(frame: &Parsed<'_>) -> bool {
    !frame.inner_dst.is_multicast()
}

/// Where the destination is.
fn place(frame: &Parsed<'_>) -> Option<Place> {
    if frame.vni == VNI { place_of(frame.inner_dst) } else { None }
}

fn refused(frame: &Parsed<'_>, reason: DropReason) -> bool {
    claims::concerns(frame) && claims::refused(frame) == Some(reason)
}

/// The place of the row that a frame which the kernel delivers belongs to.
pub(crate) fn of(frame: &Parsed<'_>) -> Option<usize> {
    DIFFERENCES.iter().position(|difference| (difference.holds)(frame))
}

/// Differences of bytes in a frame that both deliver.
pub(crate) struct Bytes {
    /// What they are.
    pub(crate) name: &'static str,
    /// Changes what the kernel delivered of an inner frame into what we must; whether that was needed.
    pub(crate) apply: fn(sent: &Parsed<'_>, delivered: &mut Vec<u8>) -> bool,
    /// Why.
    pub(crate) why: &'static str,
}

/// Shortest frame that our programs deliver which is not IP: an Ethernet header and the outer IP header
/// (`bpf_skb_net_base_len`).
const fn shortest(family: Family) -> usize {
    match family {
        Family::V4 => 34,
        Family::V6 => 54,
    }
}

/// The differences of bytes.
pub(crate) const BYTES: &[Bytes] = &[
    Bytes {
        name: "short, not IP",
        apply: |sent, delivered| {
            let ip = matches!(delivered.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
            let short = !ip && delivered.len() < shortest(sent.family);
            if short {
                delivered.resize(shortest(sent.family), 0);
            }
            short
        },
        why: "padded with zeros to 34 or 54 bytes, the least that `bpf_skb_adjust_room` leaves",
    },
    Bytes {
        name: "marked, sum 0xffff",
        apply: |sent, delivered| {
            let marked =
                delivered.get(12..14) == Some(&[0x08, 0x00]) && delivered.get(15) != sent.inner.get(15);
            let minus_zero = marked && delivered.get(24..26) == Some(&[0xff, 0xff]);
            if minus_zero {
                delivered[24..26].fill(0);
            }
            minus_zero
        },
        why: "RFC 1624 section 3: 0, as if summed anew; the kernel adds as RFC 1141 did",
    },
];
