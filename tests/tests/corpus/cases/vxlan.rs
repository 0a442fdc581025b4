//! The VXLAN header.

use overlay_common::DropReason::{Malformed, NotEncrypted, UnknownVni, VtepNotInVni};

use super::good;
use crate::{
    case::Group,
    frame::{Family, Frame},
    scene::{ANCHOR_VNI, FOREIGN_VNI, OTHER_VNI, SECRET_VNI, VNI},
};

pub(crate) fn flags(family: Family) -> Group {
    let mut group = Group::new("VXLAN header", good(family))
        .rejects("without the I flag", Malformed, |frame| frame.vxlan[0] = 0)
        .rejects("all flags", Malformed, |frame| frame.vxlan[0] = 0xff)
        .rejects("all but the I flag", Malformed, |frame| frame.vxlan[0] = 0xf7);
    for (name, byte, bits) in [
        ("G flag, group policy", 0, 0x80),
        ("reserved flag 0x40", 0, 0x40),
        ("GPE version 2", 0, 0x20),
        ("GPE version 1", 0, 0x10),
        ("P flag, GPE next protocol", 0, 0x04),
        ("B flag, GPE broadcast", 0, 0x02),
        ("O flag, GPE management", 0, 0x01),
        ("first reserved bit", 1, 0x80),
        ("D flag, group policy: do not learn", 1, 0x40),
        ("C flag, remote checksum", 1, 0x20),
        ("reserved bit 0x10 of the second byte", 1, 0x10),
        ("A flag, group policy: applied", 1, 0x08),
        ("reserved bit 0x01 of the second byte", 1, 0x01),
        ("group policy id 1", 3, 0x01),
        ("group policy id 0x8000", 2, 0x80),
        ("GPE next protocol IPv4", 3, 0x01),
        ("GPE next protocol Ethernet", 3, 0x03),
        ("reserved byte 3 all ones", 3, 0xff),
        ("last byte 0x80, remote checksum of UDP", 7, 0x80),
        ("last byte 0x01", 7, 0x01),
        ("last byte 0x10", 7, 0x10),
        ("last byte all ones", 7, 0xff),
    ] {
        group = group.rejects(name, Malformed, |frame| frame.vxlan[byte] |= bits);
    }
    group
        .rejects("group policy, as Linux sends it", Malformed, |frame| {
            (frame.vxlan[0], frame.vxlan[2], frame.vxlan[3]) = (0x88, 0x01, 0x02);
        })
        .rejects("GPE, as Linux sends it", Malformed, |frame| {
            (frame.vxlan[0], frame.vxlan[3]) = (0x0c, 0x03);
        })
        .rejects("all zero", Malformed, |frame| frame.vxlan = [0; 8])
        .rejects("all ones", Malformed, |frame| frame.vxlan = [0xff; 8])
}

pub(crate) fn vnis(family: Family) -> Group {
    let vni = |vni: u32| move |frame: &mut Frame| frame.set_vni(vni);
    Group::new("VNI", good(family))
        .rejects("0", UnknownVni, vni(0))
        .rejects("1", UnknownVni, vni(1))
        .rejects("of nobody", UnknownVni, vni(FOREIGN_VNI))
        .rejects("the greatest", UnknownVni, vni(0x00ff_ffff))
        .rejects("that of our vxlan device", UnknownVni, vni(ANCHOR_VNI))
        .rejects("in the other byte order", UnknownVni, vni(VNI << 16))
        .rejects("a byte further left", UnknownVni, vni(VNI << 8))
        .rejects("ours with the highest bit", UnknownVni, vni(VNI | 1 << 23))
        .drops_under(OTHER_VNI, "of another network", VtepNotInVni, vni(OTHER_VNI))
        .kernel("sender is no member")
        .drops_under(SECRET_VNI, "of an encrypted network", NotEncrypted, vni(SECRET_VNI))
        .kernel("encrypted network")
        .rejects("ours in the byte behind, too", Malformed, |frame| frame.vxlan[7] = 42)
}
