//! Endpoints are added and deleted.

use std::net::IpAddr;

use overlay_common::MacAddr;

use super::Machine;
use crate::{
    cluster::{EndpointId, derived_mac},
    membership::{
        liveness::Alive,
        record::{EndpointRecord, Key, MOST_IPS, Record},
        refusal::Refusal,
    },
};

/// The most endpoints of a node.
pub const MOST_ENDPOINTS: usize = 4096;

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

impl Machine {
    /// Adds an endpoint to this node.
    ///
    /// # Errors
    ///
    /// Where it cannot be; `Refusal::Settling` where it can be a little later.
    pub fn add_endpoint(&mut self, wanted: Wanted) -> Result<EndpointId, Refusal> {
        let network = self.networks().get(&wanted.network).cloned();
        let network = network.ok_or_else(|| Refusal::NoNetwork(wanted.network.clone()))?;
        let endpoints = self.own().filter(|(key, _)| matches!(key, Key::Endpoint(_))).count();
        if endpoints >= MOST_ENDPOINTS {
            return Err(Refusal::TooManyEndpoints);
        }
        if self.is_full() {
            return Err(Refusal::FullOfEndpoints(self.limits.endpoints));
        }
        let ips = if wanted.ips.is_empty() {
            self.lease(&network)?
        } else {
            if wanted.ips.len() > MOST_IPS {
                return Err(Refusal::TooManyAddresses(wanted.ips.len()));
            }
            for (place, ip) in wanted.ips.iter().enumerate() {
                network.check_address(*ip).map_err(Refusal::Address)?;
                if wanted.ips[..place].contains(ip) {
                    return Err(Refusal::Address(format!("{ip} is given twice; give it once")));
                }
                if let Some((node, id)) = self.has_ip(&network.name, *ip) {
                    return Err(Refusal::AddressTaken { ip: *ip, id: id.clone(), node: node.to_owned() });
                }
            }
            wanted.ips
        };
        let mac = wanted.mac.or_else(|| derived_mac(&ips)).unwrap_or(MacAddr::ZERO);
        if !mac.is_unicast() {
            return Err(Refusal::NoStation(mac));
        }
        let id = EndpointId::new(&wanted.network, mac);
        if let Some(node) = self.has_id(&id) {
            return Err(Refusal::MacTaken { mac, node: node.to_owned() });
        }
        let count = self.stamp()?.count;
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
        if self.publishes(&key) {
            self.publish(key, None);
            return Ok(());
        }
        let holders = self.known.index().network(id.network()).and_then(|network| network.ids.get(id));
        match holders.and_then(|holders| holders.first()) {
            Some(node) => Err(Refusal::ElsewhereEndpoint { id: id.clone(), node: node.to_string() }),
            None => Err(Refusal::NoEndpoint(id.clone())),
        }
    }

    /// Whether nodes that are not gone publish all the endpoints that there may be.
    fn is_full(&self) -> bool {
        let most = self.limits.endpoints;
        if self.known.index().endpoints() < most {
            return false;
        }
        let there = self.known.parts().filter(|(node, _)| self.alive(node) < Alive::Gone);
        let keys = there.flat_map(|(_, part)| part.records().keys());
        keys.filter(|key| matches!(key, Key::Endpoint(_))).count() >= most
    }

    /// The endpoint that has an address in a network, and its node, which is not gone.
    pub(super) fn has_ip(&self, network: &str, ip: IpAddr) -> Option<(&str, &EndpointId)> {
        let holders = self.known.index().network(network)?.ips.get(&ip)?;
        let held = holders.iter().find(|(node, _)| self.alive(node) < Alive::Gone);
        held.map(|(node, id)| (&**node, id))
    }

    /// The node, which is not gone, that publishes an endpoint.
    fn has_id(&self, id: &EndpointId) -> Option<&str> {
        let holders = self.known.index().network(id.network())?.ids.get(id)?;
        holders.iter().map(|node| &**node).find(|node| self.alive(node) < Alive::Gone)
    }

    /// An endpoint of a network on a node that is not gone.
    pub(super) fn any_endpoint(&self, network: &str) -> Option<(&EndpointId, &str)> {
        let mut ids = self.known.index().network(network)?.ids.keys();
        ids.find_map(|id| Some((id, self.has_id(id)?)))
    }
}
