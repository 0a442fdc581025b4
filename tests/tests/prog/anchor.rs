//! Frames that go to their endpoint by way of the host's stack and our vxlan device.

use std::collections::BTreeMap;

use etherparse::{IpEcn, IpNumber, TcpHeader};
use overlay_common::{
    Counter, DropReason, Vni,
    map::{Fdb, NodeConfig},
    mark,
};
use overlay_tests::Family;

use crate::{
    frames::{
        EXPERIMENTAL, each_kind, eth, extended, extension, udp_v4, udp_v6, v4, vxlan, vxlan_v6,
        vxlan_v6_with, vxlan_with,
    },
    harness::{Event, Hook, Kernel, Meta, Outcome, Verdict},
    scene::{FOREIGN_VNI, LOCAL, NOBODY, REMOTE, REMOTE_V6, Station, VNI, VTEP, VTEP_V6, has},
};

/// A super-frame: the kernel's own has a kind of segmentation too, which a test run cannot give it.
const SUPER: Meta = Meta { gso_size: 500, mark: 0, priority: 0 };

fn with_config(edit: impl FnOnce(&mut NodeConfig)) -> Kernel {
    let mut kernel = Kernel::scene();
    let mut config = kernel.config.get(&0, 0).expect("CONFIG");
    edit(&mut config);
    kernel.config.set(0, config, 0).expect("CONFIG");
    kernel
}

fn with_anchor() -> Kernel {
    with_config(|config| (config.anchor_v4, config.anchor_v6) = (55, 56))
}

/// A VXLAN packet from the node of `REMOTE`, or over IPv6 from that of `REMOTE_V6`.
fn over(v6: bool, inner: &[u8]) -> Vec<u8> {
    if v6 { vxlan_v6(VTEP_V6, VNI, inner) } else { vxlan(VTEP, VNI, inner) }
}

/// Of both families: whether it is IPv6, and a station behind a VTEP of it.
const FAMILIES: [(bool, &Station); 2] = [(false, &REMOTE), (true, &REMOTE_V6)];

/// The offset of the outer UDP header, where no other is before it.
fn outer_udp(frame: &[u8]) -> usize {
    Family::of(frame).udp()
}

/// Asserts that a frame goes up to the host for the anchor, as it came but for VNI and checksum.
#[track_caller]
fn assert_left(outcome: &Outcome, frame: &[u8]) {
    let counted = BTreeMap::from([(Event::Count(Counter::ToAnchor.name()), 1)]);
    assert_eq!((outcome.verdict, &outcome.moved), (Verdict::Pass, &counted));
    assert_eq!((outcome.mark, outcome.priority), (mark::ANCHOR, VNI));
    let (mut expected, udp) = (frame.to_vec(), outer_udp(frame));
    expected[udp + 6..udp + 8].fill(0);
    expected[udp + 12..udp + 16].copy_from_slice(&(Vni::ANCHOR << 8).to_be_bytes());
    assert_eq!(outcome.frame, expected);
}

#[test]
fn a_super_frame_of_udp_is_left_to_the_device() {
    let kernel = with_anchor();
    for (v6, from) in FAMILIES {
        for inner in [udp_v4(from, &LOCAL), udp_v6(from, &LOCAL)] {
            let mut frame = over(v6, &inner);
            let udp = outer_udp(&frame);
            // A checksum that would not hold for the other VNI.
            frame[udp + 6..udp + 8].copy_from_slice(&[0x12, 0x34]);
            assert_left(&kernel.run_with(Hook::FromUnderlay, &frame, SUPER), &frame);
            assert_eq!(kernel.delivers(&frame), inner, "the control: a datagram by itself");
        }
    }
    // Of TCP the program itself takes the header off; the kernel refuses this one, which has no kind.
    let segment = [&TcpHeader::new(1, 2, 3, 4).to_bytes()[..], &[0; 1000]].concat();
    let tcp = eth(LOCAL.mac, REMOTE.mac, 0x0800, &v4(REMOTE.v4, LOCAL.v4, IpNumber::TCP, &segment));
    let outcome = kernel.run_with(Hook::FromUnderlay, &vxlan(VTEP, VNI, &tcp), SUPER);
    assert_eq!(outcome.verdict, Verdict::Drop);
    assert_eq!(outcome.moved, BTreeMap::from([(Event::Drop(VNI, DropReason::KernelRefused.name()), 1)]));
}

#[test]
fn ip_for_an_endpoint_that_forwards_is_left_to_the_device() {
    let mut kernel = with_anchor();
    kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
    for (v6, from) in FAMILIES {
        for inner in [udp_v4(from, &LOCAL), udp_v6(from, &LOCAL)] {
            let frame = over(v6, &inner);
            assert_left(&kernel.run(Hook::FromUnderlay, &frame), &frame);
        }
        // What an Ethernet frame must have behind an outer header of IPv6, so that none is filled up.
        let other = eth(LOCAL.mac, from.mac, EXPERIMENTAL, &[0xa5; 46]);
        assert_eq!(kernel.delivers(&over(v6, &other)), other);
    }
}

