//! `State::problems`: why this node is not as the cluster wants it.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, inner_mtu};
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
        problems.extend(self.unroutable());
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
        let own = self.own_node()?;
        let vtep = self.underlay()?.vtep;
        (own.vtep != vtep).then(|| Problem {
            code: "vtep_mismatch",
            message: format!(
                "the cluster says that this node's VTEP is {}, but its underlay address is {vtep}, so other nodes drop its frames",
                own.vtep
            ),
            fix: format!("write vtep = \"{vtep}\" in the [[node]], or choose the other address in overlay.toml"),
        })
    }

    fn unroutable(&self) -> Option<Problem> {
        let cluster = self.cluster()?;
        let underlay = self.underlay()?;
        let remote = self.remote_nodes(cluster, underlay.vtep);
        let nodes: Vec<String> = remote
            .filter(|node| !underlay.next_hops.contains_key(&node.vtep))
            .map(|node| format!("{} ({})", node.vtep, node.name))
            .collect();
        (!nodes.is_empty()).then(|| Problem {
            code: "vtep_unroutable",
            message: format!("there is no route to the VTEP {}, so frames for it are dropped", list(nodes)),
            fix: "add a route on this node, or correct the vtep in the [[node]]".to_owned(),
        })
    }

    fn mtu_too_large(&self, network: &Network) -> Option<Problem> {
        let underlay = self.underlay()?;
        let (wanted, most) = (network.mtu?, inner_mtu(underlay));
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
