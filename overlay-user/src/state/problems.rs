//! `State::problems`: why this node is not as the cluster wants it.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::{
    cluster::Network,
    words::{list, nearest, quoted},
};

/// The smallest MTU with which a device speaks IPv6 (RFC 8200 section 5).
const LEAST_IPV6_MTU: u16 = 1280;

/// Something that is wrong and will not right itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem, in a word that does not change.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The remedy, in a sentence.
    pub fix: String,
}

impl State {
    /// What is wrong now.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.source_failed());
        problems.extend(self.not_in_cluster());
        problems.extend(self.wrong_vtep());
        problems.extend(self.no_family());
        problems.extend(self.unroutable());
        problems.extend(self.narrow_ways());
        problems.extend(self.networks().filter_map(|network| self.mtu_too_large(network)));
        problems.extend(self.networks().filter_map(|network| self.mtu_too_small(network)));
        problems.extend(self.networks().filter_map(not_built));
        problems.extend(self.not_encrypted());
        problems
    }

    fn source_failed(&self) -> Option<Problem> {
        let error = self.source_error()?;
        let kept = match self.cluster() {
            Some(_) => "the last good cluster stays in force until then",
            None => "until then there is no cluster",
        };
        Some(Problem {
            code: "source_failed",
            message: error.message.clone(),
            fix: format!("correct it, the change is noticed; {kept}"),
        })
    }

    fn not_in_cluster(&self) -> Option<Problem> {
        let cluster = self.cluster()?;
        if cluster.nodes.contains_key(&self.node_name) {
            return None;
        }
        let near = nearest(&self.node_name, cluster.nodes.keys().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!(" (did you mean {}?)", quoted(near)));
        Some(Problem {
            code: "node_unknown",
            message: format!(
                "no [[node]] of the cluster is named {}, as this node is",
                quoted(&self.node_name)
            ),
            fix: format!("add it to the cluster, or correct node.name in overlay.toml{hint}"),
        })
    }

    fn wrong_vtep(&self) -> Option<Problem> {
        let declared = self.own_node()?.vteps;
        let found = self.underlay()?.vteps;
        if let Some(undeclared) = found.iter().find(|vtep| !declared.contains(*vtep)) {
            return Some(Problem {
                code: "vtep_mismatch",
                message: format!(
                    "the cluster says that this node's VTEP is {declared}, but its underlay address is {found}, so other nodes drop its frames"
                ),
                fix: format!(
                    "write vtep = \"{undeclared}\" in the [[node]], or choose the other address in overlay.toml"
                ),
            });
        }
        let missing = declared.iter().find(|vtep| !found.contains(*vtep))?;
        Some(Problem {
            code: "vtep_missing",
            message: format!(
                "the cluster says that this node's VTEP is {declared}, but its underlay has no {missing}, so what is sent there is lost"
            ),
            fix: format!("add {missing} to the underlay device, or remove it from the vtep of the [[node]]"),
        })
    }

    fn no_family(&self) -> Option<Problem> {
        let (cluster, own) = (self.cluster()?, self.underlay()?.vteps);
        let nodes: Vec<String> = self
            .remote_nodes(cluster, own)
            .filter(|node| own.way_to(&node.vteps).is_none())
            .map(|node| format!("{} ({})", node.vteps, node.name))
            .collect();
        (!nodes.is_empty()).then(|| Problem {
            code: "vtep_family",
            message: format!(
                "{} and this node ({own}) have no address of one family, so frames between them are dropped",
                list(nodes)
            ),
            fix: "give a node an address of each family: vtep = [\"10.88.0.1\", \"fd88::1\"] in its [[node]]"
                .to_owned(),
        })
    }

    fn unroutable(&self) -> Option<Problem> {
        let cluster = self.cluster()?;
        let underlay = self.underlay()?;
        let remote = self.remote_nodes(cluster, underlay.vteps);
        let nodes: Vec<String> = remote
            .filter_map(|node| Some((node, underlay.vteps.way_to(&node.vteps)?)))
            .filter(|(_, vtep)| !underlay.next_hops.contains_key(vtep))
            .map(|(node, vtep)| format!("{vtep} ({})", node.name))
            .collect();
        (!nodes.is_empty()).then(|| Problem {
            code: "vtep_unroutable",
            message: format!("there is no route to the VTEP {}, so frames for it are dropped", list(nodes)),
            fix: "add a route on this node, or correct the vtep in the [[node]]".to_owned(),
        })
    }

    /// Ways that carry less than endpoints send.
    fn narrow_ways(&self) -> Option<Problem> {
        let (cluster, underlay) = (self.cluster()?, self.underlay()?);
        let sent = cluster.networks.keys().filter_map(|network| self.mtu(network)).max()?;
        let remote = self.remote_nodes(cluster, underlay.vteps);
        let narrow: Vec<_> = remote
            .filter_map(|node| {
                let vtep = underlay.vteps.way_to(&node.vteps)?;
                let most = underlay.next_hops.get(&vtep)?.inner_mtu;
                (most < sent).then(|| (most, format!("{vtep} ({})", node.name)))
            })
            .collect();
        let most = narrow.iter().map(|(most, _)| *most).min()?;
        Some(Problem {
            code: "vtep_mtu",
            message: format!(
                "the way to the VTEP {} carries packets of {most} bytes at most and endpoints send up to {sent}, so longer ones are dropped",
                list(narrow.into_iter().map(|(_, vtep)| vtep))
            ),
            fix: format!("raise the MTU of the route, or write mtu = {most} in the [[network]]"),
        })
    }

    fn mtu_too_large(&self, network: &Network) -> Option<Problem> {
        let underlay = self.underlay()?;
        let (wanted, most) = (network.mtu?, self.inner_mtu()?);
        (wanted > most).then(|| Problem {
            code: "mtu_too_large",
            message: format!(
                "network {} wants an MTU of {wanted}, but the underlay's MTU of {} allows {most}, which its endpoints get",
                quoted(&network.name),
                underlay.mtu
            ),
            fix: format!("raise the MTU of the underlay, or write mtu = {most} in the [[network]]"),
        })
    }

    fn mtu_too_small(&self, network: &Network) -> Option<Problem> {
        let mtu = self.mtu(&network.name)?;
        (network.has_ipv6() && mtu < LEAST_IPV6_MTU).then(|| Problem {
            code: "mtu_too_small",
            message: format!(
                "network {} has an MTU of {mtu} here, and IPv6 needs {LEAST_IPV6_MTU}, so its endpoints have no IPv6",
                quoted(&network.name)
            ),
            fix: "raise the MTU of the underlay, or remove the IPv6 subnet".to_owned(),
        })
    }

    fn not_encrypted(&self) -> Vec<Problem> {
        let mut nodes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for endpoint in self.cluster().iter().flat_map(|cluster| cluster.endpoints.values()) {
            nodes.entry(&endpoint.network).or_default().insert(&endpoint.node);
        }
        let across =
            |network: &Network| nodes.get(network.name.as_str()).is_some_and(|nodes| nodes.len() > 1);
        self.networks()
            .filter(|network| network.encrypted && across(network))
            .map(|network| Problem {
                code: "not_encrypted",
                message: format!(
                    "network {} is encrypted, which this version cannot do, so its frames between nodes are dropped",
                    quoted(&network.name)
                ),
                fix: "write encrypted = false in the [[network]], or keep its endpoints on one node".to_owned(),
            })
            .collect()
    }
}

/// What a network asks for and this version does not do. `internal` needs nothing: no network leads out.
fn not_built(network: &Network) -> Option<Problem> {
    let asked = [("flood", network.flood), ("host", network.host), ("egress", network.egress)];
    let keys: Vec<&str> = asked.iter().filter(|(_, asked)| *asked).map(|(key, _)| *key).collect();
    (!keys.is_empty()).then(|| Problem {
        code: "not_built",
        message: format!(
            "network {} asks for {}, which this version does not do",
            quoted(&network.name),
            keys.join(", ")
        ),
        fix: "remove it from the [[network]]".to_owned(),
    })
}
