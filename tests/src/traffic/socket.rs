//! Sockets of both ends, with what must be equal on every path.

use std::{
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, listen, socket, sockopt};

/// Bytes of one write and read. What a write leaves over after whole super-frames travels as small packets of its
/// own, and how much that is depends on the MSS: with the 128 KiB of iperf3, 752 bytes at an MTU of 1500 and two
/// packets at one of 1450, which alone halved the stream. In a mebibyte it does not show.
pub(super) const CHUNK: usize = 1 << 20;
/// Bytes of a page.
const PAGE: usize = 4096;
/// The congestion control of both ends, where the kernel has it. The default may be BBR, which paces a connection
/// by its own estimates: on one machine they are no measure of the path.
const CONGESTION_CONTROL: &str = "cubic";
/// Bytes of either socket buffer of a stream; the kernel takes half of it for its own book-keeping.
///
/// With buffers that the kernel tunes, a stream between two CPUs has no steady speed: what lies between the ends grows
/// until it fits no cache, or the receiver's buffer overflows. Eight windows of one path then lay between 27 and 87
/// Gbit/s. With a mebibyte both ends' caches hold it: 24 windows between 43 and 64, their middle half within 6 % of the
/// median, and two connections over one path apart by 1 %. A quarter of it, half of it, twice and four times as much
/// spread more; so do both ends on one CPU, and windows of 50 ms.
const BUFFER: usize = 1 << 20;
/// A connection on which nothing moves for so long is broken.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a connection is for: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Chunks one way. The first byte of a chunk tells whether it is the last of a window; that one is answered.
    Stream = b's' as isize,
    /// One byte to and fro.
    Rr = b'r' as isize,
    /// What the server has counted.
    Count = b'n' as isize,
}

impl Purpose {
    pub(super) fn read(byte: u8) -> Option<Self> {
        [Self::Stream, Self::Rr, Self::Count].into_iter().find(|purpose| *purpose as u8 == byte)
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// A listener on a port of the kernel's choice; what it accepts has its options.
pub(super) fn listener(address: IpAddr) -> Result<TcpListener> {
    let fd = socket(family(address), SocketType::STREAM, Some(ipproto::TCP))?;
    set_buffers(&fd)?;
    // Every path goes without where the kernel lacks it.
    let _kept = sockopt::set_tcp_congestion(&fd, CONGESTION_CONTROL);
    bind(&fd, &SocketAddr::new(address, 0)).with_context(|| format!("cannot listen on {address}"))?;
    listen(&fd, 128)?;
    Ok(fd.into())
}

/// A connection for a purpose.
pub(super) fn stream(server: SocketAddr, purpose: Purpose) -> Result<TcpStream> {
    let fd = socket(family(server.ip()), SocketType::STREAM, Some(ipproto::TCP))?;
    set_buffers(&fd)?;
    let _kept = sockopt::set_tcp_congestion(&fd, CONGESTION_CONTROL);
    sockopt::set_tcp_user_timeout(&fd, u32::try_from(PATIENCE.as_millis())?)?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(PATIENCE))?;
    connect(&fd, &server).with_context(|| format!("cannot reach {server}"))?;
    let mut stream = TcpStream::from(fd);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[purpose as u8])?;
    Ok(stream)
}

fn set_buffers(fd: &impl rustix::fd::AsFd) -> io::Result<()> {
    // The kernel doubles what it is given.
    sockopt::set_socket_send_buffer_size_force(fd, BUFFER / 2)?;
    Ok(sockopt::set_socket_recv_buffer_size_force(fd, BUFFER / 2)?)
}

/// Memory of one chunk that starts on a page. Where payload and buffer are out of step by a few bytes, some CPUs copy
/// at half the speed, and the MSS decides whether they are: that is no property of the path.
pub(super) struct Chunk(Vec<u8>);

impl Chunk {
    pub(super) fn new() -> Self {
        Self(vec![0; CHUNK + PAGE])
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(PAGE).min(PAGE);
        &mut self.0[start..start + CHUNK]
    }
}
