//! `[[endpoint]]`: the endpoint table.

use std::{collections::BTreeMap, net::IpAddr};

use overlay_common::MacAddr;

use super::{Endpoint, EndpointId, Network, Node, address, name, unique::Unique};
use crate::{
    document::{DocumentError, Table, Value},
    words::{quoted, suggestion},
};

/// The most `ips` and `allowed_ips` of an endpoint together.
const MOST_IPS: usize = 8;
/// The most `allowed_macs` of an endpoint.
const MOST_ALLOWED_MACS: usize = 3;

const KEYS: [&str; 9] =
    ["network", "node", "ips", "mac", "name", "allowed_ips", "allowed_macs", "allow_ra", "allow_dhcp_server"];

/// What an endpoint takes from its network.
struct Taken<'n> {
    ips: Unique<(&'n str, IpAddr)>,
    macs: Unique<(&'n str, MacAddr)>,
}

/// Reads every `[[endpoint]]`.
pub(super) fn read_all(
    root: &Table<'_>,
    nodes: &BTreeMap<String, Node>,
    networks: &BTreeMap<String, Network>,
) -> Result<BTreeMap<EndpointId, Endpoint>, DocumentError> {
    let mut taken = Taken { ips: Unique::new(), macs: Unique::new() };
    let mut endpoints = BTreeMap::new();
    for table in root.tables("endpoint")? {
        table.only(&KEYS)?;
        let network = known(&table.required("network", "\"blue\"")?, networks, "network")?;
        let node = known(&table.required("node", "\"h1\"")?, nodes, "node")?;
        let endpoint = read(&table, network, node, &mut taken)?;
        endpoints.insert(endpoint.id(), endpoint);
    }
    Ok(endpoints)
}

fn read<'n>(
    table: &Table<'_>,
    network: &'n Network,
    node: &Node,
    taken: &mut Taken<'n>,
) -> Result<Endpoint, DocumentError> {
    let ips_value = table.required("ips", "[\"10.1.0.7\"]")?;
    let ips = read_ips(&ips_value, network, taken)?;
    let mac = read_mac(table, &ips_value, &ips, network, taken)?;
    let mut allowed_ips = Vec::new();
    if let Some(value) = table.get("allowed_ips") {
        for item in value.at_most(MOST_IPS - ips.len(), "ips and allowed_ips, the ips included")? {
            allowed_ips.push(address::prefix_or_ip(&item)?);
        }
    }
    let mut allowed_macs = Vec::new();
    if let Some(value) = table.get("allowed_macs") {
        for item in value.at_most(MOST_ALLOWED_MACS, "allowed_macs")? {
            let mac = address::mac(&item)?;
            taken.macs.claim((&network.name, mac), &item, mac, "endpoint of a network")?;
            allowed_macs.push(mac);
        }
    }
    let flag = |key| table.get(key).map_or(Ok(false), |value| value.boolean());
    Ok(Endpoint {
        network: network.name.clone(),
        node: node.name.clone(),
        ips,
        mac,
        name: table.get("name").map(|value| name::read(&value, true)).transpose()?,
        allowed_ips,
        allowed_macs,
        allow_ra: flag("allow_ra")?,
        allow_dhcp_server: flag("allow_dhcp_server")?,
    })
}

fn read_ips<'n>(
    value: &Value<'_>,
    network: &'n Network,
    taken: &mut Taken<'n>,
) -> Result<Vec<IpAddr>, DocumentError> {
    let mut ips = Vec::new();
    for item in value.at_most(MOST_IPS, "ips")? {
        let ip = address::unicast_ip(&item)?;
        network.check_address(ip).map_err(|message| item.error(&message))?;
        taken.ips.claim((&network.name, ip), &item, ip, "endpoint of a network")?;
        ips.push(ip);
    }
    if ips.is_empty() {
        return Err(value.error("the endpoint has no address; name at least one"));
    }
    Ok(ips)
}

/// The MAC address that the file gives or the addresses make.
fn read_mac<'n>(
    table: &Table<'_>,
    ips_value: &Value<'_>,
    ips: &[IpAddr],
    network: &'n Network,
    taken: &mut Taken<'n>,
) -> Result<MacAddr, DocumentError> {
    if let Some(value) = table.get("mac") {
        let mac = address::mac(&value)?;
        taken.macs.claim((&network.name, mac), &value, mac, "endpoint of a network")?;
        return Ok(mac);
    }
    let mac =
        derived_mac(ips).ok_or_else(|| ips_value.error("the endpoint has no address; name at least one"))?;
    let shown = format!("the derived MAC address {mac}");
    taken.macs.claim((&network.name, mac), ips_value, shown, "endpoint of a network")?;
    Ok(mac)
}

/// The MAC address from the first IPv4 address, else from the first IPv6 address.
pub(crate) fn derived_mac(ips: &[IpAddr]) -> Option<MacAddr> {
    let four = ips.iter().find_map(|ip| match ip {
        IpAddr::V4(four) => Some(MacAddr::from_ipv4(*four)),
        IpAddr::V6(_) => None,
    });
    four.or_else(|| {
        ips.iter().find_map(|ip| match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(six) => Some(MacAddr::from_ipv6(*six)),
        })
    })
}

/// The entry that a value names, `what` being what it is.
fn known<'n, T>(value: &Value<'_>, all: &'n BTreeMap<String, T>, what: &str) -> Result<&'n T, DocumentError> {
    let name = value.string()?;
    all.get(name).ok_or_else(|| {
        let remedy = if all.is_empty() {
            format!("add it as a [[{what}]]")
        } else {
            suggestion(name, all.keys().map(String::as_str), &format!("{what}s"))
        };
        value.error(&format!("there is no {what} {}; {remedy}", quoted(name)))
    })
}
