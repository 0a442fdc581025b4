//! From the tables the kernel holds to those it should hold: `diff`, in an order that is safe at every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use overlay_common::{MacAddr, Vni};

use crate::{
    tables::{Hook, Ifindex, Net, NodeEntry, Port, Station, Tables, Vtep},
    words::list,
};

#[cfg(test)]
mod tests;

/// One step; each is one entry of one map, or one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets this node.
    SetNode(NodeEntry),
    /// Adds or changes a network.
    SetNet(Vni, Net),
    /// Removes a network.
    DelNet(Vni),
    /// Adds or changes a VTEP.
    SetVtep(IpAddr, Vtep),
    /// Removes a VTEP.
    DelVtep(IpAddr),
    /// Lets a VTEP send into a network.
    AddMember(Vni, IpAddr),
    /// Stops a VTEP from sending into a network.
    DelMember(Vni, IpAddr),
    /// Adds or changes an answer to ARP or a neighbour solicitation.
    SetNeigh(Vni, IpAddr, MacAddr),
    /// Removes an answer.
    DelNeigh(Vni, IpAddr),
    /// Adds, changes or moves a MAC address.
    SetFdb(Vni, MacAddr, Station),
    /// Removes a MAC address.
    DelFdb(Vni, MacAddr),
    /// Adds or changes a port.
    SetPort(Ifindex, Port),
    /// Removes a port.
    DelPort(Ifindex),
    /// Attaches a program.
    Attach(Hook),
    /// Detaches a program.
    Detach(Hook),
}

/// The steps that make `installed` equal to `desired`; none when it is.
///
/// What others refer to is set before them and removed after them, so that at no step an entry refers to a
/// network or a VTEP that is not there; and a program is attached to a device after its port is set. What
/// moves is overwritten, never removed in between. This node's own entry is changed but never removed.
pub fn diff(desired: &Tables, installed: &Tables) -> Vec<Op> {
    let mut ops = Vec::new();
    sets(desired, installed, &mut ops);
    removals(desired, installed, &mut ops);
    ops
}

fn sets(desired: &Tables, installed: &Tables, ops: &mut Vec<Op>) {
    if desired.node != installed.node {
        ops.extend(desired.node.clone().map(Op::SetNode));
    }
    ops.extend(changed(&desired.nets, &installed.nets).map(|(vni, net)| Op::SetNet(*vni, net.clone())));
    ops.extend(changed(&desired.vteps, &installed.vteps).map(|(ip, vtep)| Op::SetVtep(*ip, vtep.clone())));
    ops.extend(added(&desired.members, &installed.members).map(|(vni, vtep)| Op::AddMember(*vni, *vtep)));
    let neigh = changed(&desired.neigh, &installed.neigh);
    ops.extend(neigh.map(|((vni, ip), mac)| Op::SetNeigh(*vni, *ip, *mac)));
    let fdb = changed(&desired.fdb, &installed.fdb);
    ops.extend(fdb.map(|((vni, mac), place)| Op::SetFdb(*vni, *mac, place.clone())));
    let ports = changed(&desired.ports, &installed.ports);
    ops.extend(ports.map(|(ifindex, port)| Op::SetPort(*ifindex, port.clone())));
    ops.extend(added(&desired.hooks, &installed.hooks).map(|hook| Op::Attach(*hook)));
}

fn removals(desired: &Tables, installed: &Tables, ops: &mut Vec<Op>) {
    ops.extend(added(&installed.hooks, &desired.hooks).map(|hook| Op::Detach(*hook)));
    ops.extend(removed(&desired.ports, &installed.ports).map(|ifindex| Op::DelPort(*ifindex)));
    ops.extend(removed(&desired.fdb, &installed.fdb).map(|(vni, mac)| Op::DelFdb(*vni, *mac)));
    ops.extend(removed(&desired.neigh, &installed.neigh).map(|(vni, ip)| Op::DelNeigh(*vni, *ip)));
    ops.extend(added(&installed.members, &desired.members).map(|(vni, vtep)| Op::DelMember(*vni, *vtep)));
    ops.extend(removed(&desired.vteps, &installed.vteps).map(|vtep| Op::DelVtep(*vtep)));
    ops.extend(removed(&desired.nets, &installed.nets).map(|vni| Op::DelNet(*vni)));
}

/// The entries of `desired` that `installed` has not, or not so.
fn changed<'t, K: Ord, V: PartialEq>(
    desired: &'t BTreeMap<K, V>,
    installed: &'t BTreeMap<K, V>,
) -> impl Iterator<Item = (&'t K, &'t V)> {
    desired.iter().filter(|(key, value)| installed.get(key) != Some(*value))
}

/// The keys of `installed` that `desired` has not.
fn removed<'t, K: Ord, V>(
    desired: &'t BTreeMap<K, V>,
    installed: &'t BTreeMap<K, V>,
) -> impl Iterator<Item = &'t K> {
    installed.keys().filter(|key| !desired.contains_key(key))
}

/// What `these` has and `those` has not.
fn added<'t, T: Ord>(these: &'t BTreeSet<T>, those: &'t BTreeSet<T>) -> impl Iterator<Item = &'t T> {
    these.difference(those)
}

