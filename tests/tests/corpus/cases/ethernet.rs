//! The outer Ethernet header.

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame},
};

pub(crate) fn frames(family: Family) -> Group {
    let (own, other) = if family == Family::V4 { (0x0800, 0x86dd) } else { (0x86dd, 0x0800) };
    let typed = |ethertype| move |frame: &mut Frame| frame.ethertype = ethertype;
    Group::new("outer Ethernet", good(family))
        .delivers("source is broadcast", |frame| frame.eth_src = [0xff; 6])
        .delivers("source is zero", |frame| frame.eth_src = [0; 6])
        .delivers("source is the device's own", |frame| frame.eth_src = frame.eth_dst)
        .passes("destination is another station", |frame| frame.eth_dst[5] ^= 1)
        .passes("destination is broadcast", |frame| frame.eth_dst = [0xff; 6])
        .kernel("outer group MAC")
        .passes("destination is multicast", |frame| frame.eth_dst = [1, 0, 0x5e, 0, 0, 1])
        .kernel("outer group MAC")
        .passes("destination is zero", |frame| frame.eth_dst = [0; 6])
        .passes("EtherType of the other IP", typed(other))
        .passes("EtherType of ARP", typed(0x0806))
        .passes("EtherType of MPLS", typed(0x8847))
        .passes("EtherType for experiments", typed(0x88b5))
        .passes("EtherType in the other byte order", typed(u16::swap_bytes(own)))
        .passes("EtherType a length (802.3)", typed(0x0040))
        .passes("EtherType 0", typed(0))
}

pub(crate) fn tags(family: Family) -> Group {
    let tagged = |tags: &'static [[u8; 4]]| move |frame: &mut Frame| frame.tags = tags.to_vec();
    Group::new("outer VLAN", good(family))
        .passes("priority tag", tagged(&[[0x81, 0, 0, 0]]))
        .kernel("outer VLAN tag 0")
        .passes("priority tag with priority 7", tagged(&[[0x81, 0, 0xe0, 0]]))
        .kernel("outer VLAN tag 0")
        .passes("VLAN 7", tagged(&[[0x81, 0, 0, 7]]))
        .passes("VLAN 4095", tagged(&[[0x81, 0, 0x0f, 0xff]]))
        .passes("802.1ad tag", tagged(&[[0x88, 0xa8, 0, 7]]))
        .passes("802.1ad and 802.1Q tags", tagged(&[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 8]]))
        .passes("two priority tags", tagged(&[[0x81, 0, 0, 0], [0x81, 0, 0, 0]]))
        .kernel("outer VLAN tag 0")
}
