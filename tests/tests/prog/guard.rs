//! Whom a container may say it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::IpNumber;
use overlay_common::{DropReason, MacAddr};

use crate::{
    frames::{EXPERIMENTAL, each_kind, eth, extension, icmpv6, udp, udp_v4, udp_v6, v4, v6},
    harness::Kernel,
    scene::{EXTRA_MAC, LOCAL, NOBODY, OWN, REMOTE, port, prefix},
};

fn from_v4(src: &str) -> Vec<u8> {
    let packet = v4(src.parse().expect("an address"), REMOTE.v4, IpNumber::UDP, &udp(1, 2, b"x"));
    eth(REMOTE.mac, OWN.mac, 0x0800, &packet)
}

fn from_v6(src: &str) -> Vec<u8> {
    let packet = v6(src.parse().expect("an address"), REMOTE.v6, IpNumber::UDP, &udp(1, 2, b"x"));
    eth(REMOTE.mac, OWN.mac, 0x86dd, &packet)
}

#[test]
fn another_mac_address_is_spoofed() {
    let kernel = Kernel::scene();
    let multicast = MacAddr::new([0x03, 0x42, 10, 1, 0, 1]);
    for mac in [LOCAL.mac, REMOTE.mac, NOBODY.mac, MacAddr::ZERO, MacAddr::BROADCAST, multicast] {
        for mut frame in each_kind(&OWN, &REMOTE) {
            kernel.sends(&frame);
            frame[6..12].copy_from_slice(&mac.octets());
            kernel.refuses(&frame, DropReason::SpoofedMac);
        }
    }
}

#[test]
fn a_mac_address_that_the_endpoint_adds_is_its_own() {
    let mut kernel = Kernel::scene();
    for mut frame in each_kind(&OWN, &REMOTE) {
        frame[6..12].copy_from_slice(&EXTRA_MAC.octets());
        kernel.sends(&frame);
    }
    let mut without = port(&[], 0);
    without.macs[1] = MacAddr::ZERO;
    kernel.set_port(&without);
    kernel.refuses(&eth(REMOTE.mac, EXTRA_MAC, EXPERIMENTAL, &[0; 46]), DropReason::SpoofedMac);
}

#[test]
fn another_ipv4_address_is_spoofed() {
    let kernel = Kernel::scene();
    for spoofed in ["10.1.0.2", "10.1.0.3", "10.1.0.0", "11.1.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255"]
    {
        kernel.refuses(&from_v4(spoofed), DropReason::SpoofedIp);
    }
    kernel.sends(&from_v4("10.1.0.1"));
}

#[test]
fn another_ipv6_address_is_spoofed() {
    let kernel = Kernel::scene();
    for spoofed in ["fd00:1::2", "fd00:1::3", "fd00:1::", "fd01:1::1", "::1", "ff02::1"] {
        kernel.refuses(&from_v6(spoofed), DropReason::SpoofedIp);
    }
    kernel.sends(&from_v6("fd00:1::1"));
}

#[test]
fn addresses_that_the_endpoint_adds_are_its_own() {
    let kernel = Kernel::scene();
    for own in ["192.168.7.0", "192.168.7.255"] {
        kernel.sends(&from_v4(own));
    }
    for other in ["192.168.6.255", "192.168.8.0"] {
        kernel.refuses(&from_v4(other), DropReason::SpoofedIp);
    }
    for own in ["fd07::", "fd07::ffff:ffff:ffff:ffff"] {
        kernel.sends(&from_v6(own));
    }
    for other in ["fd06::1", "fd07:0:0:1::"] {
        kernel.refuses(&from_v6(other), DropReason::SpoofedIp);
    }
}

#[test]
fn the_link_local_address_of_its_own_mac_address_is_its_own() {
    let kernel = Kernel::scene();
    kernel.sends(&from_v6(&OWN.mac.link_local().to_string()));
    kernel.refuses(&from_v6(&REMOTE.mac.link_local().to_string()), DropReason::SpoofedIp);
}

#[test]
fn a_prefix_of_one_family_admits_none_of_the_other() {
    let mut kernel = Kernel::scene();
    kernel.set_port(&port(&[prefix(Ipv6Addr::UNSPECIFIED, 0)], 0));
    kernel.refuses(&from_v4("10.1.0.2"), DropReason::SpoofedIp);
    kernel.sends(&from_v6("fd00:1::2"));
    kernel.set_port(&port(&[prefix(Ipv4Addr::UNSPECIFIED, 0)], 0));
    kernel.refuses(&from_v6("fd00:1::2"), DropReason::SpoofedIp);
    kernel.sends(&from_v4("10.1.0.2"));
}

#[test]
fn a_mapped_ipv4_address_is_no_ipv6_address_of_anybody() {
    let mut kernel = Kernel::scene();
    kernel.set_port(&port(&[prefix(Ipv4Addr::UNSPECIFIED, 0), prefix(Ipv6Addr::UNSPECIFIED, 0)], 0));
    for mapped in ["::ffff:10.1.0.1", "::ffff:10.1.0.2", "::ffff:0.0.0.0"] {
        kernel.refuses(&from_v6(mapped), DropReason::SpoofedIp);
    }
    kernel.sends(&from_v6("::fffe:10.1.0.2"));
    kernel.sends(&from_v4("10.1.0.2"));
}

#[test]
fn unspecified_speaks_to_groups_only() {
    let mut kernel = Kernel::scene();
    for allowed in [&[][..], &[prefix(Ipv6Addr::UNSPECIFIED, 0)]] {
        kernel.set_port(&port(allowed, 0));
        kernel.refuses(&from_v6("::"), DropReason::SpoofedIp);
        // To a group it is let through so far, and shares the fate of the group.
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        let packet = v6(Ipv6Addr::UNSPECIFIED, group, IpNumber::UDP, &udp(1, 2, b"x"));
        kernel.refuses(
            &eth(MacAddr::new([0x33, 0x33, 0, 0, 0, 0xfb]), OWN.mac, 0x86dd, &packet),
            DropReason::Bum,
        );
    }
}

#[test]
fn a_multicast_listener_report_before_an_address_is_no_spoof() {
    let kernel = Kernel::scene();
    let (from, to) = (Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16));
    let report = [extension(IpNumber::IPV6_ICMP, 0), icmpv6(from, to, 143, &[0; 24])].concat();
    let packet = v6(from, to, IpNumber::IPV6_HEADER_HOP_BY_HOP, &report);
    kernel
        .refuses(&eth(MacAddr::new([0x33, 0x33, 0, 0, 0, 0x16]), OWN.mac, 0x86dd, &packet), DropReason::Bum);
    let mut spoofed = packet;
    spoofed[8..24].copy_from_slice(&REMOTE.mac.link_local().octets());
    kernel.refuses(
        &eth(MacAddr::new([0x33, 0x33, 0, 0, 0, 0x16]), OWN.mac, 0x86dd, &spoofed),
        DropReason::SpoofedIp,
    );
}

#[test]
fn who_it_is_matters_on_the_way_to_this_node_too() {
    let kernel = Kernel::scene();
    for mut frame in [udp_v4(&REMOTE, &LOCAL), udp_v6(&REMOTE, &LOCAL)] {
        kernel.refuses(&frame, DropReason::SpoofedMac);
        frame[6..12].copy_from_slice(&OWN.mac.octets());
        kernel.refuses(&frame, DropReason::SpoofedIp);
    }
    let counter = overlay_common::Counter::ToLocal;
    kernel.redirects(crate::harness::Hook::FromContainer, &udp_v4(&OWN, &LOCAL), counter);
}
