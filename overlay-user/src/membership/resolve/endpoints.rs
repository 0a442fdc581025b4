//! Which endpoints hold: of all, or of those that a change may have made another.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use super::{AliveOf, Refused, View, Why, hold};
use crate::{
    cluster::{Endpoint, EndpointId, Network},
    membership::{
        known::Known,
        limits::Limits,
        record::{EndpointRecord, Key, Record},
    },
};

/// Resolves all endpoints, in a view that has its networks.
pub(super) fn all(known: &Known, alive: AliveOf<'_>, limits: Limits, view: &mut View) {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    // What is hidden claims nothing: it may be somebody else's by now, and if not, comes back as it was.
    for (node, part) in known.parts().filter(|(node, _)| alive(node).is_visible()) {
        claims.extend(part.records().iter().filter_map(|(key, record)| match (key, record) {
            (Key::Endpoint(id), Record::Endpoint(record)) => Some(Claim { node, id, record }),
            _ => None,
        }));
    }
    claims.sort_unstable_by_key(Claim::order);
    let networks = &view.cluster.networks;
    let reasons = hold(&claims, limits.endpoints, |taken: &mut Taken<'_>, claim| taken.take(claim, networks));
    let mut endpoints = Vec::with_capacity(claims.len());
    for (claim, why) in claims.iter().zip(reasons) {
        match why {
            None => endpoints.push((claim.id.clone(), claim.endpoint())),
            Some(why) => view.refused.push(claim.refused(why)),
        }
    }
    view.cluster.endpoints = endpoints.into_iter().collect();
}

/// What holds of some endpoints.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// The endpoints, and those that hold as they do.
    pub(crate) endpoints: BTreeMap<EndpointId, Option<Endpoint>>,
    /// What of them does not hold.
    pub(crate) refused: Vec<Refused>,
}

/// Resolves some endpoints, and all that conflict with them, which conflict with nothing else: so they come to the same
/// as among all. That the cluster may be full is not looked at.
pub(crate) fn around(
    known: &Known,
    alive: AliveOf<'_>,
    networks: &BTreeMap<String, Network>,
    ids: BTreeSet<EndpointId>,
) -> Holding {
    let mut ids: Vec<EndpointId> = ids.into_iter().collect();
    let (mut seen, mut claims) = (ids.iter().cloned().collect::<BTreeSet<_>>(), Vec::new());
    while let Some(id) = ids.pop() {
        for claim in claims_of(known, alive, &id) {
            for (_, other) in claim.rivals(known) {
                if seen.insert(other.clone()) {
                    ids.push(other.clone());
                }
            }
            claims.push(claim);
        }
    }
    claims.sort_unstable_by_key(Claim::order);
    let mut holding = Holding { endpoints: seen.into_iter().map(|id| (id, None)).collect(), refused: vec![] };
    let mut taken = Taken::default();
    for claim in &claims {
        match taken.take(claim, networks) {
            Ok(()) => _ = holding.endpoints.insert(claim.id.clone(), Some(claim.endpoint())),
            Err(why) => holding.refused.push(claim.refused(why)),
        }
    }
    holding
}

/// What visible nodes publish of an endpoint.
fn claims_of<'k>(known: &'k Known, alive: AliveOf<'_>, id: &EndpointId) -> Vec<Claim<'k>> {
    let holders = known.index().network(id.network()).and_then(|network| network.ids.get_key_value(id));
    let Some((id, nodes)) = holders else { return Vec::new() };
    let key = Key::Endpoint(id.clone());
    let visible = nodes.iter().filter(|node| alive(node).is_visible());
    let claim = |node: &'k Arc<str>| match known.part(node)?.records().get(&key)? {
        Record::Endpoint(record) => Some(Claim { node, id, record }),
        Record::Node(_) | Record::Network(_) | Record::Block(_) => None,
    };
    visible.filter_map(claim).collect()
}

/// An endpoint that a node publishes.
struct Claim<'k> {
    node: &'k str,
    id: &'k EndpointId,
    record: &'k EndpointRecord,
}

impl<'k> Claim<'k> {
    /// The latest first.
    fn order(&self) -> (Reverse<u64>, &'k str, &'k EndpointId) {
        (Reverse(self.record.count), self.node, self.id)
    }

    /// What is published of its addresses, itself among it.
    fn rivals(&self, known: &'k Known) -> impl Iterator<Item = &'k (Arc<str>, EndpointId)> {
        let network = known.index().network(self.id.network());
        self.record.ips.iter().filter_map(move |ip| network?.ips.get(ip)).flatten()
    }

    fn refused(&self, why: Why) -> Refused {
        Refused { node: self.node.to_owned(), key: Key::Endpoint(self.id.clone()), why }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            network: self.id.network().to_owned(),
            node: self.node.to_owned(),
            ips: self.record.ips.clone(),
            mac: self.id.mac(),
            name: self.record.name.clone(),
            allowed_ips: Vec::new(),
            allowed_macs: Vec::new(),
            allow_ra: false,
            allow_dhcp_server: false,
        }
    }
}

/// What endpoints that hold have.
#[derive(Default)]
struct Taken<'k> {
    ips: HashMap<(&'k str, IpAddr), &'k EndpointId>,
    /// By identity, which is the network and the MAC address.
    macs: HashMap<&'k EndpointId, &'k str>,
}

impl<'k> Taken<'k> {
    /// Takes what a claim asks for, where all of it can be and nobody has any of it yet.
    fn take(&mut self, claim: &Claim<'k>, networks: &BTreeMap<String, Network>) -> Result<(), Why> {
        let (name, record) = (claim.id.network(), claim.record);
        let network = networks.get(name).filter(|network| network.vni.get() == record.vni);
        let network = network.ok_or(Why::NoNetwork)?;
        for (place, ip) in record.ips.iter().enumerate() {
            if network.check_address(*ip).is_err() || record.ips[..place].contains(ip) {
                return Err(Why::Outside(*ip));
            }
            if let Some(holder) = self.ips.get(&(name, *ip)) {
                return Err(Why::Address(*ip, EndpointId::clone(holder)));
            }
        }
        if let Some(holder) = self.macs.get(claim.id) {
            return Err(Why::Mac((*holder).to_owned()));
        }
        self.macs.insert(claim.id, claim.node);
        self.ips.extend(record.ips.iter().map(|ip| ((name, *ip), claim.id)));
        Ok(())
    }
}
