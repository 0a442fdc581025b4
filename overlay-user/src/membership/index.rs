//! What the records that hold say, by network: a look-up need not go through all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::record::{Key, NetworkRecord, Record};
use crate::cluster::EndpointId;

/// So many endpoints are told one by one at most.
const MOST_TOUCHED: usize = 1024;

/// What of the cluster may be another since it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// Whether and where these endpoints hold.
    Endpoints(BTreeSet<EndpointId>),
    /// Anything.
    All,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Endpoints(BTreeSet::new())
    }
}

impl Touched {
    fn add(&mut self, id: &EndpointId) {
        if let Self::Endpoints(ids) = self
            && ids.insert(id.clone())
            && ids.len() > MOST_TOUCHED
        {
            *self = Self::All;
        }
    }
}

/// The records that hold, of all nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    networks: BTreeMap<String, OfNetwork>,
    endpoints: usize,
    version: u64,
    touched: Touched,
}

/// What is published of a network, and by whom. Nodes that are gone count, too.
#[derive(Clone, Debug, Default)]
pub(super) struct OfNetwork {
    /// Its record, by who publishes it.
    pub(super) records: BTreeMap<Arc<str>, NetworkRecord>,
    /// The nodes that publish an endpoint.
    pub(super) ids: BTreeMap<EndpointId, Vec<Arc<str>>>,
    /// The endpoints that have an address, and their nodes.
    pub(super) ips: HashMap<IpAddr, Vec<(Arc<str>, EndpointId)>>,
    /// The claims of a block: the count and the node.
    pub(super) blocks: BTreeMap<IpNet, Vec<(u64, Arc<str>)>>,
}

impl OfNetwork {
    /// The latest record.
    pub(super) fn latest(&self) -> Option<&NetworkRecord> {
        self.records.values().reduce(|held, record| if record.stamp > held.stamp { record } else { held })
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.ids.is_empty() && self.blocks.is_empty()
    }
}

impl Index {
    /// Every network that anything is published of.
    pub(super) fn networks(&self) -> impl Iterator<Item = (&str, &OfNetwork)> {
        self.networks.iter().map(|(name, network)| (name.as_str(), network))
    }

    /// What is published of a network.
    pub(super) fn network(&self, name: &str) -> Option<&OfNetwork> {
        self.networks.get(name)
    }

    /// How many endpoints are published.
    pub(super) fn endpoints(&self) -> usize {
        self.endpoints
    }

    /// A number that is the same for as long as what networks there are is.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// What may be another since this was last asked.
    pub(super) fn take_touched(&mut self) -> Touched {
        mem::take(&mut self.touched)
    }

    /// Everything may be another.
    pub(super) fn touch_all(&mut self) {
        self.touched = Touched::All;
    }

    /// A record of a node holds from now on.
    pub(super) fn add(&mut self, node: &Arc<str>, key: &Key, record: &Record) {
        match (key, record) {
            (Key::Network(name), Record::Network(record)) => {
                self.of(name).records.insert(Arc::clone(node), record.clone());
                self.version += 1;
                self.touched = Touched::All;
            }
            (Key::Endpoint(id), Record::Endpoint(record)) => {
                self.endpoints += 1;
                self.touched.add(id);
                let network = self.of(id.network());
                network.ids.entry(id.clone()).or_default().push(Arc::clone(node));
                for ip in &record.ips {
                    network.ips.entry(*ip).or_default().push((Arc::clone(node), id.clone()));
                }
            }
            (Key::Block(name, block), Record::Block(record)) => {
                let claims = self.of(name).blocks.entry(*block).or_default();
                claims.push((record.count, Arc::clone(node)));
            }
            // A node itself is found by its name.
            _ => {}
        }
    }

    /// A record of a node holds no more.
    pub(super) fn remove(&mut self, node: &Arc<str>, key: &Key, record: &Record) {
        let name = match key {
            Key::Node => return,
            Key::Network(name) | Key::Block(name, _) => name,
            Key::Endpoint(id) => id.network(),
        };
        let Some(network) = self.networks.get_mut(name) else { return };
        match (key, record) {
            (Key::Endpoint(id), Record::Endpoint(record)) => {
                self.endpoints -= 1;
                self.touched.add(id);
                retain(&mut network.ids, id, |holder| holder != node);
                for ip in &record.ips {
                    if let Some(holders) = network.ips.get_mut(ip) {
                        holders.retain(|(holder, other)| holder != node || other != id);
                        // What it had beaten may hold from now on.
                        for (_, other) in &*holders {
                            self.touched.add(other);
                        }
                        if holders.is_empty() {
                            network.ips.remove(ip);
                        }
                    }
                }
            }
            (Key::Block(_, block), _) => retain(&mut network.blocks, block, |(_, holder)| holder != node),
            _ => {
                network.records.remove(node);
                self.version += 1;
                self.touched = Touched::All;
            }
        }
        if network.is_empty() {
            self.networks.remove(name);
        }
    }

    fn of(&mut self, name: &str) -> &mut OfNetwork {
        self.networks.entry(name.to_owned()).or_default()
    }
}

/// Keeps some of what is under a key, and not the key where nothing is left.
fn retain<K: Ord, T>(map: &mut BTreeMap<K, Vec<T>>, key: &K, keep: impl Fn(&T) -> bool) {
    if let Some(held) = map.get_mut(key) {
        held.retain(keep);
        if held.is_empty() {
            map.remove(key);
        }
    }
}
