//! Frames that go to their endpoint by way of the host's stack and our vxlan device.

use std::collections::BTreeMap;

use etherparse::{IpEcn, IpNumber, TcpHeader};
use overlay_common::{
    Counter, DropReason, Vni,
    map::{Fdb, NodeConfig},
    mark,
};

use crate::{
    frames::{
        EXPERIMENTAL, OUTER_UDP, OUTER_VXLAN, each_kind, eth, not_ip, udp_v4, udp_v6, v4, vxlan, vxlan_with,
    },
    harness::{Event, Hook, Kernel, Meta, Outcome, Verdict},
    scene::{FOREIGN_VNI, LOCAL, NOBODY, REMOTE, VNI, VTEP, has},
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
    with_config(|config| config.anchor = 55)
}

/// Asserts that a frame goes up to the host for the anchor, as it came but for VNI and checksum.
#[track_caller]
fn assert_left(outcome: &Outcome, frame: &[u8]) {
    let counted = BTreeMap::from([(Event::Count(Counter::ToAnchor.name()), 1)]);
    assert_eq!((outcome.verdict, &outcome.moved), (Verdict::Pass, &counted));
    assert_eq!((outcome.mark, outcome.priority), (mark::ANCHOR, VNI));
    let mut expected = frame.to_vec();
    expected[OUTER_UDP + 6..OUTER_UDP + 8].fill(0);
    expected[OUTER_VXLAN + 4..OUTER_VXLAN + 8].copy_from_slice(&(Vni::ANCHOR << 8).to_be_bytes());
    assert_eq!(outcome.frame, expected);
}

#[test]
fn a_super_frame_of_udp_is_left_to_the_device() {
    let kernel = with_anchor();
    for inner in [udp_v4(&REMOTE, &LOCAL), udp_v6(&REMOTE, &LOCAL)] {
        let mut frame = vxlan(VTEP, VNI, &inner);
        // A checksum that would not hold for the other VNI.
        frame[OUTER_UDP + 6..OUTER_UDP + 8].copy_from_slice(&[0x12, 0x34]);
        assert_left(&kernel.run_with(Hook::FromUnderlay, &frame, SUPER), &frame);
        assert_eq!(kernel.delivers(&frame), inner, "the control: a datagram by itself");
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
    for inner in [udp_v4(&REMOTE, &LOCAL), udp_v6(&REMOTE, &LOCAL)] {
        let frame = vxlan(VTEP, VNI, &inner);
        assert_left(&kernel.run(Hook::FromUnderlay, &frame), &frame);
    }
    let other = not_ip(&REMOTE, &LOCAL);
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &other)), other);
}

#[test]
fn congestion_on_a_flow_that_cannot_carry_the_mark_is_counted_here_too() {
    let mut kernel = with_anchor();
    kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
    for inner in [udp_v4(&REMOTE, &LOCAL), udp_v6(&REMOTE, &LOCAL)] {
        // Congestion experienced, on what is not ECN-capable (RFC 6040 section 4.2).
        let frame = vxlan_with(VTEP, VNI, &inner, |ip| ip.ecn = IpEcn::try_new(3).expect("2 bits"));
        kernel.rejects(&frame, VNI, DropReason::CeNotEct);
    }
}

#[test]
fn without_the_device_nothing_goes_up() {
    let mut kernel = Kernel::scene();
    let frame = vxlan(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL));
    let outcome = kernel.run_with(Hook::FromUnderlay, &frame, SUPER);
    assert_eq!(outcome.verdict, Verdict::Drop);
    assert_eq!(outcome.moved, BTreeMap::from([(Event::Drop(VNI, DropReason::NoAnchor.name()), 1)]));
    kernel.set_fdb(VNI, LOCAL.mac, has(Fdb::FORWARDS, Fdb::local(77)));
    kernel.rejects(&frame, VNI, DropReason::NoAnchor);
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
        config.anchor = 55;
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
