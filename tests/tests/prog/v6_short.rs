//! IPv4 packets that came over IPv6 and are shorter than an IPv6 header: the kernel leaves no less than that of a frame
//! whose family it is not told, and before Linux 6.3 it cannot be told.

use etherparse::IpNumber;
use overlay_common::Counter;

use crate::{
    frames::{EXPERIMENTAL, eth, udp, v4, vxlan_v6},
    harness::{Hook, Kernel, family_is_told},
    scene::{EGRESS, LOCAL, REMOTE_V6, SHORTEST_V6, Station, VNI, VTEP_V6},
};

/// IPv4 packets of every length from a header alone to one that is longer than an IPv6 header: an echo request and a
/// datagram without data among them.
fn short(to: &Station) -> impl Iterator<Item = Vec<u8>> {
    let frame = |protocol, payload: &[u8]| {
        eth(to.mac, REMOTE_V6.mac, 0x0800, &v4(REMOTE_V6.v4, to.v4, protocol, payload))
    };
    let headers = (0..8).map(move |len| frame(IpNumber(253), &vec![0xc3; len]));
    let echo = frame(IpNumber::ICMP, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    let datagrams = (0..16).map(move |len| frame(IpNumber::UDP, &udp(1, 2, &vec![0xc3; len])));
    headers.chain([echo]).chain(datagrams)
}

/// Asserts that the short packets arrive, behind those shorter than `shortest` the zeros that Ethernet would fill up with.
#[track_caller]
fn arrive(kernel: &Kernel, shortest: usize) {
    for to in [LOCAL, EGRESS] {
        for inner in short(&to) {
            let frame = vxlan_v6(VTEP_V6, VNI, &inner);
            let mut expected = inner.clone();
            expected.resize(inner.len().max(shortest), 0);
            // Never the padding of the outer frame.
            for padding in [0, 1, 40] {
                let frame = [&frame[..], &vec![0xee; padding]].concat();
                let delivered = kernel.redirects(Hook::FromUnderlay, &frame, Counter::FromUnderlay);
                assert_eq!(delivered, expected, "{} bytes, {padding} behind", inner.len());
            }
        }
    }
}

#[test]
fn short_ipv4_packets_arrive_as_this_kernel_leaves_them() {
    arrive(&Kernel::scene(), if family_is_told() { 0 } else { SHORTEST_V6 });
}

#[test]
fn short_ipv4_packets_arrive_filled_up_where_the_kernel_is_not_told_their_family() {
    let mut kernel = Kernel::untold();
    kernel.fill();
    arrive(&kernel, SHORTEST_V6);
    // As do frames that are not IP.
    let inner = eth(LOCAL.mac, REMOTE_V6.mac, EXPERIMENTAL, &[0xc3; 3]);
    let frame = vxlan_v6(VTEP_V6, VNI, &inner);
    assert_eq!(kernel.redirects(Hook::FromUnderlay, &frame, Counter::FromUnderlay).len(), SHORTEST_V6);
}
