//! Who sends it, and to which address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use overlay_common::DropReason::{Malformed, UnknownMac, UnknownVni, UnknownVtep, VtepNotInVni};

use super::good;
use crate::{
    case::{Group, Mode},
    frame::{Family, Frame},
    scene::{ANCHOR_VNI, APART, EXTERNAL, FAR, FOREIGN_VNI, Node, OTHER_VNI, OURS, STRANGER, VNI},
};

/// What the kernel does of an address that no VTEP has.
const DELIVERS: &str = "sender is no VTEP";

pub(crate) fn senders(family: Family) -> Group {
    let of = |node: Node| node.over(family);
    let from = |src: IpAddr| move |frame: &mut Frame| frame.src = src;
    let v4 = |a, b, c, d| Ipv4Addr::new(a, b, c, d).into();
    let v6 = |text: &str| -> IpAddr { text.parse::<Ipv6Addr>().expect("an address").into() };
    Group::new("sender", good(family))
        .delivers("another member", from(of(EXTERNAL)))
        .rejects("no VTEP", UnknownVtep, from(of(STRANGER)))
        .kernel(DELIVERS)
        .rejects("no VTEP, and a VNI of nobody", UnknownVtep, |frame| {
            frame.src = of(STRANGER);
            frame.set_vni(FOREIGN_VNI);
        })
        .drops("a member of another network only", VtepNotInVni, from(of(APART)))
        .kernel("sender is no member")
        .drops_under(OTHER_VNI, "a member of another network, in that", UnknownMac, |frame| {
            frame.src = of(APART);
            frame.set_vni(OTHER_VNI);
        })
        .kernel("MAC in no table")
        .when(family == Family::V4, |group| {
            group
                .rejects("our own address", UnknownVtep, from(of(OURS)))
                .rejects("loopback", UnknownVtep, from(v4(127, 0, 0, 1)))
                .rejects("unspecified", UnknownVtep, from(v4(0, 0, 0, 0)))
                .rejects("this network (0/8)", UnknownVtep, from(v4(0, 0, 0, 2)))
                .kernel(DELIVERS)
                .rejects("broadcast", UnknownVtep, from(v4(255, 255, 255, 255)))
                .rejects("broadcast of the subnet", UnknownVtep, from(v4(10, 88, 0, 255)))
                .kernel(DELIVERS)
                .rejects("multicast", UnknownVtep, from(v4(224, 0, 0, 1)))
                .rejects("reserved (240/4)", UnknownVtep, from(v4(240, 0, 0, 1)))
                .kernel(DELIVERS)
                .rejects("link-local", UnknownVtep, from(v4(169, 254, 0, 1)))
                .kernel(DELIVERS)
        })
        .when(family == Family::V6, |group| {
            group
                .rejects("our own address", UnknownVtep, from(of(OURS)))
                .kernel(DELIVERS)
                .rejects("loopback", UnknownVtep, from(v6("::1")))
                .rejects("unspecified", UnknownVtep, from(v6("::")))
                .kernel(DELIVERS)
                .rejects("multicast", UnknownVtep, from(v6("ff02::1")))
                .rejects("link-local", UnknownVtep, from(v6("fe80::2")))
                .kernel(DELIVERS)
                .rejects("a member's IPv4 address, mapped", Malformed, from(v6("::ffff:10.88.0.2")))
                .kernel("outer source is mapped IPv4")
                .rejects("a member's IPv4 address, compatible", UnknownVtep, from(v6("::10.88.0.2")))
                .kernel(DELIVERS)
                .rejects("a member's IPv4 address, 6to4", UnknownVtep, from(v6("2002:a58:2::")))
                .kernel(DELIVERS)
        })
}

pub(crate) fn destinations(family: Family) -> Group {
    let to = |dst: IpAddr| move |frame: &mut Frame| frame.dst = dst;
    let v4 = |a, b, c, d| Ipv4Addr::new(a, b, c, d).into();
    let v6 = |text: &str| -> IpAddr { text.parse::<Ipv6Addr>().expect("an address").into() };
    Group::new("outer destination", good(family))
        .passes("another node", to(FAR.over(family)))
        .passes("nobody", to(STRANGER.over(family)))
        .when(family == Family::V4, |group| {
            group
                .passes("broadcast", to(v4(255, 255, 255, 255)))
                .kernel("outer group address")
                .passes("broadcast of the subnet", to(v4(10, 88, 0, 255)))
                .passes("multicast", to(v4(239, 1, 1, 1)))
                .passes("loopback", to(v4(127, 0, 0, 1)))
                .passes("unspecified", to(v4(0, 0, 0, 0)))
        })
        .when(family == Family::V6, |group| {
            group
                .passes("all nodes", to(v6("ff02::1")))
                .kernel("outer group address")
                .passes("multicast", to(v6("ff05::1234")))
                .passes("loopback", to(v6("::1")))
                .passes("unspecified", to(v6("::")))
                .passes("link-local", to(v6("fe80::51")))
                .passes("our IPv4 address, mapped", to(v6("::ffff:10.88.0.1")))
        })
}

/// Where other vxlan devices are on the port, what is of no network of ours is theirs.
pub(crate) fn shared(family: Family) -> Group {
    let vni = |vni: u32| move |frame: &mut Frame| frame.set_vni(vni);
    Group::in_mode("shared port", Mode::Shared, good(family))
        .passes("a VNI of nobody", vni(FOREIGN_VNI))
        .passes("a VNI of nobody, from no VTEP", |frame| {
            frame.src = STRANGER.over(family);
            frame.set_vni(FOREIGN_VNI);
        })
        .passes("VNI 0", vni(0))
        .rejects("the VNI of our vxlan device", UnknownVni, vni(ANCHOR_VNI))
        .rejects("our VNI, from no VTEP", UnknownVtep, from_stranger)
        .kernel(DELIVERS)
        .drops_under(OTHER_VNI, "another VNI of ours", VtepNotInVni, vni(OTHER_VNI))
        .kernel("sender is no member")
        .delivers("our VNI", vni(VNI))
}

fn from_stranger(frame: &mut Frame) {
    frame.src = STRANGER.over(frame.family);
}
