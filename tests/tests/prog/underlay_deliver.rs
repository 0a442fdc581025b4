//! What a container gets of a frame from the underlay: the inner frame, byte by byte.

use etherparse::IpNumber;

use crate::{
    frames::{EXPERIMENTAL, each_kind, eth, udp, udp_v4, udp_v6, v4, vxlan, vxlan_with},
    harness::Kernel,
    scene::{EGRESS, LOCAL, REMOTE, VNI, VTEP},
};

#[test]
fn the_inner_frame_is_delivered_as_it_was() {
    let kernel = Kernel::scene();
    for to in [LOCAL, EGRESS] {
        for inner in each_kind(&REMOTE, &to) {
            assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner)), inner);
        }
    }
}

#[test]
fn an_unicast_arp_reply_is_delivered() {
    let kernel = Kernel::scene();
    let reply = eth(LOCAL.mac, REMOTE.mac, 0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 2][..], &[7; 20]].concat());
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &reply)), reply);
}

#[test]
fn a_frame_of_any_length_is_delivered_whole() {
    let kernel = Kernel::scene();
    for len in [0, 1, 2, 100, 1422, 3000] {
        let packet = v4(REMOTE.v4, LOCAL.v4, IpNumber::UDP, &udp(1, 2, &vec![0xc3; len]));
        let inner = eth(LOCAL.mac, REMOTE.mac, 0x0800, &packet);
        assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner)), inner);
    }
}

#[test]
fn a_frame_that_is_not_ip_is_delivered_however_short() {
    let kernel = Kernel::scene();
    for len in 0..64 {
        let inner = eth(LOCAL.mac, REMOTE.mac, EXPERIMENTAL, &vec![0xc3; len]);
        let mut expected = inner.clone();
        // The kernel leaves no less than an IPv4 header behind Ethernet; zeros fill it up.
        expected.resize(inner.len().max(14 + 20), 0);
        assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner)), expected, "{len} bytes");
        // Never the padding of the outer frame.
        let mut padded = vxlan(VTEP, VNI, &inner);
        padded.extend([0xee; 40]);
        assert_eq!(kernel.delivers(&padded), expected, "{len} bytes, padded");
    }
}

#[test]
fn padding_behind_the_datagram_is_no_part_of_the_frame() {
    let kernel = Kernel::scene();
    for inner in each_kind(&REMOTE, &LOCAL) {
        for padding in [1, 2, 18, 300] {
            let mut frame = vxlan(VTEP, VNI, &inner);
            frame.extend(vec![0xee; padding]);
            assert_eq!(kernel.delivers(&frame), inner);
        }
    }
}

#[test]
fn padding_between_datagram_and_packet_end_is_no_part_of_the_frame() {
    let kernel = Kernel::scene();
    let inner = udp_v6(&REMOTE, &LOCAL);
    let mut frame = vxlan_with(VTEP, VNI, &inner, |ip| ip.total_len += 10);
    frame.extend([0xee; 10]);
    assert_eq!(kernel.delivers(&frame), inner);
}

#[test]
fn ttl_and_source_port_of_the_outer_header_do_not_matter() {
    let kernel = Kernel::scene();
    let inner = udp_v4(&REMOTE, &LOCAL);
    for ttl in [0, 1, 64, 255] {
        assert_eq!(kernel.delivers(&vxlan_with(VTEP, VNI, &inner, |ip| ip.time_to_live = ttl)), inner);
    }
    for port in [0_u16, 4789, 49_151, 65_535] {
        let mut frame = vxlan(VTEP, VNI, &inner);
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        assert_eq!(kernel.delivers(&frame), inner);
    }
}

#[test]
fn only_one_header_is_taken_off() {
    let kernel = Kernel::scene();
    let nested = vxlan(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL));
    let inner = eth(LOCAL.mac, REMOTE.mac, 0x0800, &nested[14..]);
    assert_eq!(kernel.delivers(&vxlan(VTEP, VNI, &inner)), inner);
}

#[test]
fn what_one_node_sends_the_other_delivers() {
    let kernel = Kernel::scene();
    let mut there = Kernel::scene();
    // The other node: it is at the remote VTEP, and the endpoint is its own.
    let config = overlay_common::map::NodeConfig::new((Some(VTEP), None), 9, crate::scene::UDP_PORT);
    there.config.set(0, config, 0).expect("CONFIG");
    there.set_fdb(VNI, REMOTE.mac, overlay_common::map::Fdb::local(77));
    let ours =
        overlay_common::map::MemberKey::new(VNI, std::net::IpAddr::from(crate::scene::OUR_VTEP).into());
    there
        .members
        .insert(ours, overlay_common::map::Member { flags: 0, slice: overlay_common::map::Slice::NONE }, 0)
        .expect("MEMBERS");
    for frame in each_kind(&crate::scene::OWN, &REMOTE) {
        let mut wire = kernel.sends(&frame);
        wire[..6].copy_from_slice(&crate::scene::DEVICE_MAC.octets());
        assert_eq!(there.delivers(&wire), frame);
    }
}
