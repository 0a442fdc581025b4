//! MAC addresses that are derived from an IPv4 address of their network's slice are found in `FDB_V4`, others in `FDB`.

use std::net::IpAddr;

use overlay_common::{
    Counter, DropReason, MacAddr,
    map::{Fdb, Member, MemberKey, Slice},
};

use crate::{
    arp::Arp,
    frames::{udp_v4, vxlan},
    harness::{Hook, Kernel},
    scene::{DEVICE, LOCAL, NOBODY, OTHER_VNI, OWN, REMOTE, Station, VNI, VTEP, port},
};

/// The slices of two networks with the same subnet, 10.1.0.0/24.
const OURS: Slice = Slice { base: 0x0a01_0000, len: 256, offset: 256 };
const OTHERS: Slice = Slice { offset: 512, ..OURS };

fn slot(slice: &Slice, mac: MacAddr) -> u32 {
    slice.slot(mac).expect("derived from an address of it")
}

/// The scene, in which the networks have slices; empty ones.
fn scene() -> Kernel {
    let mut kernel = Kernel::scene();
    let mut port = port(&[], 0);
    port.slice = OURS;
    kernel.set_port(&port);
    for (vni, slice) in [(VNI, OURS), (OTHER_VNI, OTHERS)] {
        let key = MemberKey::new(vni, IpAddr::from(VTEP).into());
        kernel.members.insert(key, Member { flags: 0, slice }, 0).expect("MEMBERS");
    }
    kernel
}

impl Kernel {
    fn set_slot(&mut self, slice: &Slice, mac: MacAddr, fdb: Fdb) {
        self.slots.set(slot(slice, mac), fdb, 0).expect("FDB_V4");
    }
}

#[test]
fn what_a_slot_says_comes_before_the_hash() {
    let mut kernel = scene();
    let frame = udp_v4(&OWN, &NOBODY);
    kernel.refuses(&frame, DropReason::UnknownMac);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::remote(0, 0));
    kernel.sends(&frame);
    kernel.set_fdb(VNI, NOBODY.mac, Fdb::remote(1, 0));
    kernel.sends(&frame);
    // Empty again, the hash has it; that names a VTEP without a route.
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::NONE);
    kernel.refuses(&frame, DropReason::NoRoute);
    kernel.fdb.remove(&overlay_common::map::FdbKey::new(VNI, NOBODY.mac)).expect("it was there");
    kernel.refuses(&frame, DropReason::UnknownMac);
}

#[test]
fn a_slot_that_says_nothing_is_no_entry() {
    let mut kernel = scene();
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::local(77).by(0));
    kernel.refuses(&udp_v4(&OWN, &NOBODY), DropReason::UnknownMac);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::local(77));
    kernel.redirects(Hook::FromContainer, &udp_v4(&OWN, &NOBODY), Counter::ToLocal);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::local(DEVICE));
    kernel.refuses(&udp_v4(&OWN, &NOBODY), DropReason::Hairpin);
}

#[test]
fn networks_with_the_same_subnet_do_not_see_each_other() {
    let mut kernel = scene();
    kernel.set_slot(&OTHERS, NOBODY.mac, Fdb::local(77));
    kernel.refuses(&udp_v4(&OWN, &NOBODY), DropReason::UnknownMac);
    let inner = udp_v4(&REMOTE, &NOBODY);
    kernel.rejects(&vxlan(VTEP, VNI, &inner), VNI, DropReason::UnknownMac);
    kernel.delivers(&vxlan(VTEP, OTHER_VNI, &inner));
    kernel.set_slot(&OTHERS, NOBODY.mac, Fdb::NONE);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::local(77));
    kernel.rejects(&vxlan(VTEP, OTHER_VNI, &inner), OTHER_VNI, DropReason::UnknownMac);
    kernel.delivers(&vxlan(VTEP, VNI, &inner));
}

#[test]
fn addresses_outside_the_slice_are_in_the_hash() {
    let mut kernel = scene();
    for mac in
        [[2, 0x42, 10, 0, 255, 255], [2, 0x42, 10, 1, 1, 0], [6, 0x42, 10, 1, 0, 9], [2, 0, 0, 0, 0, 9]]
    {
        let station = Station { mac: MacAddr::new(mac), ..NOBODY };
        assert_eq!(OURS.slot(station.mac), None);
        kernel.refuses(&udp_v4(&OWN, &station), DropReason::UnknownMac);
        kernel.set_fdb(VNI, station.mac, Fdb::remote(0, 0));
        kernel.sends(&udp_v4(&OWN, &station));
    }
}

#[test]
fn a_slice_beyond_the_array_finds_nothing_there() {
    let mut kernel = scene();
    let mut port = port(&[], 0);
    for offset in [0x7fff_ff00, u32::MAX] {
        port.slice = Slice { offset, ..OURS };
        kernel.set_port(&port);
        kernel.refuses(&udp_v4(&OWN, &NOBODY), DropReason::UnknownMac);
        kernel.redirects(Hook::FromContainer, &udp_v4(&OWN, &LOCAL), Counter::ToLocal);
    }
}

#[test]
fn a_question_is_answered_through_a_slot() {
    let mut kernel = scene();
    let question = Arp::request(&NOBODY).broadcast();
    kernel.refuses(&question, DropReason::UnknownNeigh);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::remote(0, 0));
    kernel.refuses(&question, DropReason::UnknownNeigh);
    kernel.set_slot(&OURS, NOBODY.mac, Fdb::remote(0, Fdb::HAS_IPV4));
    let answer = kernel.redirects(Hook::FromContainer, &question, Counter::ArpAnswered);
    assert_eq!(answer[6..12], NOBODY.mac.octets());
}