#[test]
fn what_goes_up_has_lost_its_extension_headers_and_says_so() {
    let mut kernel = with_anchor();
    kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
    let frame = over(true, &udp_v4(&REMOTE_V6, &LOCAL));
    let options = |number, len| (IpNumber(number), extension(IpNumber(0), len));
    for headers in [vec![options(0, 0)], vec![options(60, 2)], vec![options(0, 1), options(60, 0)]] {
        assert_left(&kernel.run(Hook::FromUnderlay, &extended(&frame, &headers)), &frame);
    }
    // Another's on a shared port, too.
    let kernel = with_config(|config| config.flags = NodeConfig::SHARED);
    let foreign = vxlan_v6(VTEP_V6, FOREIGN_VNI, &udp_v4(&REMOTE_V6, &LOCAL));
    kernel.passes(Hook::FromUnderlay, &foreign);
    let outcome = kernel.run(Hook::FromUnderlay, &extended(&foreign, &[options(0, 0)]));
    assert_eq!((outcome.verdict, outcome.frame), (Verdict::Pass, foreign));
}

#[test]
fn congestion_on_a_flow_that_cannot_carry_the_mark_is_counted_here_too() {
    let mut kernel = with_anchor();
    kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
    for inner in [udp_v4(&REMOTE, &LOCAL), udp_v6(&REMOTE, &LOCAL)] {
        // Congestion experienced, on what is not ECN-capable (RFC 6040 section 4.2).
        let frame = vxlan_with(VTEP, VNI, &inner, |ip| ip.ecn = IpEcn::try_new(3).expect("2 bits"));
        kernel.rejects(&frame, VNI, DropReason::CeNotEct);
        let frame = vxlan_v6_with(VTEP_V6, VNI, &inner, |ip| ip.traffic_class = 3);
        kernel.rejects(&frame, VNI, DropReason::CeNotEct);
    }
}

#[test]
fn without_the_device_of_its_family_nothing_goes_up() {
    for (v6, from) in FAMILIES {
        let frame = over(v6, &udp_v4(from, &LOCAL));
        let only = |index: [u32; 2]| {
            let mut kernel = with_config(|config| [config.anchor_v4, config.anchor_v6] = index);
            let alone = kernel.run_with(Hook::FromUnderlay, &frame, SUPER);
            kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
            [alone, kernel.run(Hook::FromUnderlay, &frame)]
        };
        let (own, other) = if v6 { ([0, 56], [55, 0]) } else { ([55, 0], [0, 56]) };
        for outcome in only(own) {
            assert_left(&outcome, &frame);
        }
        for outcome in only(other) {
            let counted = BTreeMap::from([(Event::Drop(VNI, DropReason::NoAnchor.name()), 1)]);
            assert_eq!((outcome.verdict, outcome.moved), (Verdict::Drop, counted));
        }
    }
}

#[test]
fn what_the_device_unpacks_is_delivered_by_its_mark() {
    let kernel = with_anchor();
    let ours = Meta { mark: mark::ANCHOR, priority: VNI, ..Meta::default() };
    for frame in each_kind(&REMOTE, &LOCAL) {
        let outcome = kernel.run_with(Hook::FromAnchor, &frame, ours);
        let counted = BTreeMap::from([(Event::Count(Counter::FromUnderlay.name()), 1)]);
        assert_eq!((outcome.verdict, outcome.moved), (Verdict::Redirect, counted));
        assert_eq!((outcome.frame, outcome.mark, outcome.priority), (frame, 0, 0));
    }
    let frame = udp_v4(&REMOTE, &LOCAL);
    let dropped = |meta: Meta, frame: &[u8]| {
        let outcome = kernel.run_with(Hook::FromAnchor, frame, meta);
        assert_eq!(outcome.verdict, Verdict::Drop);
        outcome.moved.into_keys().collect::<Vec<_>>()
    };
    for mark in [0, 1, mark::to_vtep(0), mark::ANCHOR + 1] {
        let forged = Event::Drop(0, DropReason::ForgedAnchor.name());
        assert_eq!(dropped(Meta { mark, ..ours }, &frame), [forged], "{mark:x}");
    }
    let unknown = Event::Drop(0, DropReason::UnknownVni.name());
    assert_eq!(dropped(Meta { priority: FOREIGN_VNI, ..ours }, &frame), [unknown]);
    let nobody = Event::Drop(VNI, DropReason::UnknownMac.name());
    assert_eq!(dropped(ours, &udp_v4(&REMOTE, &NOBODY)), [nobody]);
    let remote = Event::Drop(VNI, DropReason::SplitHorizon.name());
    assert_eq!(dropped(ours, &udp_v4(&LOCAL, &REMOTE)), [remote]);
}

#[test]
fn on_a_shared_port_what_is_of_no_network_is_anothers() {
    let kernel = with_config(|config| {
        config.flags = NodeConfig::SHARED;
        config.anchor_v4 = 55;
    });
    let inner = eth(LOCAL.mac, REMOTE.mac, EXPERIMENTAL, &[7; 46]);
    for from in [VTEP, std::net::Ipv4Addr::new(10, 88, 0, 77)] {
        kernel.passes(Hook::FromUnderlay, &vxlan(from, FOREIGN_VNI, &inner));
    }
    // Never what only `from_underlay` may write, and never what is ours.
    kernel.rejects(&vxlan(VTEP, Vni::ANCHOR, &inner), 0, DropReason::UnknownVni);
    kernel.rejects(&vxlan(std::net::Ipv4Addr::new(10, 88, 0, 77), VNI, &inner), 0, DropReason::UnknownVtep);
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner))[..], inner[..]);
    Kernel::scene().rejects(&vxlan(VTEP, FOREIGN_VNI, &inner), 0, DropReason::UnknownVni);
}
