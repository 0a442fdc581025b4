//! The cases, by what is changed in a good frame: from the outside of it to the inside.

mod ethernet;
mod forwarder;
mod inner_ethernet;
mod inner_ip;
mod ipv4;
mod ipv6;
mod neighbours;
mod node;
mod truncated;
mod udp;
mod vxlan;

use crate::{
    case::Group,
    frame::{Family, Frame},
    inner::{datagram, four},
    scene::{LOCAL, REMOTE},
};

/// All cases over a family of the underlay.
pub(crate) fn groups(family: Family) -> Vec<Group> {
    let mut groups = vec![
        ethernet::frames(family),
        ethernet::tags(family),
        truncated::anywhere(family),
        node::senders(family),
        node::destinations(family),
        node::shared(family),
    ];
    groups.extend(match family {
        Family::V4 => {
            vec![ipv4::headers(), ipv4::options(), ipv4::lengths(), ipv4::fragments(), ipv4::protocols()]
        }
        Family::V6 => vec![ipv6::headers(), ipv6::extensions(), ipv6::fragments(), ipv6::protocols()],
    });
    groups.extend([
        udp::ports(family),
        udp::lengths(family),
        udp::checksums(family),
        udp::padding(family),
        vxlan::flags(family),
        vxlan::vnis(family),
        inner_ethernet::lengths(family),
        inner_ethernet::types(family),
        inner_ethernet::sources(family),
        inner_ethernet::destinations(family),
        inner_ip::packets_v4(family),
        inner_ip::packets_v6(family),
        inner_ip::sizes(family),
        neighbours::arp(family),
        neighbours::arp_checked(family),
        neighbours::solicitations(family),
        neighbours::advertisements(family),
        forwarder::anchored(family),
        forwarder::without_anchor(family),
    ]);
    groups
}

/// A good frame: UDP over IPv4 from a station behind `FAR` to one here.
fn good(family: Family) -> Frame {
    Frame::new(family, four(&REMOTE, &LOCAL, 17, &datagram()))
}
