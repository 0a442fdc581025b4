//! What a host keeps of the cluster that it has joined: the key ring of the gossip, and where to ask first.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    files,
    gossip::{JoinToken, Key, KeyRing, RingError, TokenError},
};

/// The file of the key ring.
const RING: &str = "keyring.json";
/// The file of the seeds.
const SEEDS: &str = "join.json";
/// An address outside of every network (RFC 5737), to ask which of our own the default route takes.
const ELSEWHERE: &str = "192.0.2.1:9";

/// Why a host cannot make or join a cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinedError {
    /// It has a key ring already.
    #[error(
        "this host is of a cluster already ({}); print its token by `overlay cluster token`, or leave it by `overlay uninstall`",
        path.display()
    )]
    Already {
        /// The ring.
        path: PathBuf,
    },
    /// It is of another cluster.
    #[error(
        "this host is of another cluster: {} has not the token's key; leave that one by `overlay uninstall`, or start without --join",
        path.display()
    )]
    Another {
        /// The ring.
        path: PathBuf,
    },
    /// It is of no cluster.
    #[error(
        "this host is of no cluster; make one by `overlay cluster init`, or join one by `overlay agent --join TOKEN`"
    )]
    None,
    /// The ring cannot be used.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// No token can be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A file cannot be used.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The kernel gave no key.
    #[error("no key can be made: {0}")]
    Key(io::Error),
    /// Nothing tells where others reach this host.
    #[error(
        "no default route tells where others reach this host; say it: overlay cluster init --seed ADDRESS"
    )]
    NoAddress,
    /// There is no way to a seed.
    #[error("there is no route to {seed}, which the token names; mend the network of this host first")]
    NoRoute {
        /// The seed.
        seed: SocketAddr,
    },
}

#[derive(Serialize, Deserialize)]
struct Seeds {
    seeds: Vec<SocketAddr>,
}

/// The path of the key ring.
pub fn ring_path(state_dir: &Path) -> PathBuf {
    state_dir.join(RING)
}

/// Makes a cluster: a key ring with a new key, and this host as its seed.
pub fn init(state_dir: &Path, seed: SocketAddr) -> Result<JoinToken, JoinedError> {
    let path = ring_path(state_dir);
    if path.exists() {
        return Err(JoinedError::Already { path });
    }
    let key = Key::generate().map_err(JoinedError::Key)?;
    let token = JoinToken::new(key.clone(), vec![seed])?;
    match KeyRing::create(&path, key) {
        Ok(_) => {}
        Err(RingError::Exists { path }) => return Err(JoinedError::Already { path }),
        Err(error) => return Err(error.into()),
    }
    if let Err(error) = keep_seeds(state_dir, &[seed]) {
        // Without its seeds it is no cluster's.
        let _gone = fs::remove_file(&path);
        return Err(error);
    }
    Ok(token)
}

/// Joins the cluster of a token; one that the host is of already is left as it is, but for the seeds.
pub fn accept(state_dir: &Path, token: &JoinToken) -> Result<(), JoinedError> {
    let path = ring_path(state_dir);
    if path.exists() {
        let ring = KeyRing::open(&path)?;
        if ring.key(token.key().id()) != Some(token.key()) {
            return Err(JoinedError::Another { path });
        }
    } else {
        KeyRing::create(&path, token.key().clone())?;
    }
    keep_seeds(state_dir, token.seeds())
}

/// The token of the cluster that the host is of.
pub fn token(state_dir: &Path) -> Result<JoinToken, JoinedError> {
    let path = ring_path(state_dir);
    if !path.exists() {
        return Err(JoinedError::None);
    }
    let key = KeyRing::open(&path)?.in_use().cloned().ok_or(JoinedError::None)?;
    Ok(JoinToken::new(key, seeds(state_dir)?)?)
}

/// The seeds that are kept; none where the host has joined no cluster by a token.
pub fn seeds(state_dir: &Path) -> Result<Vec<SocketAddr>, JoinedError> {
    let path = state_dir.join(SEEDS);
    let of = |error| JoinedError::File { path: path.clone(), error };
    match fs::read(&path) {
        Ok(text) => {
            let seeds: Seeds = serde_json::from_slice(&text).map_err(|error| of(error.into()))?;
            Ok(seeds.seeds)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(of(error)),
    }
}

fn keep_seeds(state_dir: &Path, seeds: &[SocketAddr]) -> Result<(), JoinedError> {
    let path = state_dir.join(SEEDS);
    let of = |error| JoinedError::File { path: path.clone(), error };
    let text = serde_json::to_vec(&Seeds { seeds: seeds.to_vec() }).map_err(|error| of(error.into()))?;
    files::replace(&path, &text).map_err(of)
}

/// The address of this host by which it reaches the first seed that there is a way to.
pub fn own_address(seeds: &[SocketAddr]) -> Result<IpAddr, JoinedError> {
    let found = seeds.iter().find_map(|seed| source_to(*seed));
    match (found, seeds.first()) {
        (Some(ip), _) => Ok(ip),
        (None, Some(seed)) => Err(JoinedError::NoRoute { seed: *seed }),
        (None, None) => Err(JoinedError::None),
    }
}

/// The address of this host that its default route takes.
pub fn default_address() -> Result<IpAddr, JoinedError> {
    let elsewhere = ELSEWHERE.parse().ok().and_then(source_to);
    elsewhere.ok_or(JoinedError::NoAddress)
}

/// The address that the kernel would send from. Connecting a UDP socket sends nothing.
fn source_to(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_cluster_is_made_once_and_its_token_joined_again_and_again() {
        let (one, two) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        assert!(matches!(token(one.path()), Err(JoinedError::None)));
        let made = init(one.path(), seed("10.88.0.1:7950")).expect("made");
        assert!(matches!(init(one.path(), seed("10.88.0.1:7950")), Err(JoinedError::Already { .. })));
        assert_eq!(token(one.path()).expect("kept").to_string(), made.to_string());
        accept(two.path(), &made).expect("joined");
        accept(two.path(), &made).expect("again");
        assert_eq!(seeds(two.path()).expect("kept"), [seed("10.88.0.1:7950")]);
        let other = tempfile::tempdir().expect("a directory");
        let other = init(other.path(), seed("10.88.0.9:7950")).expect("made");
        assert!(matches!(accept(two.path(), &other), Err(JoinedError::Another { .. })));
        assert_eq!(token(two.path()).expect("kept").to_string(), made.to_string(), "as it was");
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        assert_eq!(own_address(&[seed("127.0.0.1:7950")]).expect("a way").to_string(), "127.0.0.1");
        assert!(matches!(own_address(&[]), Err(JoinedError::None)));
    }
}
