//! Packet sockets: frames as they are, put on a wire and taken off it.
//!
//! No crate has a safe way to bind one to a device, hence `unsafe`.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
    sockopt::set_socket_recv_buffer_size_force,
};

/// Room for the frames of a batch, with what the kernel keeps beside each.
const BUFFER: usize = 64 << 20;
/// Longest frame that is taken whole.
pub(crate) const LONGEST: usize = 9216;

/// A packet socket at a device.
pub(crate) struct Wire(OwnedFd);

impl Wire {
    /// A socket that sends from the device of this index, past its queue, and takes nothing in.
    pub(crate) fn sender(ifindex: u32) -> Result<Self> {
        let wire = Self::open(ifindex, 0)?;
        wire.set(libc::PACKET_QDISC_BYPASS)?;
        Ok(wire)
    }

    /// A socket that takes in what comes in at the device of this index, or with 0 at every one of the namespace.
    pub(crate) fn receiver(ifindex: u32) -> Result<Self> {
        let wire = Self::open(ifindex, libc::ETH_P_ALL as u16)?;
        wire.set(libc::PACKET_IGNORE_OUTGOING)?;
        set_socket_recv_buffer_size_force(&wire.0, BUFFER).context("cannot set the size of the buffer")?;
        Ok(wire)
    }

    fn open(ifindex: u32, protocol: u16) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .context("cannot make a packet socket: root is needed")?;
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: ifindex as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is live and as long as is said.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
        if bound != 0 {
            return Err(io::Error::last_os_error()).context("cannot bind a packet socket");
        }
        Ok(Self(fd))
    }

    /// Switches an option of packet sockets on.
    fn set(&self, option: libc::c_int) -> Result<()> {
        let on: libc::c_int = 1;
        let length = size_of_val(&on) as libc::socklen_t;
        let fd = self.0.as_raw_fd();
        // SAFETY: the value is live and as long as is said.
        let set = unsafe { libc::setsockopt(fd, libc::SOL_PACKET, option, (&raw const on).cast(), length) };
        if set != 0 {
            return Err(io::Error::last_os_error()).context("cannot set an option of a packet socket");
        }
        Ok(())
    }

    /// Sends a frame. When this returns, the kernel has done with it what it will, but on a very busy machine.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        send(self.0.as_fd(), frame, SendFlags::empty())
            .with_context(|| format!("cannot send a frame of {} bytes", frame.len()))?;
        Ok(())
    }

    /// Takes a frame in, if there is one.
    pub(crate) fn receive<'a>(&self, room: &'a mut [u8; LONGEST]) -> Result<Option<&'a [u8]>> {
        match recv(self.0.as_fd(), &mut room[..], RecvFlags::empty()) {
            Ok((_, length)) => Ok(Some(&room[..length])),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).context("cannot receive"),
        }
    }
}
