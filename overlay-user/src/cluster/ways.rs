//! Over which families the nodes send to each other.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Cluster, NodeKind};
use crate::vteps::Vteps;

/// Nodes that choose and are chosen alike.
struct Kind {
    vteps: Vteps,
    external: bool,
    nodes: usize,
}

impl Cluster {
    /// Addresses that nodes send to, one at least of each family that is used.
    ///
    /// The same on every node of the cluster. In a cluster of one node it is that node's own.
    pub fn ways(&self) -> Vec<IpAddr> {
        let mut kinds: BTreeMap<_, Kind> = BTreeMap::new();
        for node in self.nodes.values() {
            let (vteps, external) = (node.vteps, node.kind == NodeKind::External);
            let key = (vteps.first().is_ipv4(), vteps.besides(vteps.first()).is_some(), external);
            kinds.entry(key).or_insert(Kind { vteps, external, nodes: 0 }).nodes += 1;
        }
        let alone = self.nodes.len() == 1;
        let mut ways = Vec::new();
        for (from_key, from) in &kinds {
            for (to_key, to) in &kinds {
                let two = from_key != to_key || from.nodes > 1 || alone;
                if two && !(from.external && to.external) {
                    ways.extend(from.vteps.way_to(&to.vteps));
                }
            }
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Cluster;

    /// The families that are used among nodes with these addresses, in the form of cluster.toml.
    fn used(nodes: &[&str]) -> String {
        let nodes = nodes.iter().enumerate();
        let blocks = nodes.map(|(number, vtep)| format!("[[node]]\nname = \"h{number}\"\n{vtep}\n"));
        let text: String = blocks.collect();
        let ways = Cluster::parse(&text).expect("valid").ways();
        let has = |v4| ways.iter().any(|way| way.is_ipv4() == v4);
        [(true, "4"), (false, "6")].into_iter().filter(|(v4, _)| has(*v4)).map(|(_, name)| name).collect()
    }

    #[test]
    fn a_family_is_used_where_two_nodes_choose_it() {
        let (four, other_four) = ("vtep = \"10.0.0.1\"", "vtep = \"10.0.0.2\"");
        let (six, both) = ("vtep = \"fd00::1\"", "vtep = [\"10.0.0.3\", \"fd00::3\"]");
        let both_again = "vtep = [\"10.0.0.4\", \"fd00::4\"]";
        let six_first = "vtep = [\"fd00::5\", \"10.0.0.5\"]";
        for (nodes, expected) in [
            (&[four][..], "4"),
            (&[six], "6"),
            (&[four, other_four], "4"),
            (&[four, six], ""),
            (&[four, both], "4"),
            (&[six, both], "6"),
            (&[both, both_again], "4"),
            (&[four, six, both], "46"),
            (&[four, six_first], "4"),
            (&[both, six_first], "46"),
        ] {
            assert_eq!(used(nodes), expected, "{nodes:?}");
        }
        let external = format!("{six}\nkind = \"external\"");
        let other_external = "vtep = \"fd00::9\"\nkind = \"external\"";
        assert_eq!(used(&[four, other_four, &external, other_external]), "4", "they are not ours");
        assert_eq!(used(&[both, &external]), "6");
    }
}
