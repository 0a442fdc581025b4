//! Numbered datagrams in super-frames (`UDP_SEGMENT`), or one by one of any length.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{Netns, Random};

/// How long a datagram may be under way.
const LATE: Duration = Duration::from_millis(500);
/// All that a test sends.
const BUFFER: usize = 64 << 20;

/// Datagrams to send.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams {
    /// How many.
    pub count: usize,
    /// The payload of each, in bytes.
    pub length: usize,
    /// How many of them the sender hands to its kernel at once.
    pub at_once: usize,
}

impl Datagrams {
    /// Sends them to an address in another namespace; how many arrived once and as they were sent.
    pub fn send(self, from: &Netns, to: &Netns, ip: IpAddr) -> Result<usize> {
        let receiver = to.enter(|| UdpSocket::bind((ip, 0)))?;
        let receiver = receiver.with_context(|| format!("cannot listen on {ip} in {}", to.name()))?;
        set_socket_recv_buffer_size_force(&receiver, BUFFER)?;
        receiver.set_read_timeout(Some(LATE))?;
        let target = receiver.local_addr()?;
        let any: SocketAddr = if ip.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
        let sender = from.enter(|| UdpSocket::bind(any))??;
        sender.connect(target).with_context(|| format!("{} has no way to {ip}", from.name()))?;
        if self.at_once > 1 {
            let length = i32::try_from(self.length)?;
            setsockopt(&sender, UdpGsoSegment, &length).context("the kernel lacks UDP_SEGMENT")?;
        }
        let numbers: Vec<usize> = (0..self.count).collect();
        for group in numbers.chunks(self.at_once) {
            let bytes: Vec<u8> = group.iter().flat_map(|number| self.payload(*number)).collect();
            sender.send(&bytes).with_context(|| format!("{} bytes", bytes.len()))?;
        }
        let mut arrived = BTreeSet::new();
        let mut buffer = vec![0; 1 << 16];
        while arrived.len() < self.count {
            let Ok(length) = receiver.recv(&mut buffer) else { break };
            let number = buffer.first_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
            let number = number.filter(|number| buffer[..length] == self.payload(*number));
            ensure!(number.is_some(), "a datagram of {length} bytes is not as it was sent");
            ensure!(arrived.insert(number), "datagram {number:?} came twice");
        }
        Ok(arrived.len())
    }

    /// The bytes of a datagram: its number, and what follows from it.
    fn payload(self, number: usize) -> Vec<u8> {
        let mut random = Random::new(number as u64 + 1);
        let mut bytes = (number as u32).to_be_bytes().to_vec();
        while bytes.len() < self.length {
            bytes.extend(random.next().to_be_bytes());
        }
        bytes.truncate(self.length);
        bytes
    }
}
