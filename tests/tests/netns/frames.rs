//! Frames that tests send raw, built by etherparse.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{ArpEthIpv4Packet, ArpOperation, PacketBuilder, PacketBuilderStep, UdpHeader};

/// The port of VXLAN.
pub(crate) const VXLAN: u16 = 4789;
/// The MAC address of everybody.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// Source and destination MAC address.
pub(crate) type Macs = ([u8; 6], [u8; 6]);

/// UDP over IPv4 to port `marker`, by which a capture knows the frame.
pub(crate) fn udp4(macs: Macs, from: Ipv4Addr, to: Ipv4Addr, marker: u16) -> Vec<u8> {
    udp(
        PacketBuilder::ethernet2(macs.0, macs.1).ipv4(from.octets(), to.octets(), 64).udp(5555, marker),
        b"marked",
    )
}

/// UDP over IPv6 to port `marker`.
pub(crate) fn udp6(macs: Macs, from: Ipv6Addr, to: Ipv6Addr, marker: u16) -> Vec<u8> {
    udp(
        PacketBuilder::ethernet2(macs.0, macs.1).ipv6(from.octets(), to.octets(), 64).udp(5555, marker),
        b"marked",
    )
}

/// ARP; a request goes to everybody, an answer to `macs.1`.
pub(crate) fn arp(macs: Macs, operation: ArpOperation, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let packet = ArpEthIpv4Packet {
        operation,
        sender_mac: macs.0,
        sender_ipv4: sender.octets(),
        target_mac: if operation == ArpOperation::REQUEST { [0; 6] } else { macs.1 },
        target_ipv4: target.octets(),
    };
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(macs.0, macs.1).arp(packet.into());
    builder.write_to_vec(&mut frame).expect("a Vec takes everything");
    frame
}

/// A neighbour advertisement that says `target` is at `macs.0`.
pub(crate) fn advertisement(macs: Macs, from: Ipv6Addr, to: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    // Target, then the option with its link-layer address (RFC 4861 section 4.4).
    let body = [&target.octets()[..], &[2, 1], &macs.0].concat();
    icmpv6(macs, from, to, (136, [0x60, 0, 0, 0]), &body)
}

/// ICMPv6 with hop limit 255, as neighbour discovery wants.
pub(crate) fn icmpv6(macs: Macs, from: Ipv6Addr, to: Ipv6Addr, kind: (u8, [u8; 4]), body: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(macs.0, macs.1).ipv6(from.octets(), to.octets(), 255);
    let mut frame = Vec::new();
    builder.icmpv6_raw(kind.0, 0, kind.1).write(&mut frame, body).expect("a Vec takes everything");
    frame
}

/// A frame in VXLAN.
#[derive(Clone, Debug)]
pub(crate) struct Vxlan {
    /// Outer MAC addresses.
    pub(crate) macs: Macs,
    /// Who it claims to be from.
    pub(crate) from: Ipv4Addr,
    /// The VTEP it is for.
    pub(crate) to: Ipv4Addr,
    /// The VNI.
    pub(crate) vni: u32,
    /// The flags; 8 is right.
    pub(crate) flags: u8,
}

impl Vxlan {
    /// The frame with `inner` in it.
    pub(crate) fn with(&self, inner: &[u8]) -> Vec<u8> {
        let payload = [&[self.flags, 0, 0, 0][..], &(self.vni << 8).to_be_bytes(), inner].concat();
        let builder = PacketBuilder::ethernet2(self.macs.0, self.macs.1);
        udp(builder.ipv4(self.from.octets(), self.to.octets(), 64).udp(50_000, VXLAN), &payload)
    }
}

fn udp(builder: PacketBuilderStep<UdpHeader>, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a Vec takes everything");
    frame
}
