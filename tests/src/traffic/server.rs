//! The end that is loaded: answers, swallows and counts.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result};
use rustix::net::sockopt;

use super::{
    cpu_time, end_with_stdin,
    socket::{CHUNK, Chunk, Purpose, listener},
};

/// The sink's socket buffer: all of a window, so that a receiver slower than the sender loses nothing but time.
const SINK: usize = 512 << 20;

/// Serves an address until its driver is gone; prints its ports.
pub(super) fn run(address: IpAddr) -> Result<()> {
    end_with_stdin();
    let (tcp, crr) = (listener(address)?, listener(address)?);
    let echo = UdpSocket::bind((address, 0)).context("cannot listen over UDP")?;
    let sink = UdpSocket::bind((address, 0)).context("cannot listen over UDP")?;
    sockopt::set_socket_recv_buffer_size_force(&sink, SINK).context("cannot have a large buffer")?;
    println!(
        "{} {} {} {}",
        tcp.local_addr()?.port(),
        crr.local_addr()?.port(),
        echo.local_addr()?.port(),
        sink.local_addr()?.port()
    );
    let arrived = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&arrived);
    thread::spawn(move || swallow(&sink, &count));
    thread::spawn(move || answer(&echo));
    thread::spawn(move || requests(&crr));
    for connection in tcp.incoming() {
        let (connection, arrived) = (connection?, Arc::clone(&arrived));
        // A connection that breaks is for the client to tell.
        thread::spawn(move || serve(connection, &arrived));
    }
    Ok(())
}

fn serve(mut connection: TcpStream, arrived: &AtomicU64) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut byte = [0];
    connection.read_exact(&mut byte)?;
    match Purpose::read(byte[0]) {
        Some(Purpose::Stream) => stream(connection),
        Some(Purpose::Rr) => loop {
            connection.read_exact(&mut byte)?;
            connection.write_all(&byte)?;
        },
        Some(Purpose::Count) => loop {
            connection.read_exact(&mut byte)?;
            let counts = [arrived.load(Ordering::Relaxed), cpu_time()];
            connection.write_all(&counts.map(u64::to_be_bytes).concat())?;
        },
        None => Ok(()),
    }
}

fn stream(mut connection: TcpStream) -> io::Result<()> {
    let mut memory = Chunk::new();
    let chunk = memory.bytes();
    let mut filled = 0;
    loop {
        match connection.read(&mut chunk[filled..])? {
            0 => return Ok(()),
            length => filled += length,
        }
        if filled == CHUNK {
            filled = 0;
            if chunk[0] == 1 {
                connection.write_all(&[1])?;
            }
        }
    }
}

/// Connections one after another: a byte, an answer, and the client's end of it.
fn requests(listener: &TcpListener) {
    for mut connection in listener.incoming().flatten() {
        let mut byte = [0];
        // The client ends each by RST, which is an error here.
        let _ = connection
            .set_nodelay(true)
            .and_then(|()| connection.read_exact(&mut byte))
            .and_then(|()| connection.write_all(&byte))
            .and_then(|()| connection.read_exact(&mut byte));
    }
}

fn answer(socket: &UdpSocket) {
    let mut buffer = [0; 64];
    // An error is that of a datagram, as an ICMP message of an earlier one.
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn swallow(socket: &UdpSocket, arrived: &AtomicU64) {
    let mut buffer = [0; 2048];
    loop {
        if socket.recv(&mut buffer).is_ok() {
            arrived.fetch_add(1, Ordering::Relaxed);
        }
    }
}
