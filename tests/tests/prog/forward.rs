//! Where a container's frame goes, and what it looks like then.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::IpNumber;
use overlay_common::{
    Counter, DropReason, MacAddr, Vni,
    map::{Fdb, MAX_VTEPS, Port},
    mark::to_vtep,
    vxlan::Vtep,
};

use crate::{
    frames::{EXPERIMENTAL, each_kind, eth, not_ip, read, udp, udp_v4, v4, v4_with, v6_with},
    harness::{Event, Hook, Kernel, Meta, Verdict},
    scene::{
        DEVICE, EGRESS, LOCAL, NOBODY, OTHER_VNI, OUR_VTEP, OUTER_DST, OUTER_SRC, OWN, REMOTE, SECRET,
        UDP_PORT, UNRESOLVED, UNROUTED, VNI, VTEP, by, prefix,
    },
};

#[test]
fn a_frame_of_each_kind_is_encapsulated_whole() {
    let kernel = Kernel::scene();
    for frame in each_kind(&OWN, &REMOTE) {
        let outer = read(&kernel.sends(&frame));
        // The kernel's neighbour table supplies it. What is not IP comes back to the device meanwhile, and must not
        // be taken for a frame to its own address.
        let to = if frame[12..14] == EXPERIMENTAL.to_be_bytes() { MacAddr::ZERO } else { OUTER_DST };
        assert_eq!(outer.eth.destination, to.octets());
        assert_eq!(outer.eth.source, OUTER_SRC.octets());
        assert_eq!(outer.eth.ether_type.0, 0x0800);
        let ip = &outer.ip;
        assert_eq!((ip.source, ip.destination), (OUR_VTEP.octets(), VTEP.octets()));
        assert_eq!((ip.protocol, ip.time_to_live, ip.identification), (IpNumber::UDP, 64, 0));
        assert!(ip.dont_fragment && !ip.more_fragments && ip.fragment_offset.value() == 0);
        assert_eq!((ip.header_len(), ip.header_checksum), (20, ip.calc_header_checksum()));
        assert_eq!(usize::from(ip.total_len), 20 + 8 + 8 + frame.len());
        assert_eq!(usize::from(outer.udp.length), 8 + 8 + frame.len());
        assert_eq!((outer.udp.destination_port, outer.udp.checksum), (UDP_PORT, 0));
        assert!(outer.udp.source_port >= 49_152);
        assert_eq!(outer.vxlan, [8, 0, 0, 0, 0, 0, 42, 0]);
        assert_eq!(outer.inner, frame);
    }
}

#[test]
fn all_24_bits_of_the_vni_are_sent() {
    let mut kernel = Kernel::scene();
    let vni = Vni::new(0x00ab_cdef).expect("a VNI");
    kernel.set_port(&Port::new(vni, &[OWN.mac], &[prefix(OWN.v4, 32)], 0).expect("fits a port"));
    kernel.set_fdb(vni.get(), REMOTE.mac, Fdb::remote(0, 0));
    assert_eq!(read(&kernel.sends(&udp_v4(&OWN, &REMOTE))).vxlan, [8, 0, 0, 0, 0xab, 0xcd, 0xef, 0]);
}

#[test]
fn tos_and_traffic_class_are_copied_with_their_ecn() {
    let kernel = Kernel::scene();
    let datagram = udp(1, 2, b"x");
    for tos in 0..=255_u8 {
        let mut packet = v4(OWN.v4, REMOTE.v4, IpNumber::UDP, &datagram);
        packet[1] = tos;
        let four = eth(REMOTE.mac, OWN.mac, 0x0800, &packet);
        let packet = v6_with(OWN.v6, REMOTE.v6, IpNumber::UDP, &datagram, |ip| ip.traffic_class = tos);
        let six = eth(REMOTE.mac, OWN.mac, 0x86dd, &packet);
        for frame in [four, six] {
            let outer = kernel.sends(&frame);
            assert_eq!(outer[15], tos);
            let outer = read(&outer);
            assert_eq!(outer.ip.header_checksum, outer.ip.calc_header_checksum(), "TOS {tos:#x}");
            assert_eq!(outer.inner, frame);
        }
    }
}

