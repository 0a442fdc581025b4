//! `[[node]]`: the members of the cluster.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Node, NodeKind, address, name, unique::Unique};
use crate::{
    document::{DocumentError, Table, Value},
    vteps::Vteps,
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
    let mut claimed = Unique::new();
    let mut nodes = BTreeMap::new();
    for table in &tables {
        table.only(&["name", "vtep", "kind"])?;
        let name_value = table.required("name", "\"h1\"")?;
        let name = name::read(&name_value, true)?;
        names.claim(name.clone(), &name_value, quoted(&name), "node")?;
        let vtep_value = table.required("vtep", "\"10.88.0.1\"")?;
        let own = read_vteps(&vtep_value)?;
        for vtep in own.iter() {
            claimed.claim(vtep, &vtep_value, vtep, "node")?;
        }
        let kind = table.get("kind").map(|value| kind(&value)).transpose()?.unwrap_or_default();
        nodes.insert(name.clone(), Node { name, vteps: own, kind });
    }
    Ok(nodes)
}

/// Reads the addresses of a node on the underlay: one, or a list of one a family.
pub(crate) fn read_vteps(value: &Value<'_>) -> Result<Vteps, DocumentError> {
    if !value.is_array() {
        return read_vtep(value).map(Vteps::from);
    }
    let items = value.at_most(2, "addresses of a node")?;
    let addresses: Vec<IpAddr> = items.iter().map(read_vtep).collect::<Result<_, _>>()?;
    if let [first, second] = addresses.as_slice()
        && first.is_ipv4() == second.is_ipv4()
    {
        let family = if first.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(
            value.error(&format!("{first} and {second} are both {family}; give one address of each family"))
        );
    }
    Vteps::of(addresses)
        .ok_or_else(|| value.error("the list is empty; write the node's address on the underlay"))
}

fn read_vtep(value: &Value<'_>) -> Result<IpAddr, DocumentError> {
    let vtep = address::ip(value)?;
    if let Some(kind) = address::not_unicast(vtep) {
        return Err(
            value.error(&format!("{vtep} is {kind} address; give the node's address on the underlay"))
        );
    }
    Ok(vtep)
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
