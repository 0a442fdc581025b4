//! Simulated nodes: the product's engine, without an agent.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use overlay_user::{
    gossip::{Key, KeyRing, SealedTransport, Security, SharedRing},
    source::gossip::{Gossip, Options},
};
use tokio::task::JoinSet;

/// The network of all endpoints.
pub(crate) const BLUE: &str = "blue";
/// Its subnet.
pub(crate) const SUBNET: &str = "10.64.0.0/12";
/// Where files are kept in memory: what a disk costs is not what is measured.
const MEMORY: &str = "/dev/shm";

/// A directory that goes with its owner.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let memory = Path::new(MEMORY);
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("overlay-nodes-{}-{name}", process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// What a simulated node is made of.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) vtep: IpAddr,
}

impl Plan {
    /// The node of a number, at an address of the loopback device's.
    pub(crate) fn on_loopback(number: usize) -> Self {
        let [high, low] = [number / 200, number % 200 + 1].map(|part| part as u8);
        Self {
            name: format!("n{number}"),
            address: (Ipv4Addr::new(127, 88, high, low), 7950).into(),
            vtep: Ipv4Addr::new(10, 88, high, low).into(),
        }
    }
}

/// Starts nodes all at once that share a key; the engines in the order of the plans.
pub(crate) async fn start(
    plans: Vec<Plan>,
    seeds: &[SocketAddr],
    key: &Key,
    dir: &Dir,
) -> Result<Vec<Gossip>> {
    let mut joining = JoinSet::new();
    for (number, plan) in plans.into_iter().enumerate() {
        let options = options(plan, seeds, key, &dir.0);
        joining.spawn(async move { (number, Gossip::join(options).await) });
    }
    let mut joined = joining.join_all().await;
    joined.sort_unstable_by_key(|(number, _)| *number);
    joined.into_iter().map(|(_, gossip)| Ok(gossip?)).collect()
}

fn options(plan: Plan, seeds: &[SocketAddr], key: &Key, dir: &Path) -> Options {
    let ring: SharedRing = KeyRing::unkept(key.clone()).into();
    let counters = Arc::default();
    let transport = SealedTransport::new(Security::Ring(ring.clone()), Arc::clone(&counters));
    Options {
        state_dir: dir.join(&plan.name),
        node: plan.name,
        vteps: vec![plan.vtep],
        address: plan.address,
        seeds: seeds.to_vec(),
        transport: Arc::new(transport.clone()),
        ring: Some(ring),
        counters,
        rtts: Arc::new(move || transport.rtts()),
    }
}
