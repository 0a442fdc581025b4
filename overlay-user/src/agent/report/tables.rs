//! The tables as the kernel holds them.

use std::net::IpAddr;

use overlay_common::{MacAddr, Vni};

use super::{name_of, network_name, refusal};
use crate::{
    agent::core::Agent,
    api::{
        server::Answer,
        types::{FdbRow, NeighRow, PortRow, Row, Table, VtepRow},
    },
    datapath::Datapath as _,
    tables::{Fdb, Station, Tables},
};

/// A table as the kernel holds it now.
pub(in crate::agent) fn dump(agent: &mut Agent, table: Table) -> Answer<Vec<Row>> {
    let tables = agent.reconciler.datapath.read().map_err(refusal)?;
    Ok(match table {
        Table::Fdb => fdb(agent, &tables).into_iter().map(Row::Fdb).collect(),
        Table::Neigh => neigh(agent, &tables).into_iter().map(Row::Neigh).collect(),
        Table::Vteps => vteps(agent, &tables).into_iter().map(Row::Vtep).collect(),
        Table::Ports => ports(agent, &tables).into_iter().map(Row::Port).collect(),
        // Nothing is replicated, so the kernel holds no such table.
        Table::Flood => Vec::new(),
    })
}

fn fdb(agent: &Agent, tables: &Tables) -> Vec<FdbRow> {
    let row = |(vni, mac): &(Vni, MacAddr), station: &Station| {
        let (to, vtep, ifname) = match &station.at {
            Fdb::Local { ifindex, .. } => ("local", None, Some(name_of(*ifindex))),
            Fdb::Remote { vtep, .. } => ("remote", Some(vtep.to_string()), None),
        };
        let mac = mac.to_string();
        FdbRow { network: network_name(agent, *vni), vni: vni.get(), mac, to: to.into(), vtep, ifname }
    };
    tables.fdb.iter().map(|(key, station)| row(key, station)).collect()
}

fn neigh(agent: &Agent, tables: &Tables) -> Vec<NeighRow> {
    let told = tables
        .fdb
        .iter()
        .flat_map(|((vni, mac), station)| station.answers.ips(*mac).map(move |ip| ((*vni, ip), *mac)));
    let mut answers = tables.neigh.clone();
    answers.extend(told);
    let rows = answers.into_iter();
    rows.map(|((vni, ip), mac)| NeighRow {
        network: network_name(agent, vni),
        vni: vni.get(),
        ip: ip.to_string(),
        mac: mac.to_string(),
    })
    .collect()
}

fn vteps(agent: &Agent, tables: &Tables) -> Vec<VtepRow> {
    let rows = tables.vteps.iter();
    rows.map(|(addr, vtep)| VtepRow {
        vtep: addr.to_string(),
        node: node_name(agent, *addr),
        next_hop: vtep.next_hop.as_ref().map(|hop| hop.via.to_string()),
        mac: vtep.next_hop.as_ref().and_then(|hop| hop.mac).map(|mac| mac.to_string()),
        mtu: vtep.next_hop.as_ref().map(|hop| hop.inner_mtu),
        device: vtep.next_hop.as_ref().map(|hop| name_of(hop.ifindex)),
        networks: tables
            .members
            .iter()
            .filter(|(_, member)| member == addr)
            .map(|(vni, _)| network_name(agent, *vni).unwrap_or_else(|| vni.to_string()))
            .collect(),
    })
    .collect()
}

fn ports(agent: &Agent, tables: &Tables) -> Vec<PortRow> {
    let rows = tables.ports.iter();
    rows.map(|(ifindex, port)| PortRow {
        ifname: name_of(*ifindex),
        ifindex: ifindex.0,
        network: network_name(agent, port.vni),
        vni: port.vni.get(),
        macs: port.macs.iter().map(ToString::to_string).collect(),
        allowed: port.allowed.iter().map(ToString::to_string).collect(),
    })
    .collect()
}

fn node_name(agent: &Agent, vtep: IpAddr) -> Option<String> {
    agent.state.cluster()?.nodes.values().find(|node| node.vteps.contains(vtep)).map(|node| node.name.clone())
}
