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
    num::NonZeroI32,
    ops::ControlFlow,
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
            match read_reply(reply.payload) {
                ControlFlow::Continue(answer) => answers.push(answer),
                ControlFlow::Break(end) => return end.map(|()| answers),
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

/// Reads one reply: an answer, or how the answers end.
pub(super) fn read_reply<T>(reply: NetlinkPayload<T>) -> ControlFlow<Result<(), RtnlError>, T> {
    let ended = |code: Option<NonZeroI32>| match code {
        Some(code) => Err(RtnlError::Kernel(errno(code))),
        None => Ok(()),
    };
    if let NetlinkPayload::InnerMessage(answer) = reply {
        ControlFlow::Continue(answer)
    } else if let NetlinkPayload::Error(error) = reply {
        ControlFlow::Break(ended(error.code))
    } else if let NetlinkPayload::Done(done) = reply {
        // A dump that fails on its way ends so, too (`netlink_dump_done`).
        ControlFlow::Break(ended(NonZeroI32::new(done.code)))
    } else {
        // Overrun: an answer was lost.
        ControlFlow::Break(Err(RtnlError::Kernel(Errno::NOBUFS)))
    }
}

/// The error of a reply, which the kernel gives as a negative number. Others are none (`MAX_ERRNO`), and `Errno` panics
/// of them.
fn errno(code: NonZeroI32) -> Errno {
    match code.get() {
        code @ -4095..0 => Errno::from_raw_os_error(-code),
        _ => Errno::PROTO,
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

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::{DoneMessage, ErrorMessage};

    fn end(reply: NetlinkPayload<RouteNetlinkMessage>) -> Result<(), Option<Errno>> {
        match read_reply(reply) {
            ControlFlow::Break(end) => end.map_err(|error| error.errno()),
            ControlFlow::Continue(answer) => panic!("an answer: {answer:?}"),
        }
    }

    fn error(code: i32) -> Result<(), Option<Errno>> {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(code);
        end(NetlinkPayload::Error(error))
    }

    #[test]
    fn whatever_number_an_error_has_it_is_one() {
        assert_eq!(error(0), Ok(()), "an acknowledgement");
        assert_eq!(error(-19), Err(Some(Errno::NODEV)));
        assert_eq!(error(-4095).map_err(|errno| errno.map(Errno::raw_os_error)), Err(Some(4095)));
        for none in [i32::MIN, -65536, -4096, 19, i32::MAX] {
            assert_eq!(error(none), Err(Some(Errno::PROTO)), "{none}");
        }
    }

    #[test]
    fn a_dump_that_fails_on_its_way_is_no_whole_one() {
        let done = |code| {
            let mut done = DoneMessage::default();
            done.code = code;
            end(NetlinkPayload::Done(done))
        };
        assert_eq!(done(0), Ok(()));
        assert_eq!(done(-105), Err(Some(Errno::NOBUFS)));
    }
}
