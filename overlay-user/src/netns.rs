//! Network namespaces of containers: opened by path, and handed over as two descriptors.
//!
//! Who may enter a container's namespace (the command line, or `overlay netns-helper`) opens it and passes an
//! rtnetlink socket made in it; with that the agent works in the namespace without the right to enter it.

use crate::{
    api::fds::{recv_with_fds, send_with_fds},
    netlink::socket::{Rtnl, RtnlError, check_route_socket},
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};
use tokio::io::Interest;

/// The type of the file system that namespaces live in (`NSFS_MAGIC`).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// How long the helper may take.
const HELPER_TIMEOUT: Duration = Duration::from_secs(2);

/// A container's network namespace, and the means to configure it.
#[derive(Debug)]
pub struct NamespaceFds {
    rtnl: OwnedFd,
    netns: OwnedFd,
}

/// Why a network namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// Nothing is there.
    #[error("namespace {0:?} does not exist; create it with `ip netns add` or give /proc/PID/ns/net")]
    Missing(PathBuf),
    /// Something else is there.
    #[error("{0:?} is not a network namespace; give a path under /run/netns or /proc/PID/ns/net")]
    NotANamespace(PathBuf),
    /// It is the host's own.
    #[error("{0} is the host's own network namespace; an endpoint needs a namespace of its own")]
    Own(String),
    /// It may not be opened or entered.
    #[error("no permission to enter namespace {0:?}; run as root (CAP_SYS_ADMIN)")]
    Permission(PathBuf),
    /// Another failure.
    #[error("cannot open namespace {0:?}: {1}")]
    Failed(PathBuf, io::Error),
    /// The descriptors that came are not those of a namespace.
    #[error(
        "the request must carry an rtnetlink socket and a network namespace, in this order; use `overlay endpoint add`"
    )]
    BadFds,
    /// The helper failed.
    #[error("netns-helper: {0}")]
    Helper(String),
}

impl NamespaceFds {
    /// Takes descriptors that another process sent, after a check that they are what they must be.
    pub fn from_received(fds: Vec<OwnedFd>) -> Result<Self, NetnsError> {
        let [rtnl, netns] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| NetnsError::BadFds)?;
        check_route_socket(&rtnl).map_err(|_| NetnsError::BadFds)?;
        if !is_network_namespace(&netns) {
            return Err(NetnsError::BadFds);
        }
        if is_own(&netns) {
            return Err(NetnsError::Own("the namespace sent".to_owned()));
        }
        Ok(Self { rtnl, netns })
    }

    /// The namespace itself.
    pub fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    /// The rtnetlink socket in it.
    pub(crate) fn rtnl(&self) -> BorrowedFd<'_> {
        self.rtnl.as_fd()
    }

    /// Both descriptors, in the order in which they are sent.
    pub fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.rtnl.as_fd(), self.netns.as_fd()]
    }

    /// Connects to the network configuration of the namespace. One connection at a time.
    pub(crate) fn connect(&self) -> Result<Rtnl, RtnlError> {
        Rtnl::from_fd(self.rtnl.try_clone()?)
    }
}

/// Opens the network namespace at `path`, and an rtnetlink socket in it.
pub fn open(path: &Path) -> Result<NamespaceFds, NetnsError> {
    let netns = open_path(path)?;
    if is_own(&netns) {
        return Err(NetnsError::Own(path.display().to_string()));
    }
    // A namespace is a thread's; this thread ends in there, and the process stays where it is.
    let worker = thread::Builder::new().name("netns".into()).spawn(move || -> Result<_, Errno> {
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        let rtnl = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            // NETLINK_ROUTE is the protocol 0.
            None,
        )?;
        Ok(NamespaceFds { rtnl, netns })
    });
    let worker = worker.map_err(|error| NetnsError::Failed(path.into(), error))?;
    match worker.join() {
        Ok(Ok(fds)) => Ok(fds),
        Ok(Err(Errno::PERM)) => Err(NetnsError::Permission(path.into())),
        // A namespace of another kind.
        Ok(Err(Errno::INVAL)) => Err(NetnsError::NotANamespace(path.into())),
        Ok(Err(errno)) => Err(NetnsError::Failed(path.into(), errno.into())),
        Err(_) => Err(NetnsError::Failed(path.into(), io::Error::other("the thread panicked"))),
    }
}

