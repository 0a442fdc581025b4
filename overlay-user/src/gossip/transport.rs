//! The socket: what `session` takes and gives, over UDP.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chitchat::{
    ChitchatMessage, Deserializable as _, Serializable as _,
    transport::{Socket, Transport},
};
use rustix::{
    io::Errno,
    net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force},
};
use tokio::{net::UdpSocket, time::Instant};

use super::{
    counters::Counters,
    rtt::Rtts,
    seal::{self, Security},
    session::{Core, Received},
};

/// Bytes of datagrams that may wait to be taken: several of the longest messages at a time.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Carries the gossip, sealed.
#[derive(Clone, Debug)]
pub struct SealedTransport {
    security: Security,
    counters: Arc<Counters>,
    rtts: Rtts,
}

impl SealedTransport {
    /// A transport whose sockets seal like this and count there.
    pub fn new(security: Security, counters: Arc<Counters>) -> Self {
        Self { security, counters, rtts: Rtts::default() }
    }

    /// How long the way to each peer and back takes, by its address.
    pub fn rtts(&self) -> BTreeMap<SocketAddr, Duration> {
        self.rtts.all()
    }
}

#[async_trait]
impl Transport for SealedTransport {
    async fn open(&self, listen_addr: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = UdpSocket::bind(listen_addr).await?;
        // Above what anybody may have takes CAP_NET_ADMIN; less is no fault.
        if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            let _less = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        }
        Ok(Box::new(SealedSocket {
            core: Core::new(self.security.clone(), Arc::clone(&self.counters))?,
            socket,
            opened: Instant::now(),
            counters: Arc::clone(&self.counters),
            rtts: self.rtts.clone(),
            // One byte more shows what is too long.
            buffer: Box::new([0; seal::LONGEST + 1]),
        }))
    }
}

/// One opening of a socket.
struct SealedSocket {
    socket: UdpSocket,
    core: Core,
    opened: Instant,
    counters: Arc<Counters>,
    rtts: Rtts,
    buffer: Box<[u8; seal::LONGEST + 1]>,
}

#[async_trait]
impl Socket for SealedSocket {
    /// Never fails: what the host refuses to send is as good as lost on the way, and chitchat says it again.
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let bytes = message.serialize_to_vec();
        for datagram in self.core.send(self.opened.elapsed(), to, &bytes) {
            let sent = self.socket.send_to(&datagram, to).await;
            self.count(sent);
        }
        Ok(())
    }

    /// Nothing is kept across the wait, so that it may be cancelled there; each datagram is part of tokio's budget, so
    /// that others get their turn whatever comes.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        loop {
            let (length, from) = match self.socket.recv_from(&mut *self.buffer).await {
                Ok(datagram) => datagram,
                Err(error) if is_transient(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let Received { message, replies, rtt } =
                self.core.receive(self.opened.elapsed(), from, &mut self.buffer[..length]);
            for reply in replies {
                let sent = self.socket.try_send_to(&reply, from);
                self.count(sent);
            }
            if let Some(rtt) = rtt {
                self.rtts.add(from, rtt);
            }
            if let Some(message) = message.and_then(|message| self.read(&message)) {
                return Ok((from, message));
            }
        }
    }
}

impl SealedSocket {
    fn count(&self, sent: io::Result<usize>) {
        match sent {
            Ok(bytes) => self.counters.sent(bytes),
            Err(_) => self.counters.unsent(),
        }
    }

    fn read(&self, mut bytes: &[u8]) -> Option<ChitchatMessage> {
        let message = ChitchatMessage::deserialize(&mut bytes).ok();
        if message.is_none() {
            self.counters.unread();
        }
        message
    }
}

/// Whether a socket still works after such an error: it tells of what was sent, or of the host's state.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::Interrupted
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::OutOfMemory
            | ErrorKind::PermissionDenied
            | ErrorKind::WouldBlock
    ) || [Errno::NOBUFS, Errno::MSGSIZE, Errno::PROTO]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