#[test]
fn a_frame_that_is_not_ip_has_tos_0() {
    let kernel = Kernel::scene();
    assert_eq!(kernel.sends(&not_ip(&OWN, &REMOTE))[15], 0);
}

#[test]
fn an_endpoint_on_this_node_gets_the_frame_as_it_is() {
    let kernel = Kernel::scene();
    for to in [LOCAL, EGRESS] {
        for frame in each_kind(&OWN, &to) {
            assert_eq!(kernel.redirects(Hook::FromContainer, &frame, Counter::ToLocal), frame);
        }
    }
}

#[test]
fn a_frame_back_to_its_own_port_is_a_hairpin() {
    let mut kernel = Kernel::scene();
    for mac in [OWN.mac, crate::scene::BESIDE.mac] {
        kernel.refuses(&eth(mac, OWN.mac, EXPERIMENTAL, &[0; 46]), DropReason::Hairpin);
    }
    kernel.set_fdb(VNI, LOCAL.mac, by(Fdb::EGRESS, Fdb::local(DEVICE)));
    kernel.refuses(&udp_v4(&OWN, &LOCAL), DropReason::Hairpin);
    kernel.set_fdb(VNI, LOCAL.mac, by(Fdb::EGRESS, Fdb::local(DEVICE + 1)));
    kernel.redirects(Hook::FromContainer, &udp_v4(&OWN, &LOCAL), Counter::ToLocal);
}

#[test]
fn a_mac_address_that_no_endpoint_has_is_unknown() {
    let mut kernel = Kernel::scene();
    for frame in each_kind(&OWN, &NOBODY) {
        kernel.refuses(&frame, DropReason::UnknownMac);
    }
    kernel.refuses(&eth(MacAddr::ZERO, OWN.mac, EXPERIMENTAL, &[0; 46]), DropReason::UnknownMac);
    kernel.sends(&udp_v4(&OWN, &REMOTE));
    // The same MAC address in another network is another's.
    kernel.set_fdb(OTHER_VNI, NOBODY.mac, Fdb::remote(0, 0));
    kernel.refuses(&udp_v4(&OWN, &NOBODY), DropReason::UnknownMac);
    kernel.set_fdb(VNI, NOBODY.mac, Fdb::remote(0, 0));
    kernel.sends(&udp_v4(&OWN, &NOBODY));
}

#[test]
fn broadcast_and_multicast_are_dropped() {
    let kernel = Kernel::scene();
    let packet = v4(OWN.v4, Ipv4Addr::BROADCAST, IpNumber::UDP, &udp(1, 2, b"x"));
    for mac in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "03:42:0a:01:00:03"] {
        let mac = mac.parse().expect("a MAC address");
        kernel.refuses(&eth(mac, OWN.mac, 0x0800, &packet), DropReason::Bum);
        kernel.refuses(&eth(mac, OWN.mac, EXPERIMENTAL, &[0; 46]), DropReason::Bum);
    }
    kernel.sends(&eth(REMOTE.mac, OWN.mac, 0x0800, &packet));
    kernel.sends(&eth(REMOTE.mac, OWN.mac, EXPERIMENTAL, &[0; 46]));
}

#[test]
fn a_vtep_without_a_route_is_no_route() {
    let mut kernel = Kernel::scene();
    for frame in each_kind(&OWN, &UNROUTED) {
        kernel.refuses(&frame, DropReason::NoRoute);
    }
    // A place that no VTEP has, and one that the array has not.
    for place in [3, 4096, u32::MAX] {
        kernel.set_fdb(VNI, UNROUTED.mac, Fdb::remote(place, 0));
        kernel.refuses(&udp_v4(&OWN, &UNROUTED), DropReason::NoRoute);
    }
    kernel.set_fdb(VNI, UNROUTED.mac, Fdb::remote(0, 0));
    for frame in each_kind(&OWN, &UNROUTED) {
        kernel.sends(&frame);
    }
}

#[test]
fn the_next_hops_mac_address_is_not_needed() {
    let kernel = Kernel::scene();
    // The kernel's neighbour table supplies it.
    for frame in each_kind(&OWN, &UNRESOLVED) {
        assert_eq!(read(&kernel.sends(&frame)).inner, frame);
    }
}

