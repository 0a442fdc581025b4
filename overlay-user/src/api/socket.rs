//! The agent's socket: one agent per run directory, and only those who may can connect.

use super::socket_path;
use crate::dir_lock::{self, pid_text};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt as _, PermissionsExt as _},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;

/// The socket that the agent listens on; it is removed when this is dropped.
#[derive(Debug)]
pub struct ApiSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Locked while the agent lives, so that two that start at once do not take the socket from each other.
    _run_dir: OwnedFd,
}

/// Why the agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another agent has the run directory.
    #[error("an agent is already running{}; stop it first, or use another --run-dir", pid_text(*.pid))]
    AlreadyRunning {
        /// Its process, if it answers.
        pid: Option<u32>,
    },
    /// The socket's path is taken by something else.
    #[error("{0:?} exists and is not a socket; remove it, or use another --run-dir")]
    NotASocket(PathBuf),
    /// The group does not exist.
    #[error("api.group: group {0:?} does not exist; create it with `groupadd` or give a number")]
    NoGroup(String),
    /// The path is too long for a Unix socket.
    #[error("{0:?} is too long for a Unix socket (107 bytes at most); use a shorter --run-dir")]
    PathTooLong(PathBuf),
    /// The run directory takes no file.
    #[error("cannot write to {path:?}: {error}; make it writable, or use another --run-dir")]
    NotWritable {
        /// The run directory.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Another failure.
    #[error("cannot {doing} {path:?}: {error}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

impl ApiSocket {
    /// Listens on the socket of `run_dir`, which is made if missing. `group` may connect, beside root.
    ///
    /// A socket that a dead agent left is replaced; that of a living one is not. Needs a tokio runtime.
    pub fn bind(run_dir: &Path, group: Option<&str>) -> Result<Self, BindError> {
        let gid = group.map(resolve_group).transpose()?;
        fs::create_dir_all(run_dir).map_err(failed("create", run_dir))?;
        let path = socket_path(run_dir);
        let lock = lock(run_dir)?;
        check_stale(&path)?;
        // Under a name that nobody knows until owner and mode are right.
        let hidden = run_dir.join(format!(".sock.{}", std::process::id()));
        if let Err(error) = fs::remove_file(&hidden)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(BindError::NotWritable { path: run_dir.into(), error });
        }
        let listener = UnixListener::bind(&hidden).map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidInput {
                BindError::PathTooLong(hidden.clone())
            } else {
                failed("listen on", &hidden)(error)
            }
        })?;
        let published = std::os::unix::fs::chown(&hidden, None, gid)
            .map_err(failed("set the group of", &path))
            .and_then(|()| {
                fs::set_permissions(&hidden, fs::Permissions::from_mode(0o660))
                    .map_err(failed("set the mode of", &path))
            })
            .and_then(|()| fs::rename(&hidden, &path).map_err(failed("create", &path)));
        if let Err(error) = published {
            remove(&hidden)?;
            return Err(error);
        }
        Ok(Self { listener, path, _run_dir: lock })
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "the socket is left behind");
        }
    }
}

fn lock(run_dir: &Path) -> Result<OwnedFd, BindError> {
    let held = dir_lock::lock(run_dir).map_err(failed("lock", run_dir))?;
    held.ok_or_else(|| BindError::AlreadyRunning { pid: dir_lock::holder(run_dir) })
}

/// Checks that what is at `path`, if anything, is a socket that nobody listens on.
fn check_stale(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(BindError::NotASocket(path.into())),
        // Who has the lock is alone; who listens without it is no agent of this version.
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(BindError::AlreadyRunning { pid: None }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(failed("connect to", path)(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn remove(path: &Path) -> Result<(), BindError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |error| BindError::Failed { doing, path, error }
}

/// The number of a group, given by number or by its name in `/etc/group`.
fn resolve_group(group: &str) -> Result<u32, BindError> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let path = Path::new("/etc/group");
    let groups = fs::read_to_string(path).map_err(failed("read", path))?;
    group_in(&groups, group).ok_or_else(|| BindError::NoGroup(group.to_owned()))
}

/// Finds a group in the text of `/etc/group`: `name:password:number:members`.
pub(crate) fn group_in(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn groups_are_found_by_name() {
        let groups = "root:x:0:\nbroken\noverlay:x:977:ann,bob\n";
        assert_eq!(group_in(groups, "overlay"), Some(977));
        assert_eq!(group_in(groups, "over"), None);
        assert_eq!(group_in(groups, "broken"), None);
    }

    #[tokio::test]
    async fn only_one_agent_listens() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = ApiSocket::bind(dir.path(), None).expect("it is free");
        let error = ApiSocket::bind(dir.path(), None).expect_err("it is taken");
        assert_eq!(
            error.to_string(),
            format!(
                "an agent is already running, pid {}; stop it first, or use another --run-dir",
                std::process::id()
            )
        );
        let mode = fs::metadata(socket_path(dir.path())).expect("the socket").mode();
        assert_eq!(mode & 0o777, 0o660);
        drop(first);
        assert!(!socket_path(dir.path()).exists());
        ApiSocket::bind(dir.path(), None).expect("it is free again");
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_agent_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(std::os::unix::net::UnixListener::bind(socket_path(dir.path())).expect("a socket"));
        assert!(socket_path(dir.path()).exists());
        ApiSocket::bind(dir.path(), None).expect("nobody listens");
    }

    #[tokio::test]
    async fn what_is_not_ours_is_not_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(socket_path(dir.path()), "precious").expect("a file");
        assert!(matches!(ApiSocket::bind(dir.path(), None), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(socket_path(dir.path())).expect("the file"), "precious");
    }

    #[tokio::test]
    async fn an_unknown_group_and_a_long_path_are_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let group = ApiSocket::bind(dir.path(), Some("no-such-group"));
        assert!(matches!(group, Err(BindError::NoGroup(_))));
        let long = dir.path().join("x".repeat(120));
        assert!(matches!(ApiSocket::bind(&long, None), Err(BindError::PathTooLong(_))));
    }
}