fn open_path(path: &Path) -> Result<OwnedFd, NetnsError> {
    // NONBLOCK: whatever is at the path must not hold us up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::SRCH => NetnsError::Missing(path.into()),
        Errno::ACCESS | Errno::PERM => NetnsError::Permission(path.into()),
        errno => NetnsError::Failed(path.into(), errno.into()),
    })?;
    if is_network_namespace(&fd) { Ok(fd) } else { Err(NetnsError::NotANamespace(path.into())) }
}

/// Whether `fd` is an open network namespace.
fn is_network_namespace(fd: &OwnedFd) -> bool {
    use std::os::fd::AsRawFd as _;
    let nsfs = rustix::fs::fstatfs(fd).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(NSFS_MAGIC));
    let name = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    // A bind mount shows the path it is mounted at, so that the name tells only where it names a namespace.
    nsfs && name.is_ok_and(|name| {
        let name = name.to_string_lossy();
        name.starts_with("net:") || name.starts_with('/')
    })
}

/// Whether `fd` is the namespace that the calling thread is in.
fn is_own(fd: &OwnedFd) -> bool {
    let own = rustix::fs::stat("/proc/thread-self/ns/net");
    match (own, rustix::fs::fstat(fd)) {
        (Ok(own), Ok(other)) => (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// What `overlay netns-helper PATH` does: opens the namespace and sends its descriptors over the Unix socket
/// that is its standard input; on an error it sends the error's text.
pub fn helper(path: &Path) -> Result<(), NetnsError> {
    let failed = |error: io::Error| NetnsError::Helper(format!("cannot send the namespace: {error}"));
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    match open(path) {
        Ok(fds) => send_with_fds(&socket, b"\n", &fds.as_fds()).map_err(failed),
        Err(error) => {
            send_with_fds(&socket, error.to_string().as_bytes(), &[]).map_err(failed)?;
            Err(error)
        }
    }
}

/// Opens a namespace again by way of a helper process: entering it takes `CAP_SYS_ADMIN`, which the agent itself
/// need not use.
pub async fn reopen_via_helper(path: &Path) -> Result<NamespaceFds, NetnsError> {
    let failed = |error: io::Error| NetnsError::Helper(error.to_string());
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut helper = tokio::process::Command::new("/proc/self/exe");
    helper.arg0("overlay").arg("netns-helper").arg(path).stdin(Stdio::from(OwnedFd::from(theirs)));
    helper.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = helper.spawn().map_err(failed)?;
    // The command keeps our copy of the helper's end; without it, the helper's death closes the socket.
    drop(helper);
    let received = tokio::time::timeout(HELPER_TIMEOUT, receive(ours)).await;
    let (text, fds) = match received {
        Ok(received) => received.map_err(failed)?,
        Err(_) => return Err(NetnsError::Helper(format!("no answer within {HELPER_TIMEOUT:?}"))),
    };
    // It has nothing left to do; waiting keeps it from staying as a zombie.
    let _ended = tokio::time::timeout(HELPER_TIMEOUT, child.wait()).await;
    if fds.is_empty() {
        let text = if text.is_empty() { "it ended without an answer".to_owned() } else { text };
        return Err(NetnsError::Helper(text));
    }
    NamespaceFds::from_received(fds)
}

async fn receive(socket: UnixStream) -> io::Result<(String, Vec<OwnedFd>)> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(socket)?;
    let mut text = vec![0; 4096];
    let mut fds = Vec::new();
    let read = socket.async_io(Interest::READABLE, || recv_with_fds(&socket, &mut text, &mut fds, 2)).await?;
    text.truncate(read);
    Ok((String::from_utf8_lossy(&text).trim().to_owned(), fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_named() {
        let missing = open(Path::new("/run/netns/no-such-namespace"));
        assert!(matches!(missing, Err(NetnsError::Missing(_))));
        assert!(matches!(open(Path::new("/dev/null")), Err(NetnsError::NotANamespace(_))));
        assert!(matches!(open(Path::new("/proc/self/ns/mnt")), Err(NetnsError::NotANamespace(_))));
    }

    #[test]
    fn the_hosts_own_namespace_is_refused() {
        let error = open(Path::new("/proc/self/ns/net")).expect_err("it is our own");
        assert!(matches!(error, NetnsError::Own(_)), "{error}");
    }

    #[test]
    fn descriptors_of_another_kind_are_refused() {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").expect("/dev/null"));
        for count in 0..4 {
            let fds = (0..count).map(|_| null()).collect();
            assert!(matches!(NamespaceFds::from_received(fds), Err(NetnsError::BadFds)));
        }
    }
}
