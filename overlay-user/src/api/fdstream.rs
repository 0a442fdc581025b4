//! `FdStream`: a Unix connection that keeps the descriptors which come with its bytes, and does not live forever.

use super::{
    access::Caller,
    fds::recv_with_fds,
    places::{Busy, Place},
};
use std::{
    future::Future as _,
    io,
    os::fd::{AsFd as _, OwnedFd},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::UnixStream,
    time::Sleep,
};

/// The descriptors that a connection may bring: an rtnetlink socket and a namespace.
const MAX_FDS: usize = 2;

/// The descriptors that came over a connection, shared with the handler of its request.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedFds(Arc<Mutex<Vec<OwnedFd>>>);

impl ReceivedFds {
    /// Takes the descriptors that came so far.
    pub(super) fn take(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a handler may know of the connection that its request came over.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) caller: Caller,
    pub(super) fds: ReceivedFds,
    pub(super) busy: Busy,
}

/// A connection of a client.
pub(super) struct FdStream {
    stream: UnixStream,
    connection: Connection,
    /// When it fires, the connection ends: a stuck client must not keep its place.
    expiry: Pin<Box<Sleep>>,
    place: Place,
}

impl FdStream {
    pub(super) fn new(stream: UnixStream, caller: Caller, lifetime: Duration, place: Place) -> Self {
        let expiry = Box::pin(tokio::time::sleep(lifetime));
        let connection = Connection { caller, fds: ReceivedFds::default(), busy: place.busy() };
        Self { stream, connection, expiry, place }
    }

    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Ends the connection when its time is over, or its place another's.
    fn check_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.place.is_lost(cx) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.expiry.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for FdStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_end(cx)?;
        loop {
            ready!(this.stream.poll_read_ready(cx))?;
            let received = this.stream.try_io(Interest::READABLE, || {
                let mut fds = this.connection.fds.0.lock().unwrap_or_else(PoisonError::into_inner);
                recv_with_fds(this.stream.as_fd(), buf.initialize_unfilled(), &mut fds, MAX_FDS)
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for FdStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_end(cx)?;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
