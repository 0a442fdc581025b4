//! What each command prints.

use super::{
    args::{Format, Output},
    table::{fields, plain, table},
    time,
};
use crate::api::types::{
    Change, ChangeKind, DropInfo, EndpointInfo, EndpointState, FdbRow, IpamFault, IpamInfo, KeyInfo,
    NeighRow, NetworkInfo, NodeInfo, NodeState, PortRow, VtepRow,
};
use anyhow::Context as _;
use serde::Serialize;

/// Renders `value` as JSON, or by `screen` for people.
pub(super) fn render<T: Serialize>(
    output: Output,
    value: &T,
    screen: impl FnOnce(&T) -> String,
) -> anyhow::Result<String> {
    match output.format {
        Format::Json => Ok(serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n"),
        Format::Table => Ok(screen(value)),
    }
}

/// What a deletion prints: nothing for people, an object for programs.
pub(super) fn deleted(output: Output, name: &str) -> anyhow::Result<String> {
    render(output, &serde_json::json!({ "deleted": name }), |_| String::new())
}

pub(super) fn networks(networks: &[NetworkInfo]) -> String {
    let rows = networks.iter().map(|network| {
        [
            network.name.clone(),
            network.vni.to_string(),
            network.subnets.join(","),
            text(network.mtu.as_ref()),
            yes(network.encrypted),
        ]
    });
    table(["NAME", "VNI", "SUBNETS", "MTU", "ENCRYPTED"], rows, "no networks")
}

pub(super) fn network(network: &NetworkInfo) -> String {
    fields([
        ("name", network.name.clone()),
        ("vni", network.vni.to_string()),
        ("subnets", network.subnets.join("\n")),
        ("gateways", network.gateways.join("\n")),
        ("mtu", text(network.mtu.as_ref())),
        ("encrypted", yes(network.encrypted)),
    ])
}

pub(super) fn endpoints(endpoints: &[EndpointInfo]) -> String {
    let rows = endpoints.iter().map(|endpoint| {
        [
            endpoint.id.clone(),
            endpoint.node.clone(),
            text(endpoint.name.as_ref()),
            endpoint.ips.join(","),
            endpoint.mac.clone(),
            text(endpoint.ifname.as_ref()),
            endpoint_state(endpoint.state).to_owned(),
        ]
    });
    table(["ID", "NODE", "NAME", "IPS", "MAC", "IFNAME", "STATE"], rows, "no endpoints")
}

pub(super) fn endpoint(endpoint: &EndpointInfo) -> String {
    fields([
        ("id", endpoint.id.clone()),
        ("network", endpoint.network.clone()),
        ("node", endpoint.node.clone()),
        ("name", text(endpoint.name.as_ref())),
        ("state", endpoint_state(endpoint.state).to_owned()),
        ("mac", endpoint.mac.clone()),
        ("ips", endpoint.ips.join("\n")),
        ("ifname", text(endpoint.ifname.as_ref())),
        ("netns", text(endpoint.netns.as_ref())),
        ("host ifname", text(endpoint.host_ifname.as_ref())),
        ("why", text(endpoint.why.as_ref())),
    ])
}

fn endpoint_state(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Ready => "ready",
        EndpointState::Unbound => "unbound",
        EndpointState::Remote => "remote",
        EndpointState::Quarantined => "quarantined",
    }
}

pub(super) fn nodes(nodes: &[NodeInfo]) -> String {
    let rows = nodes.iter().map(|node| {
        let state = match node.state {
            NodeState::This => "self",
            NodeState::Known => "known",
            NodeState::Unroutable => "unroutable",
            NodeState::Upgrading => "upgrading",
            NodeState::AgentDown => "agent down",
            NodeState::Dead => "dead",
            NodeState::Gone => "gone",
        };
        [
            node.name.clone(),
            node.vteps.join(","),
            node.kind.clone(),
            state.to_owned(),
            node.endpoints.to_string(),
            text(node.rtt_us.map(milliseconds).as_ref()),
            text(node.version.as_ref()),
            text(node.changed.map(time::utc).as_ref()),
        ]
    });
    table(["NAME", "VTEP", "KIND", "STATE", "ENDPOINTS", "RTT", "VERSION", "CHANGED"], rows, "no nodes")
}

