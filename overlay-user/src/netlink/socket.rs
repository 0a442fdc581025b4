//! `Rtnl`: a connection to rtnetlink, in this namespace or through a socket that was made in another one.
//!
//! A netlink socket stays in the namespace it was made in, whoever holds it. That is how the agent configures
//! the container's end of a veth without ever entering the container's namespace.

use futures_util::{Stream, StreamExt as _};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{AsyncSocket as _, TokioSocket};
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, sockopt},
};
use std::{
    io,
    os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd},
    pin::Pin,
};
use tokio::task::JoinHandle;

/// A connection to rtnetlink; it ends when this is dropped.
#[derive(Debug)]
pub struct Rtnl {
    handle: rtnetlink::Handle,
    connection: JoinHandle<()>,
}

/// Why a netlink request failed.
#[derive(Debug, thiserror::Error)]
pub enum RtnlError {
    /// The kernel refused it.
    #[error("{0}")]
    Kernel(Errno),
    /// The socket could not be used.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// The connection ended before the answer came.
    #[error("the netlink socket was closed")]
    Closed,
}

impl RtnlError {
    /// What the kernel answered, if it did.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel(errno) => Some(*errno),
            Self::Socket(_) | Self::Closed => None,
        }
    }
}

/// What a request asks of the kernel beyond its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Read one object, or change one that exists.
    Plain,
    /// Read all objects.
    Dump,
    /// Make an object that must not exist yet.
    Create,
    /// Make an object, or overwrite it.
    Replace,
}

impl Verb {
    fn flags(self) -> u16 {
        let own = match self {
            Self::Plain => 0,
            Self::Dump => NLM_F_DUMP,
            Self::Create => NLM_F_CREATE | NLM_F_EXCL,
            Self::Replace => NLM_F_CREATE | NLM_F_REPLACE,
        };
        // Always acknowledged, so that a connection that died is not taken for a success.
        NLM_F_REQUEST | NLM_F_ACK | own
    }
}

impl Rtnl {
    /// Connects to the namespace that the calling thread is in.
    pub(crate) fn open() -> Result<Self, RtnlError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self::start(connection, handle))
    }

    /// Connects through a socket that another process or thread made in its own namespace.
    ///
    /// Needs a tokio runtime.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, RtnlError> {
        check_route_socket(&fd)?;
        // TokioSocket::from_raw_fd panics where this fails.
        rustix::io::ioctl_fionbio(&fd, true).map_err(io::Error::from)?;
        drain(&fd);
        // SAFETY: into_raw_fd gives up the only owner of an open descriptor, and it goes nowhere else.
        let socket = unsafe { TokioSocket::from_raw_fd(fd.into_raw_fd()) };
        let (connection, handle, _) = rtnetlink::from_socket(socket);
        Ok(Self::start(connection, handle))
    }

    fn start(
        mut connection: rtnetlink::proto::Connection<RouteNetlinkMessage>,
        handle: rtnetlink::Handle,
    ) -> Self {
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        Self { handle, connection: tokio::spawn(connection) }
    }

    /// Sends one message and returns the answers, once the kernel has said that it is done.
    pub(crate) async fn request(
        &self,
        message: RouteNetlinkMessage,
        verb: Verb,
    ) -> Result<Vec<RouteNetlinkMessage>, RtnlError> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = verb.flags();
        let mut replies = self.handle.clone().request(message).map_err(|_| RtnlError::Closed)?;
        let mut answers = Vec::new();
        while let Some(reply) = replies.next().await {
            if let NetlinkPayload::InnerMessage(answer) = reply.payload {
                answers.push(answer);
            } else if let NetlinkPayload::Error(error) = reply.payload {
                return match error.code {
                    Some(code) => Err(RtnlError::Kernel(Errno::from_raw_os_error(-code.get()))),
                    None => Ok(answers),
                };
            } else if let NetlinkPayload::Done(_) = reply.payload {
                return Ok(answers);
            } else {
                // Overrun: an answer was lost.
                return Err(RtnlError::Kernel(Errno::NOBUFS));
            }
        }
        Err(RtnlError::Closed)
    }
}

impl Drop for Rtnl {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Throws away answers that an earlier connection on the same socket asked for and did not wait for: the
/// numbers of requests start again with each connection.
fn drain(fd: &OwnedFd) {
    let mut discarded = [0; 16];
    while rustix::net::recv(fd, &mut discarded[..], RecvFlags::TRUNC | RecvFlags::DONTWAIT).is_ok() {}
}

/// Checks that `fd` is an rtnetlink socket.
pub(crate) fn check_route_socket(fd: &OwnedFd) -> Result<(), io::Error> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is not an rtnetlink socket");
    let netlink = sockopt::socket_domain(fd).map_err(|_| wrong())? == AddressFamily::NETLINK;
    // NETLINK_ROUTE is protocol 0, which reads as None.
    let route = sockopt::socket_protocol(fd).map_err(|_| wrong())?.is_none();
    if netlink && route { Ok(()) } else { Err(wrong()) }
}

/// The messages of a subscription.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Send>>;

/// Subscribes to what the kernel tells `groups`; the task reads the socket.
pub(crate) fn subscribe(
    groups: &[rtnetlink::MulticastGroup],
    receive_buffer: u32,
) -> Result<(Messages, JoinHandle<()>), RtnlError> {
    let (mut connection, _, messages) = rtnetlink::new_multicast_connection(groups)?;
    connection.socket_mut().socket_mut().set_rx_buf_sz(receive_buffer)?;
    Ok((Box::pin(messages.map(|(message, _)| message)), tokio::spawn(connection)))
}
