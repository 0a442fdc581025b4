//! What is not ours goes to the host as it came, uncounted.

use std::net::Ipv4Addr;

use etherparse::IpNumber;
use overlay_common::MacAddr;

use crate::{
    frames::{
        OUTER_IP, OUTER_UDP, eth, fragment_offset, shortest, udp, udp_v4, udp_v6, v4, vxlan, vxlan_with,
    },
    harness::{Hook, Kernel},
    scene::{DEVICE_MAC, LOCAL, OUR_VTEP, OUTER_DST, OUTER_SRC, REMOTE, UDP_PORT, VNI, VTEP},
};

/// A VXLAN packet that is ours, and the programs to which it is.
fn ours() -> (Kernel, Vec<u8>) {
    let kernel = Kernel::scene();
    let frame = vxlan(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL));
    kernel.delivers(&frame);
    (kernel, frame)
}

#[track_caller]
fn passes(kernel: &Kernel, frame: &[u8]) {
    kernel.passes(Hook::FromUnderlay, frame);
}

#[test]
fn a_frame_that_is_not_ipv4_passes() {
    let (kernel, frame) = ours();
    for ethertype in [0x0806_u16, 0x86dd, 0x88b5, 0x0801, 0x0100] {
        let mut other = frame.clone();
        other[12..14].copy_from_slice(&ethertype.to_be_bytes());
        passes(&kernel, &other);
    }
    passes(&kernel, &udp_v6(&REMOTE, &LOCAL));
}

#[test]
fn another_udp_port_passes() {
    let (kernel, frame) = ours();
    for port in [UDP_PORT - 1, UDP_PORT + 1, 8472, 53, 0] {
        let mut other = frame.clone();
        other[OUTER_UDP + 2..OUTER_UDP + 4].copy_from_slice(&port.to_be_bytes());
        passes(&kernel, &other);
    }
    // The port counts as a destination only.
    let packet = v4(VTEP, OUR_VTEP, IpNumber::UDP, &udp(UDP_PORT, 50_000, &[0; 64]));
    passes(&kernel, &eth(DEVICE_MAC, OUTER_DST, 0x0800, &packet));
}

#[test]
fn another_destination_address_passes() {
    let (kernel, _) = ours();
    for address in [VTEP, Ipv4Addr::new(10, 88, 0, 255), Ipv4Addr::BROADCAST, Ipv4Addr::UNSPECIFIED] {
        let frame = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| ip.destination = address.octets());
        passes(&kernel, &frame);
    }
}

#[test]
fn another_stations_mac_address_passes() {
    let (kernel, frame) = ours();
    for mac in [OUTER_SRC, MacAddr::BROADCAST, MacAddr::new([1, 0, 0x5e, 0, 0, 1])] {
        let mut other = frame.clone();
        other[..6].copy_from_slice(&mac.octets());
        passes(&kernel, &other);
    }
}

#[test]
fn another_protocol_passes() {
    let (kernel, _) = ours();
    for protocol in [IpNumber::TCP, IpNumber::ICMP, IpNumber::UDP_LITE, IpNumber(0)] {
        let frame = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| ip.protocol = protocol);
        passes(&kernel, &frame);
    }
}

#[test]
fn a_later_fragment_passes_even_if_it_looks_like_vxlan() {
    let (kernel, _) = ours();
    for (offset, more) in [(8, false), (8, true), (2048, false), (65_528, true)] {
        let frame = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| {
            ip.fragment_offset = fragment_offset(offset);
            (ip.more_fragments, ip.dont_fragment) = (more, false);
        });
        passes(&kernel, &frame);
    }
}

#[test]
fn a_frame_with_a_vlan_tag_passes() {
    let (kernel, frame) = ours();
    for tag in [[0x81, 0x00, 0, 7], [0x88, 0xa8, 0, 7]] {
        let mut tagged = frame.clone();
        tagged.splice(12..12, tag);
        passes(&kernel, &tagged);
    }
}

#[test]
fn udp_to_another_address_passes_even_if_its_port_cannot_be_read() {
    let (kernel, _) = ours();
    let frame = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| ip.destination = VTEP.octets());
    for len in shortest(&frame)..OUTER_UDP + 8 {
        passes(&kernel, &frame[..len]);
    }
    for words in [0, 4, 15] {
        let mut other = frame[..OUTER_UDP + 8].to_vec();
        other[OUTER_IP] = 0x40 | words;
        passes(&kernel, &other);
    }
}

#[test]
fn until_the_agent_has_configured_the_node_nothing_is_ours() {
    let kernel = Kernel::new();
    passes(&kernel, &vxlan(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL)));
    let zero = vxlan_with(VTEP, VNI, &udp_v4(&REMOTE, &LOCAL), |ip| ip.destination = [0; 4]);
    let mut port_0 = zero.clone();
    port_0[OUTER_UDP + 2..OUTER_UDP + 4].fill(0);
    passes(&kernel, &zero);
    passes(&kernel, &port_0);
}
