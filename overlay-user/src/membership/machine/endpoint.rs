//! Endpoints are added and deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use overlay_common::MacAddr;

use super::Machine;
use crate::{
    cluster::{EndpointId, derived_mac},
    membership::{
        liveness::Alive,
        record::{EndpointRecord, Key, Record},
        refusal::Refusal,
        resolve,
    },
};

/// The most endpoints of a node.
const MOST_ENDPOINTS: usize = 4096;

/// An endpoint to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name of its network.
    pub network: String,
    /// Its addresses; where there are none, one of each family of the network's is leased.
    pub ips: Vec<IpAddr>,
    /// Its MAC address; else it follows from the first address.
    pub mac: Option<MacAddr>,
    /// A name to choose it by.
    pub name: Option<String>,
}

/// What endpoints and gateways have of a network.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) ips: BTreeMap<IpAddr, (EndpointId, String)>,
    pub(super) ids: BTreeMap<EndpointId, String>,
    /// Addresses of endpoints and gateways.
    pub(super) unavailable: BTreeSet<IpAddr>,
    pub(super) reserved: Vec<IpNet>,
}

impl Machine {
    /// Adds an endpoint to this node.
    ///
    /// # Errors
    ///
    /// Where it cannot be; `Refusal::Settling` where it can be a little later.
    pub fn add_endpoint(&mut self, wanted: Wanted) -> Result<EndpointId, Refusal> {
        let view = self.view();
        let network = view.cluster.networks.get(&wanted.network);
        let network = network.ok_or_else(|| Refusal::NoNetwork(wanted.network.clone()))?;
        let endpoints = self.own().filter(|(key, _)| matches!(key, Key::Endpoint(_))).count();
        if endpoints >= MOST_ENDPOINTS {
            return Err(Refusal::TooManyEndpoints);
        }
        let taken = self.taken(&wanted.network);
        let ips = if wanted.ips.is_empty() {
            self.lease(&wanted.network, &network.subnets, &taken)?
        } else {
            for ip in &wanted.ips {
                network.check_address(*ip).map_err(Refusal::Address)?;
                if let Some((id, node)) = taken.ips.get(ip) {
                    return Err(Refusal::AddressTaken { ip: *ip, id: id.clone(), node: node.clone() });
                }
            }
            wanted.ips
        };
        let mac = wanted.mac.or_else(|| derived_mac(&ips)).unwrap_or(MacAddr::ZERO);
        let id = EndpointId::new(&wanted.network, mac);
        if let Some(node) = taken.ids.get(&id) {
            return Err(Refusal::MacTaken { mac, node: node.clone() });
        }
        let count = self.stamp().count;
        let record = EndpointRecord { count, vni: network.vni.get(), ips, name: wanted.name };
        self.publish(Key::Endpoint(id.clone()), Some(Record::Endpoint(record)));
        Ok(id)
    }

    /// Deletes an endpoint of this node.
    ///
    /// # Errors
    ///
    /// Where it is another's, or nobody's.
    pub fn delete_endpoint(&mut self, id: &EndpointId) -> Result<(), Refusal> {
        let key = Key::Endpoint(id.clone());
        if self.own().any(|(own, _)| *own == key) {
            self.publish(key, None);
            return Ok(());
        }
        match self.known.parts().find(|(_, part)| part.records().contains_key(&key)) {
            Some((node, _)) => Err(Refusal::ElsewhereEndpoint { id: id.clone(), node: node.to_owned() }),
            None => Err(Refusal::NoEndpoint(id.clone())),
        }
    }

    /// What is taken in a network, by nodes that are not gone.
    pub(super) fn taken(&self, network: &str) -> Taken {
        let mut taken = Taken::default();
        let latest = resolve::latest_networks(&self.known);
        let definition = latest.get(network).and_then(|record| record.network.as_ref());
        if let Some(definition) = definition {
            taken.unavailable.extend(&definition.gateways);
            taken.reserved.clone_from(&definition.reserved);
        }
        for (node, part) in self.known.parts().filter(|(node, _)| self.alive(node) < Alive::Gone) {
            for (key, record) in part.records() {
                if let (Key::Endpoint(id), Record::Endpoint(record)) = (key, record)
                    && id.network() == network
                {
                    taken.ids.insert(id.clone(), node.to_owned());
                    taken.ips.extend(record.ips.iter().map(|ip| (*ip, (id.clone(), node.to_owned()))));
                    taken.unavailable.extend(&record.ips);
                }
            }
        }
        taken
    }
}