impl Op {
    /// The table that the step is about, in a word that does not change.
    pub const fn table(&self) -> &'static str {
        match self {
            Self::SetNode(_) => "config",
            Self::SetNet(..) | Self::DelNet(_) => "nets",
            Self::SetVtep(..) | Self::DelVtep(_) => "vteps",
            Self::AddMember(..) | Self::DelMember(..) => "members",
            Self::SetNeigh(..) | Self::DelNeigh(..) => "neigh",
            Self::SetFdb(..) | Self::DelFdb(..) => "fdb",
            Self::SetPort(..) | Self::DelPort(_) => "ports",
            Self::Attach(_) | Self::Detach(_) => "link",
        }
    }

    /// Whether the step removes its entry.
    pub const fn removes(&self) -> bool {
        match self {
            Self::DelNet(_)
            | Self::DelVtep(_)
            | Self::DelMember(..)
            | Self::DelNeigh(..)
            | Self::DelFdb(..)
            | Self::DelPort(_)
            | Self::Detach(_) => true,
            Self::SetNode(_)
            | Self::SetNet(..)
            | Self::SetVtep(..)
            | Self::AddMember(..)
            | Self::SetNeigh(..)
            | Self::SetFdb(..)
            | Self::SetPort(..)
            | Self::Attach(_) => false,
        }
    }

    /// Whether the tables hold an entry where the step's is, whatever it says.
    pub fn is_in(&self, tables: &Tables) -> bool {
        match self {
            Self::SetNode(_) => tables.node.is_some(),
            Self::SetNet(vni, _) | Self::DelNet(vni) => tables.nets.contains_key(vni),
            Self::SetVtep(ip, _) | Self::DelVtep(ip) => tables.vteps.contains_key(ip),
            Self::AddMember(vni, ip) | Self::DelMember(vni, ip) => tables.members.contains(&(*vni, *ip)),
            Self::SetNeigh(vni, ip, _) | Self::DelNeigh(vni, ip) => tables.neigh.contains_key(&(*vni, *ip)),
            Self::SetFdb(vni, mac, _) | Self::DelFdb(vni, mac) => tables.fdb.contains_key(&(*vni, *mac)),
            Self::SetPort(ifindex, _) | Self::DelPort(ifindex) => tables.ports.contains_key(ifindex),
            Self::Attach(hook) | Self::Detach(hook) => tables.hooks.contains(hook),
        }
    }

    /// Carries the step out on tables in memory.
    pub fn apply_to(&self, tables: &mut Tables) {
        match self.clone() {
            Self::SetNode(node) => tables.node = Some(node),
            Self::SetNet(vni, net) => drop(tables.nets.insert(vni, net)),
            Self::DelNet(vni) => drop(tables.nets.remove(&vni)),
            Self::SetVtep(ip, vtep) => drop(tables.vteps.insert(ip, vtep)),
            Self::DelVtep(ip) => drop(tables.vteps.remove(&ip)),
            Self::AddMember(vni, vtep) => _ = tables.members.insert((vni, vtep)),
            Self::DelMember(vni, vtep) => _ = tables.members.remove(&(vni, vtep)),
            Self::SetNeigh(vni, ip, mac) => _ = tables.neigh.insert((vni, ip), mac),
            Self::DelNeigh(vni, ip) => _ = tables.neigh.remove(&(vni, ip)),
            Self::SetFdb(vni, mac, place) => drop(tables.fdb.insert((vni, mac), place)),
            Self::DelFdb(vni, mac) => drop(tables.fdb.remove(&(vni, mac))),
            Self::SetPort(ifindex, port) => drop(tables.ports.insert(ifindex, port)),
            Self::DelPort(ifindex) => drop(tables.ports.remove(&ifindex)),
            Self::Attach(hook) => _ = tables.hooks.insert(hook),
            Self::Detach(hook) => _ = tables.hooks.remove(&hook),
        }
    }
}

/// Names the step's entry: `VNI 42 02:42:0a:01:00:01`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetNode(node) => {
                let own = [node.vtep_v4.map(IpAddr::from), node.vtep_v6.map(IpAddr::from)];
                write!(f, "node {}", list(own.into_iter().flatten()))
            }
            Self::SetNet(vni, _) | Self::DelNet(vni) => write!(f, "VNI {vni}"),
            Self::SetVtep(ip, _) | Self::DelVtep(ip) => write!(f, "{ip}"),
            Self::AddMember(vni, ip)
            | Self::DelMember(vni, ip)
            | Self::SetNeigh(vni, ip, _)
            | Self::DelNeigh(vni, ip) => write!(f, "VNI {vni} {ip}"),
            Self::SetFdb(vni, mac, _) | Self::DelFdb(vni, mac) => write!(f, "VNI {vni} {mac}"),
            Self::SetPort(ifindex, _) | Self::DelPort(ifindex) => write!(f, "device #{ifindex}"),
            Self::Attach(hook) | Self::Detach(hook) => {
                write!(f, "{} at device #{}", hook.program.name(), hook.ifindex)
            }
        }
    }
}
