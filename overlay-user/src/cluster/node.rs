//! `[[node]]`: the members of the cluster.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Node, NodeKind, address, name, unique::Unique};
use crate::{
    document::{DocumentError, Table, Value},
    words::{quoted, suggestion},
};

/// The most nodes a cluster may have.
const MOST_NODES: usize = 4096;

/// Reads every `[[node]]`.
pub(super) fn read_all(root: &Table<'_>) -> Result<BTreeMap<String, Node>, DocumentError> {
    let tables = root.tables("node")?;
    // A file that an editor has truncated must not mean that all nodes are gone.
    if tables.is_empty() {
        return Err(root.error("there is no node; add a [[node]] for each host"));
    }
    if let Some(extra) = tables.get(MOST_NODES) {
        return Err(extra.error(&format!("there are more than {MOST_NODES} nodes; remove some")));
    }
    let mut names = Unique::new();
    let mut vteps = Unique::new();
    let mut nodes = BTreeMap::new();
    for table in &tables {
        table.only(&["name", "vtep", "kind"])?;
        let name_value = table.required("name", "\"h1\"")?;
        let name = name::read(&name_value, true)?;
        names.claim(name.clone(), &name_value, quoted(&name), "node")?;
        let vtep_value = table.required("vtep", "\"10.88.0.1\"")?;
        let vtep = address::ip(&vtep_value)?;
        check_vtep(vtep).map_err(|message| vtep_value.error(&message))?;
        vteps.claim(vtep, &vtep_value, vtep, "node")?;
        let kind = table.get("kind").map(|value| kind(&value)).transpose()?.unwrap_or_default();
        nodes.insert(name.clone(), Node { name, vtep, kind });
    }
    Ok(nodes)
}

/// Checks that a node can have the address on the underlay; the error is what is wrong and the remedy.
pub(crate) fn check_vtep(vtep: IpAddr) -> Result<(), String> {
    if let Some(kind) = address::not_unicast(vtep) {
        return Err(format!("{vtep} is {kind} address; give the node's address on the underlay"));
    }
    check_family(vtep)
}

/// Refuses what this version's underlay does not carry.
fn check_family(vtep: IpAddr) -> Result<(), String> {
    if vtep.is_ipv6() {
        return Err(format!(
            "{vtep} is an IPv6 address, and this version's underlay is IPv4; give an IPv4 address"
        ));
    }
    Ok(())
}

fn kind(value: &Value<'_>) -> Result<NodeKind, DocumentError> {
    match value.string()? {
        "agent" => Ok(NodeKind::Agent),
        "external" => Ok(NodeKind::External),
        other => {
            let remedy = suggestion(other, ["agent", "external"], "kinds");
            Err(value.error(&format!("unknown kind {}; {remedy}", quoted(other))))
        }
    }
}