pub(super) fn ipam(networks: &[IpamInfo]) -> String {
    let mut rows = Vec::new();
    for network in networks {
        for subnet in &network.subnets {
            let row = |what: &str, prefix: &str, node: &str, used: String, size: String| {
                let words = [&network.network, &subnet.subnet, prefix, what, node].map(str::to_owned);
                let [name, of, prefix, what, node] = words;
                [name, of, prefix, what, node, used, size]
            };
            let size = |size: u64| if size == u64::MAX { "2^64".to_owned() } else { size.to_string() };
            for block in &subnet.blocks {
                rows.push(row(
                    &block.state,
                    &block.block,
                    &block.node,
                    block.used.to_string(),
                    size(block.size),
                ));
            }
            for prefix in &subnet.reserved {
                rows.push(row("reserved", prefix, "", String::new(), String::new()));
            }
            for gateway in &subnet.gateways {
                rows.push(row("gateway", gateway, "", String::new(), String::new()));
            }
            let outside = subnet.used_outside_blocks.to_string();
            rows.push(row("not leased", "", "", outside, size(subnet.size)));
        }
    }
    table(["NETWORK", "SUBNET", "PREFIX", "STATE", "NODE", "USED", "SIZE"], rows, "no networks")
}

pub(super) fn ipam_faults(faults: &[IpamFault]) -> String {
    let rows = faults.iter().map(|fault| [fault.code.clone(), fault.message.clone()]);
    table(["CODE", "WHAT"], rows, "nothing is wrong")
}

pub(super) fn keys(keys: &[KeyInfo]) -> String {
    let rows = keys
        .iter()
        .map(|key| [key.id.clone(), yes(key.in_use), key.nodes.len().to_string(), key.missing.join(",")]);
    table(["ID", "IN-USE", "NODES", "MISSING"], rows, "no keys")
}

pub(super) fn events(events: &[Change]) -> String {
    let rows = events.iter().map(|event| {
        let kind = match event.kind {
            ChangeKind::Node => "node",
            ChangeKind::Network => "network",
            ChangeKind::Endpoint => "endpoint",
            ChangeKind::Agent => "agent",
        };
        [
            time::utc(event.at),
            kind.to_owned(),
            event.name.clone(),
            event.what.replace('_', " "),
            event.detail.clone(),
        ]
    });
    table(["TIME", "KIND", "NAME", "WHAT", "DETAIL"], rows, "no events")
}

pub(super) fn drops(drops: &[DropInfo]) -> String {
    let rows =
        drops.iter().map(|drop| [drop.reason.clone(), text(drop.network.as_ref()), drop.count.to_string()]);
    table(["REASON", "NETWORK", "COUNT"], rows, "no drops")
}

pub(super) fn fdb(rows: &[FdbRow]) -> String {
    let rows = rows.iter().map(|row| {
        [
            row.vni.to_string(),
            text(row.network.as_ref()),
            row.mac.clone(),
            row.to.clone(),
            text(row.vtep.as_ref()),
            text(row.ifname.as_ref()),
        ]
    });
    table(["VNI", "NETWORK", "MAC", "TO", "VTEP", "IFNAME"], rows, "no entries")
}

pub(super) fn neigh(rows: &[NeighRow]) -> String {
    let rows = rows
        .iter()
        .map(|row| [row.vni.to_string(), text(row.network.as_ref()), row.ip.clone(), row.mac.clone()]);
    table(["VNI", "NETWORK", "IP", "MAC"], rows, "no entries")
}

pub(super) fn vteps(rows: &[VtepRow]) -> String {
    let rows = rows.iter().map(|row| {
        [
            row.vtep.clone(),
            text(row.node.as_ref()),
            text(row.next_hop.as_ref()),
            text(row.mac.as_ref()),
            text(row.device.as_ref()),
            text(row.mtu.map(|mtu| mtu.to_string()).as_ref()),
            row.networks.join(","),
        ]
    });
    table(["VTEP", "NODE", "NEXT-HOP", "MAC", "DEVICE", "MTU", "NETWORKS"], rows, "no entries")
}

pub(super) fn ports(rows: &[PortRow]) -> String {
    let rows = rows.iter().map(|row| {
        [
            row.ifname.clone(),
            row.ifindex.to_string(),
            row.vni.to_string(),
            text(row.network.as_ref()),
            row.macs.join(","),
            row.allowed.join(","),
        ]
    });
    table(["IFNAME", "IFINDEX", "VNI", "NETWORK", "MACS", "ALLOWED"], rows, "no entries")
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(|value| plain(&value.to_string())).unwrap_or_default()
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// `0.25 ms`, of microseconds.
fn milliseconds(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}
