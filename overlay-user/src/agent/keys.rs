//! The keys of the gossip: installed on every node, then used on every node, then the old one removed.

use std::collections::BTreeSet;

use crate::{
    api::{
        server::{Answer, Refusal},
        types::{KeyInfo, KeyInstall, KeyInstalled},
    },
    gossip::{JoinToken, Key, KeyId, MOST_SEEDS, RingError, SharedRing},
    membership::{liveness::Alive, record::NodeRecord},
    source::gossip::{Gossip, Peer},
    words::list as words,
};

/// All keys of this node, and which nodes have them.
pub(super) async fn list(gossip: &Gossip) -> Answer<Vec<KeyInfo>> {
    let peers = gossip.peers().await;
    let own = ids(ring(gossip)?);
    let info = |(place, id): (usize, String)| {
        let (nodes, missing) = present(&peers).partition(|peer| peer.record.keys.contains(&id));
        let names = |peers: Vec<&Peer>| peers.into_iter().map(|peer| peer.name.clone()).collect();
        KeyInfo { in_use: place == 0, nodes: names(nodes), missing: names(missing), id }
    };
    Ok(own.into_iter().enumerate().map(info).collect())
}

/// Installs a key.
pub(super) async fn install(gossip: &Gossip, install: KeyInstall) -> Answer<KeyInstalled> {
    let ring = ring(gossip)?;
    let key = match install.token {
        Some(token) => {
            let token: JoinToken =
                token.parse().map_err(|error| Refusal::invalid(format!("KEY: {error}")))?;
            token.key().clone()
        }
        None => Key::generate().map_err(|error| Refusal::failed(format!("no key can be made: {error}")))?,
    };
    let id = key.id();
    let token = JoinToken::new(key.clone(), gossip.seeds().iter().copied().take(MOST_SEEDS).collect());
    let token = token.map_err(|error| Refusal::conflict(error.to_string()))?;
    ring.install(key).map_err(refusal)?;
    tell(gossip, ring).await;
    Ok(KeyInstalled { id: id.to_string(), token: token.to_string() })
}

/// Seals with a key from now on; every node that is there must have it.
pub(super) async fn use_key(gossip: &Gossip, id: &str) -> Answer<Vec<KeyInfo>> {
    let key = read(id)?;
    let peers = gossip.peers().await;
    let missing: BTreeSet<&str> = present(&peers)
        .filter(|peer| !peer.record.keys.iter().any(|key| key == id))
        .map(|peer| peer.name.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::conflict(format!(
            "key {id} is not on {}; install it there first: overlay cluster key install",
            words(missing)
        )));
    }
    let ring = ring(gossip)?;
    ring.use_key(key).map_err(refusal)?;
    tell(gossip, ring).await;
    list(gossip).await
}

/// Removes a key; no node that may come back may seal with it.
pub(super) async fn remove(gossip: &Gossip, id: &str) -> Answer<()> {
    let key = read(id)?;
    let peers = gossip.peers().await;
    let users: BTreeSet<&str> = peers
        .iter()
        .filter(|peer| peer.alive < Alive::Gone && peer.record.keys.first().is_some_and(|first| first == id))
        .map(|peer| peer.name.as_str())
        .collect();
    if !users.is_empty() {
        return Err(Refusal::conflict(format!(
            "key {id} is what {} seals with; use another there first: overlay cluster key use",
            words(users)
        )));
    }
    let ring = ring(gossip)?;
    ring.remove(key).map_err(refusal)?;
    tell(gossip, ring).await;
    Ok(())
}

/// The nodes that are there.
fn present(peers: &[Peer]) -> impl Iterator<Item = &Peer> {
    peers.iter().filter(|peer| peer.alive.is_visible())
}

fn ring(gossip: &Gossip) -> Answer<&SharedRing> {
    let none =
        || Refusal::conflict("this node gossips in clear, without keys; set cluster.gossip.insecure = false");
    gossip.ring().ok_or_else(none)
}

/// The identifiers of a ring's keys, that in use first.
pub(super) fn ids(ring: &SharedRing) -> Vec<String> {
    ring.list().iter().map(|listed| listed.id.to_string()).collect()
}

fn read(id: &str) -> Answer<KeyId> {
    id.parse().map_err(|error| Refusal::invalid(format!("{error}")))
}

/// Tells the others what keys this node has.
async fn tell(gossip: &Gossip, ring: &SharedRing) {
    let keys = ids(ring);
    gossip.set_node(|node| NodeRecord { keys, ..node }).await;
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn refusal(error: RingError) -> Refusal {
    Refusal::conflict(error.to_string())
}