#[test]
fn a_frame_that_comes_back_goes_where_its_outer_header_says() {
    let mut kernel = Kernel::scene();
    let back = kernel.run(Hook::FromContainer, &not_ip(&OWN, &REMOTE));
    let again = |kernel: &Kernel, mark| {
        let outcome = kernel.run_with(Hook::FromContainer, &back.frame, Meta { mark, ..Meta::default() });
        (outcome.verdict, outcome.moved.into_keys().collect::<Vec<_>>())
    };
    let sent = (Verdict::Redirect, vec![Event::Count(Counter::ToUnderlay.name())]);
    let dropped = |reason: DropReason| (Verdict::Drop, vec![Event::Drop(VNI, reason.name())]);
    assert_eq!(again(&kernel, back.mark), sent);
    // The place of another VTEP, of one without a route, of none.
    for place in [1, 2, 3, MAX_VTEPS - 1] {
        assert_eq!(again(&kernel, to_vtep(place)), dropped(DropReason::NoRoute), "place {place}");
    }
    // Its VTEP has lost its route, or is gone.
    let unrouted = Vtep::unrouted(IpAddr::from(VTEP).into());
    for vtep in [unrouted, Vtep::EMPTY] {
        kernel.vteps.set(0, vtep, 0).expect("VTEPS");
        assert_eq!(again(&kernel, back.mark), dropped(DropReason::NoRoute));
    }
    // Without the mark it is a frame of the container, and not from its MAC address.
    assert_eq!(again(&kernel, 0), dropped(DropReason::SpoofedMac));
}

#[test]
fn what_must_be_encrypted_does_not_leave_in_clear() {
    let mut kernel = Kernel::scene();
    for frame in each_kind(&OWN, &SECRET) {
        kernel.refuses(&frame, DropReason::NotEncrypted);
    }
    kernel.set_fdb(VNI, SECRET.mac, by(Fdb::WIREGUARD, Fdb::remote(0, 0)));
    kernel.refuses(&udp_v4(&OWN, &SECRET), DropReason::NotEncrypted);
    kernel.set_fdb(VNI, SECRET.mac, Fdb::remote(0, 0));
    kernel.sends(&udp_v4(&OWN, &SECRET));
}

#[test]
fn a_frame_with_a_vlan_tag_is_dropped() {
    let kernel = Kernel::scene();
    let untagged = udp_v4(&OWN, &REMOTE);
    for tag in [[0x81, 0x00, 0, 7], [0x88, 0xa8, 0, 7]] {
        let mut tagged = untagged.clone();
        tagged.splice(12..12, tag);
        kernel.refuses(&tagged, DropReason::VlanTagged);
    }
    kernel.sends(&untagged);
}

#[test]
fn a_device_that_is_no_port_sends_nothing() {
    let mut kernel = Kernel::scene();
    kernel.sends(&udp_v4(&OWN, &REMOTE));
    kernel.ports.remove(&DEVICE).expect("was there");
    for frame in each_kind(&OWN, &REMOTE) {
        kernel.drops(Hook::FromContainer, &frame, 0, DropReason::NoPort);
    }
}

#[test]
fn what_the_kernel_refuses_to_encapsulate_is_counted_once() {
    let kernel = Kernel::scene();
    // A super-frame without a kind of segmentation, as only a test run has, cannot grow by a header.
    let frame = udp_v4(&OWN, &REMOTE);
    let outcome = kernel.run_with(Hook::FromContainer, &frame, Meta { gso_size: 500, ..Meta::default() });
    let moved: Vec<_> = outcome.moved.into_iter().collect();
    let expected = Event::Drop(VNI, DropReason::KernelRefused.name());
    assert_eq!(moved, [(expected, 1)]);
    kernel.sends(&frame);
}

#[test]
fn ip_options_travel_along() {
    let kernel = Kernel::scene();
    let packet = v4_with(OWN.v4, REMOTE.v4, IpNumber::UDP, &udp(1, 2, b"x"), |ip| {
        ip.options = [1; 8].into();
        ip.total_len += 8;
    });
    let frame = eth(REMOTE.mac, OWN.mac, 0x0800, &packet);
    assert_eq!(read(&kernel.sends(&frame)).inner, frame);
}
