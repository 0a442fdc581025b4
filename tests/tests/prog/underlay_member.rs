//! Which VTEPs are believed, and for whom.

use std::net::Ipv4Addr;

use overlay_common::{
    DropReason, MacAddr,
    map::{Fdb, Member, MemberKey, Slice},
};

use crate::{
    frames::{INNER, each_kind, udp_v4, vxlan},
    harness::Kernel,
    scene::{
        FOREIGN_VNI, LOCAL, NOBODY, OTHER_VNI, OUR_VTEP, REMOTE, SECRET, SECRET_VNI, UNROUTED_VTEP, VNI,
        VTEP, by,
    },
};

fn from(vtep: Ipv4Addr, vni: u32) -> Vec<u8> {
    vxlan(vtep, vni, &udp_v4(&REMOTE, &LOCAL))
}

#[test]
fn an_address_that_is_no_vtep_is_unknown() {
    let kernel = Kernel::scene();
    let others = [
        Ipv4Addr::new(10, 88, 0, 77),
        OUR_VTEP,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
    ];
    for address in others {
        for vni in [VNI, OTHER_VNI, FOREIGN_VNI, 0] {
            kernel.rejects(&from(address, vni), 0, DropReason::UnknownVtep);
        }
    }
    kernel.delivers(&from(VTEP, VNI));
}

#[test]
fn a_vtep_is_believed_in_its_own_networks_only() {
    let mut kernel = Kernel::scene();
    kernel.set_fdb(OTHER_VNI, LOCAL.mac, Fdb::local(77));
    kernel.rejects(&from(VTEP, OTHER_VNI), OTHER_VNI, DropReason::VtepNotInVni);
    kernel.delivers(&from(UNROUTED_VTEP, OTHER_VNI));
    kernel.rejects(&from(UNROUTED_VTEP, VNI), VNI, DropReason::VtepNotInVni);
    kernel.delivers(&from(VTEP, VNI));
}

#[test]
fn a_vni_of_nobody_is_unknown() {
    let kernel = Kernel::scene();
    for vni in [FOREIGN_VNI, 0x00ff_ffff, VNI << 8, 0] {
        kernel.rejects(&from(VTEP, vni), 0, DropReason::UnknownVni);
    }
    kernel.delivers(&from(VTEP, VNI));
}

#[test]
fn vni_0_is_no_membership_of_the_cluster() {
    // The key of a VTEP's place in the cluster has 0 where others have a VNI.
    let mut kernel = Kernel::scene();
    kernel.set_fdb(0, LOCAL.mac, Fdb::local(77));
    kernel.rejects(&from(VTEP, 0), 0, DropReason::UnknownVni);
}

#[test]
fn a_mac_address_that_no_endpoint_has_is_unknown() {
    let mut kernel = Kernel::scene();
    for inner in each_kind(&REMOTE, &NOBODY) {
        kernel.rejects(&vxlan(VTEP, VNI, &inner), VNI, DropReason::UnknownMac);
    }
    kernel.set_fdb(OTHER_VNI, NOBODY.mac, Fdb::local(77));
    let frame = vxlan(VTEP, VNI, &udp_v4(&REMOTE, &NOBODY));
    kernel.rejects(&frame, VNI, DropReason::UnknownMac);
    kernel.set_fdb(VNI, NOBODY.mac, Fdb::local(77));
    kernel.delivers(&frame);
}

#[test]
fn a_frame_from_a_vtep_goes_to_no_vtep() {
    let mut kernel = Kernel::scene();
    kernel.set_fdb(VNI, NOBODY.mac, by(Fdb::WIREGUARD, Fdb::remote(0, 0)));
    for to in [REMOTE, SECRET, NOBODY] {
        for inner in each_kind(&REMOTE, &to) {
            kernel.rejects(&vxlan(VTEP, VNI, &inner), VNI, DropReason::SplitHorizon);
        }
    }
    kernel.delivers(&from(VTEP, VNI));
}

#[test]
fn broadcast_and_multicast_are_dropped() {
    let kernel = Kernel::scene();
    for mac in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"] {
        let mut frame = from(VTEP, VNI);
        kernel.delivers(&frame);
        let mac: MacAddr = mac.parse().expect("a MAC address");
        frame[INNER..INNER + 6].copy_from_slice(&mac.octets());
        kernel.rejects(&frame, VNI, DropReason::Bum);
    }
}

#[test]
fn an_inner_source_that_is_no_station_is_malformed() {
    let kernel = Kernel::scene();
    for mac in [MacAddr::ZERO, MacAddr::BROADCAST, MacAddr::new([1, 0, 0x5e, 0, 0, 1])] {
        let mut frame = from(VTEP, VNI);
        kernel.delivers(&frame);
        frame[INNER + 6..INNER + 12].copy_from_slice(&mac.octets());
        kernel.rejects(&frame, VNI, DropReason::Malformed);
    }
}

#[test]
fn an_inner_frame_with_a_vlan_tag_is_dropped() {
    let kernel = Kernel::scene();
    let inner = udp_v4(&REMOTE, &LOCAL);
    for tag in [[0x81, 0x00, 0, 7], [0x88, 0xa8, 0, 7]] {
        let mut tagged = inner.clone();
        tagged.splice(12..12, tag);
        kernel.rejects(&vxlan(VTEP, VNI, &tagged), VNI, DropReason::VlanTagged);
    }
    kernel.delivers(&vxlan(VTEP, VNI, &inner));
}

#[test]
fn a_frame_of_an_encrypted_network_is_not_taken_in_clear() {
    let mut kernel = Kernel::scene();
    for inner in each_kind(&REMOTE, &LOCAL) {
        kernel.rejects(&vxlan(VTEP, SECRET_VNI, &inner), SECRET_VNI, DropReason::NotEncrypted);
    }
    let key = MemberKey::new(SECRET_VNI, std::net::IpAddr::from(VTEP).into());
    kernel.members.insert(key, Member { flags: 0, slice: Slice::NONE }, 0).expect("MEMBERS");
    kernel.delivers(&from(VTEP, SECRET_VNI));
}
