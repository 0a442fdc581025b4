//! Only an endpoint that may be a DHCP server speaks as one.

use etherparse::IpNumber;
use overlay_common::{DropReason, map::Port};

use crate::{
    frames::{eth, extension, fragment_offset, udp, v4, v4_with, v6},
    harness::Kernel,
    scene::{OWN, REMOTE, port},
};

fn four(src: u16, dst: u16) -> Vec<u8> {
    let packet = v4(OWN.v4, REMOTE.v4, IpNumber::UDP, &udp(src, dst, &[2; 240]));
    eth(REMOTE.mac, OWN.mac, 0x0800, &packet)
}

fn six(src: u16, dst: u16) -> Vec<u8> {
    let packet = v6(OWN.v6, REMOTE.v6, IpNumber::UDP, &udp(src, dst, &[2; 60]));
    eth(REMOTE.mac, OWN.mac, 0x86dd, &packet)
}

#[test]
fn a_servers_message_is_dropped_and_a_clients_is_not() {
    let kernel = Kernel::scene();
    kernel.refuses(&four(67, 68), DropReason::RogueDhcp);
    kernel.sends(&four(68, 67));
    kernel.refuses(&six(547, 546), DropReason::RogueDhcp);
    kernel.sends(&six(546, 547));
}

#[test]
fn each_family_has_its_own_ports() {
    let kernel = Kernel::scene();
    kernel.sends(&four(547, 1000));
    kernel.sends(&four(1000, 546));
    kernel.sends(&six(67, 1000));
    kernel.sends(&six(1000, 68));
}

#[test]
fn a_server_cannot_hide_behind_another_source_port() {
    let kernel = Kernel::scene();
    // Clients take what comes to their port; few look where it comes from.
    kernel.refuses(&four(1067, 68), DropReason::RogueDhcp);
    kernel.sends(&four(1067, 69));
    kernel.refuses(&six(1547, 546), DropReason::RogueDhcp);
    kernel.sends(&six(1547, 545));
}

#[test]
fn a_server_cannot_hide_behind_an_extension_header() {
    let kernel = Kernel::scene();
    let frame = |src| {
        let payload = [extension(IpNumber::UDP, 1), udp(src, 1000, b"x")].concat();
        eth(REMOTE.mac, OWN.mac, 0x86dd, &v6(OWN.v6, REMOTE.v6, IpNumber::IPV6_DESTINATION_OPTIONS, &payload))
    };
    kernel.refuses(&frame(547), DropReason::RogueDhcp);
    kernel.sends(&frame(546));
}

#[test]
fn a_server_cannot_hide_in_a_first_fragment() {
    let kernel = Kernel::scene();
    let frame = |src| {
        let packet = v4_with(OWN.v4, REMOTE.v4, IpNumber::UDP, &udp(src, 68, &[2; 24]), |ip| {
            (ip.more_fragments, ip.dont_fragment) = (true, false);
            ip.fragment_offset = fragment_offset(0);
        });
        eth(REMOTE.mac, OWN.mac, 0x0800, &packet)
    };
    kernel.refuses(&frame(67), DropReason::RogueDhcp);
    let frame = |src, dst| {
        let header = [IpNumber::UDP.0, 0, 0, 1, 0, 0, 0, 1];
        let payload = [&header[..], &udp(src, dst, &[2; 24])].concat();
        eth(
            REMOTE.mac,
            OWN.mac,
            0x86dd,
            &v6(OWN.v6, REMOTE.v6, IpNumber::IPV6_FRAGMENTATION_HEADER, &payload),
        )
    };
    kernel.refuses(&frame(547, 546), DropReason::RogueDhcp);
    kernel.sends(&frame(546, 547));
}

#[test]
fn an_endpoint_that_may_be_a_server_is_let_through() {
    let mut kernel = Kernel::scene();
    kernel.set_port(&port(&[], Port::ALLOW_RA));
    kernel.refuses(&four(67, 68), DropReason::RogueDhcp);
    kernel.set_port(&port(&[], Port::ALLOW_DHCP_SERVER));
    kernel.sends(&four(67, 68));
    kernel.sends(&six(547, 546));
}
