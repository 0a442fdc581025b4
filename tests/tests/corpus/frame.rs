//! A VXLAN packet as a VTEP sends it, with each field in sight: what a case changes in it, and its bytes.
//!
//! Written out by the RFCs, not by the product's own types.

use std::net::IpAddr;

pub(crate) use overlay_tests::Family;
use overlay_tests::family::{ETH, UDP, VXLAN};

use crate::scene::{DEVICE_MAC, FAR, Node, OURS, OUTER_DST, UDP_PORT, VNI};

/// A checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    Right,
    /// Another than the right one by these bits.
    Wrong(u16),
    /// Zero.
    None,
}

/// A VXLAN packet. Lengths are the true ones where they are not given.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) family: Family,
    pub(crate) eth_dst: [u8; 6],
    pub(crate) eth_src: [u8; 6],
    /// VLAN tags in front of the EtherType.
    pub(crate) tags: Vec<[u8; 4]>,
    pub(crate) ethertype: u16,
    pub(crate) version: u8,
    pub(crate) tos: u8,
    pub(crate) hops: u8,
    pub(crate) protocol: u8,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    /// Total length of IPv4, payload length of IPv6.
    pub(crate) ip_len: Option<u16>,
    /// IPv4: length of the header in words, identification, flags and offset, options, checksum.
    pub(crate) words: Option<u8>,
    pub(crate) id: u16,
    pub(crate) fragment: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) ip_sum: Sum,
    /// IPv6: flow label, extension headers by number, whose first byte is filled in.
    pub(crate) label: u32,
    pub(crate) extensions: Vec<(u8, Vec<u8>)>,
    pub(crate) ports: (u16, u16),
    pub(crate) udp_len: Option<u16>,
    pub(crate) udp_sum: Sum,
    /// The VXLAN header.
    pub(crate) vxlan: [u8; 8],
    pub(crate) inner: Vec<u8>,
    /// Behind the UDP datagram within the IP packet, and behind that.
    pub(crate) rest: Vec<u8>,
    pub(crate) padding: Vec<u8>,
    /// How much of the frame is sent.
    pub(crate) cut: Option<usize>,
}

impl Frame {
    /// A packet from `FAR` with this inner frame.
    pub(crate) fn new(family: Family, inner: Vec<u8>) -> Self {
        let [_, a, b, c] = VNI.to_be_bytes();
        Self {
            family,
            eth_dst: DEVICE_MAC.octets(),
            eth_src: OUTER_DST.octets(),
            tags: Vec::new(),
            ethertype: family.ethertype(),
            version: if family == Family::V4 { 4 } else { 6 },
            tos: 0,
            hops: 64,
            protocol: 17,
            src: FAR.over(family),
            dst: OURS.over(family),
            ip_len: None,
            words: None,
            id: 0,
            fragment: 0x4000,
            options: Vec::new(),
            ip_sum: Sum::Right,
            label: 0,
            extensions: Vec::new(),
            ports: (50_000, UDP_PORT),
            udp_len: None,
            udp_sum: Sum::None,
            vxlan: [8, 0, 0, 0, a, b, c, 0],
            inner,
            rest: Vec::new(),
            padding: Vec::new(),
            cut: None,
        }
    }

    /// From another node.
    pub(crate) fn from(mut self, node: Node) -> Self {
        self.src = node.over(self.family);
        self
    }

    pub(crate) fn set_vni(&mut self, vni: u32) {
        self.vxlan[4..7].copy_from_slice(&vni.to_be_bytes()[1..]);
    }

    /// Offset of the UDP header in the frame.
    pub(crate) fn udp_at(&self) -> usize {
        let extensions: usize = self.extensions.iter().map(|(_, header)| header.len()).sum();
        ETH + self.tags.len() * 4 + self.family.header() + self.options.len() + extensions
    }

    /// Length of the UDP datagram.
    pub(crate) fn true_udp_len(&self) -> u16 {
        short(UDP + VXLAN + self.inner.len())
    }

    /// What the IP header says of its length where it is true.
    pub(crate) fn true_ip_len(&self) -> u16 {
        let front = self.udp_at() - ETH - self.tags.len() * 4;
        let front = if self.family == Family::V4 { front } else { front - self.family.header() };
        short(front + usize::from(self.true_udp_len()) + self.rest.len())
    }

    /// The frame.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let ip = match self.family {
            Family::V4 => self.ipv4(),
            Family::V6 => self.ipv6(),
        };
        let mut frame = [&self.eth_dst[..], &self.eth_src, &self.tags.concat()].concat();
        frame.extend(self.ethertype.to_be_bytes());
        frame.extend([ip, self.udp(), self.rest.clone(), self.padding.clone()].concat());
        frame.truncate(self.cut.unwrap_or(frame.len()));
        frame
    }

    fn ipv4(&self) -> Vec<u8> {
        let words = self.words.unwrap_or(5 + self.options.len() as u8 / 4);
        let mut header = vec![self.version << 4 | words, self.tos];
        header.extend(self.ip_len.unwrap_or_else(|| self.true_ip_len()).to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.hops, self.protocol, 0, 0]);
        header.extend(octets(self.src));
        header.extend(octets(self.dst));
        header.extend(&self.options);
        let sum = self.ip_sum.of(|| checksum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn ipv6(&self) -> Vec<u8> {
        let first = u32::from(self.version) << 28 | u32::from(self.tos) << 20 | self.label;
        let mut header = first.to_be_bytes().to_vec();
        header.extend(self.ip_len.unwrap_or_else(|| self.true_ip_len()).to_be_bytes());
        let (mut next, mut chain) = (self.protocol, Vec::new());
        for (number, extension) in self.extensions.iter().rev() {
            chain = [&[next][..], &extension[1..], &chain].concat();
            next = *number;
        }
        header.extend([next, self.hops]);
        header.extend(octets(self.src));
        header.extend(octets(self.dst));
        header.extend(chain);
        header
    }

    fn udp(&self) -> Vec<u8> {
        let mut datagram = [self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes()].concat();
        datagram.extend(self.udp_len.unwrap_or_else(|| self.true_udp_len()).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(self.vxlan);
        datagram.extend(&self.inner);
        let sum = self.udp_sum.of(|| {
            let pseudo =
                [&octets(self.src)[..], &octets(self.dst), &[0, 17], &self.true_udp_len().to_be_bytes()];
            match checksum(&[&pseudo.concat()[..], &datagram].concat()) {
                0 => 0xffff,
                sum => sum,
            }
        });
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        datagram
    }
}

impl Sum {
    fn of(self, right: impl FnOnce() -> u16) -> u16 {
        match self {
            Self::Right => right(),
            Self::Wrong(bits) => right() ^ bits,
            Self::None => 0,
        }
    }
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

fn short(length: usize) -> u16 {
    length.try_into().unwrap_or(u16::MAX)
}
