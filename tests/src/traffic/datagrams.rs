//! The client's datagrams.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use rustix::net::sockopt::set_socket_send_buffer_size_force;

use super::{
    Figures,
    client::{Counter, due, transactions},
};

/// Bytes of a datagram that goes one way.
const PAYLOAD: [u8; 64] = [0; 64];
/// Datagrams of a burst at a fixed rate: the sender sleeps between bursts, so that its CPU time is that of its work.
const BURST: u64 = 32;
/// Bytes of a segment of a super-frame, as QUIC's smallest.
const SEGMENT: u16 = 1200;
/// Segments of a super-frame.
const SEGMENTS: usize = 40;
/// A datagram that did not arrive within this time after the others is lost.
const LATE: Duration = Duration::from_millis(20);
/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_millis(500);

/// The client's UDP sockets.
pub(super) struct Datagrams {
    echo: UdpSocket,
    sink: UdpSocket,
    segmented: UdpSocket,
}

impl Datagrams {
    pub(super) fn new(echo: SocketAddr, sink: SocketAddr) -> Result<Self> {
        let open = |server: SocketAddr| -> Result<UdpSocket> {
            let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.connect(server).with_context(|| format!("no way to {server}"))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            set_socket_send_buffer_size_force(&socket, 4 << 20)?;
            Ok(socket)
        };
        let segmented = open(sink)?;
        setsockopt(&segmented, UdpGsoSegment, &i32::from(SEGMENT)).context("the kernel lacks UDP_SEGMENT")?;
        Ok(Self { echo: open(echo)?, sink: open(sink)?, segmented })
    }

    /// One byte to and fro.
    pub(super) fn request_response(&self, time: Duration) -> Result<Figures> {
        transactions(time, || {
            let mut byte = [0];
            self.echo.send(&byte)?;
            self.echo.recv(&mut byte).context("a datagram was lost")?;
            Ok(())
        })
    }

    /// Datagrams of 64 bytes, `rate` a second where that is not 0.
    pub(super) fn one_way(&self, count: &mut Counter, time: Duration, rate: u64) -> Result<Figures> {
        one_way(count, time, |sent, start| {
            for _ in 0..BURST {
                self.sink.send(&PAYLOAD)?;
            }
            if let Some(due) = due(sent + BURST, rate) {
                thread::sleep((start + due).saturating_duration_since(Instant::now()));
            }
            Ok(BURST)
        })
    }

    /// Super-frames; each of their segments is a datagram.
    pub(super) fn segmented(&self, count: &mut Counter, time: Duration) -> Result<Figures> {
        let frame = vec![0; usize::from(SEGMENT) * SEGMENTS];
        one_way(count, time, |_, _| {
            self.segmented.send(&frame)?;
            Ok(SEGMENTS as u64)
        })
    }
}

/// Sends until the time is over; what arrived, in the time until the last of it had.
///
/// The thread that swallows and the one that tells its count share a CPU and a priority, so that the count is told
/// when nothing is left to swallow.
fn one_way(
    count: &mut Counter,
    time: Duration,
    mut send: impl FnMut(u64, Instant) -> io::Result<u64>,
) -> Result<Figures> {
    let before = count.read()?.0;
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < time {
        sent += send(sent, start)?;
    }
    let (mut arrived, mut last) = (count.read()?.0 - before, Instant::now());
    while arrived < sent && last.elapsed() < LATE {
        thread::sleep(Duration::from_micros(200));
        let now = count.read()?.0 - before;
        if now > arrived {
            (arrived, last) = (now, Instant::now());
        }
    }
    Ok(Figures { count: arrived, sent, seconds: (last - start).as_secs_f64(), ..Figures::default() })
}

/// Watches for the time, and then until nothing arrives any more; what arrived, in the time until the last of it had.
pub(super) fn foreign(count: &mut Counter, time: Duration) -> Result<Figures> {
    let before = count.read()?.0;
    let start = Instant::now();
    thread::sleep(time);
    let (mut arrived, mut last) = (count.read()?.0 - before, Instant::now());
    while last.elapsed() < LATE {
        thread::sleep(Duration::from_micros(200));
        let now = count.read()?.0 - before;
        if now > arrived {
            (arrived, last) = (now, Instant::now());
        }
    }
    Ok(Figures { count: arrived, seconds: (last - start).as_secs_f64(), ..Figures::default() })
}
