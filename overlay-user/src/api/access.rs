//! Who may ask for what: everyone who can connect may read; what changes something is for administrators.

use super::{fdstream::Connection, server::Refusal};
use crate::words::quoted;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{collections::BTreeSet, fs, io, sync::Arc};
use tokio::net::UnixStream;

/// Where users have their names.
const PASSWD: &str = "/etc/passwd";
/// The uid that the kernel shows for every user of another user namespace (`DEFAULT_OVERFLOWUID`).
const OVERFLOW_UID: u32 = 65534;
/// The longest path that the log repeats.
const LOGGED_PATH: usize = 128;

/// The process that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) uid: u32,
    /// 0 for a process that the agent's pid namespace does not show.
    pid: i32,
}

impl Caller {
    /// Whoever called connect(2), by `SO_PEERCRED` (unix(7)). Not rustix's: its pid cannot be 0.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let peer = stream.peer_cred()?;
        Ok(Self { uid: peer.uid(), pid: peer.pid().unwrap_or_default() })
    }
}

/// The users that may change something: root, the agent's own, and those of `api.admins`.
#[derive(Clone, Debug)]
pub struct Admins(Arc<BTreeSet<u32>>);

/// Why `api.admins` is refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminsError {
    /// There is no such user.
    #[error("api.admins: user {} does not exist; create it with `useradd` or give a number", quoted(.0))]
    NoUser(String),
    /// The number is no user's.
    #[error("api.admins: {OVERFLOW_UID} stands for all users of other user namespaces; name one user")]
    Overflow,
    /// The names cannot be read.
    #[error("api.admins: cannot read {PASSWD}: {0}; give numbers instead of names")]
    Unreadable(io::Error),
}

impl Admins {
    /// Looks up the users of `api.admins`, by name or number, in `/etc/passwd`.
    pub fn resolve(users: &[String]) -> Result<Self, AdminsError> {
        let named = users.iter().any(|user| user.parse::<u32>().is_err());
        let passwd = if named { fs::read(PASSWD).map_err(AdminsError::Unreadable)? } else { Vec::new() };
        let listed = resolve_in(&String::from_utf8_lossy(&passwd), users)?;
        let own = [0, rustix::process::geteuid().as_raw()];
        Ok(Self(Arc::new(listed.into_iter().chain(own).collect())))
    }

    /// Nobody, not even root.
    #[cfg(test)]
    pub(super) fn nobody() -> Self {
        Self(Arc::new(BTreeSet::new()))
    }

    /// Whether this caller may change something.
    pub(super) fn allow(&self, caller: Caller) -> bool {
        self.0.contains(&caller.uid)
    }
}

/// Finds users in the text of `/etc/passwd`: `name:password:uid:...`.
pub(crate) fn resolve_in(passwd: &str, users: &[String]) -> Result<Vec<u32>, AdminsError> {
    let find = |name: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        })
    };
    let resolve = |user: &String| match user.parse().ok().or_else(|| find(user)) {
        Some(OVERFLOW_UID) => Err(AdminsError::Overflow),
        Some(uid) => Ok(uid),
        None => Err(AdminsError::NoUser(user.clone())),
    };
    users.iter().map(resolve).collect()
}

/// Lets through what only reads, and everything of an administrator; the log tells who asked for a change.
pub(super) async fn guard(
    State(admins): State<Admins>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let Caller { uid, pid } = connection.caller;
    let (verb, path) = (request.method(), request.uri().path());
    // RFC 9110 section 9.2.1: no route changes anything by these.
    if !matches!(*verb, Method::GET | Method::HEAD) {
        let path: String = path.chars().take(LOGGED_PATH).collect();
        if !admins.allow(connection.caller) {
            tracing::info!(uid, pid, %verb, path, "refused to a caller who is no administrator");
            return Refusal::forbidden(verb, uid).into_response();
        }
        tracing::info!(uid, pid, %verb, path, "an administrator asks");
    }
    let _busy = connection.busy.hold();
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(users: &[&str]) -> Vec<String> {
        users.iter().map(|user| (*user).to_owned()).collect()
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0::/:/bin/sh\nbroken\nann:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534:::\n";
        assert_eq!(resolve_in(passwd, &names(&["ann", "7", "root"])).expect("known"), [1000, 7, 0]);
        let error = |user| resolve_in(passwd, &names(&["ann", user])).expect_err(user).to_string();
        assert_eq!(
            error("an"),
            "api.admins: user \"an\" does not exist; create it with `useradd` or give a number"
        );
        assert!(error("broken").contains("does not exist"));
        for user in ["nobody", "65534"] {
            assert!(error(user).contains("all users of other user namespaces"), "{user}");
        }
    }

    #[test]
    fn root_and_the_agent_itself_always_may() {
        let admins = Admins::resolve(&names(&["4242"])).expect("a number");
        let may = |uid| admins.allow(Caller { uid, pid: 1 });
        assert!(may(0) && may(rustix::process::geteuid().as_raw()) && may(4242));
        assert!(!may(4243));
    }
}
