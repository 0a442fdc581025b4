//! `[[network]]`: the isolated L2 segments.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use overlay_common::{Vni, vxlan};

use super::{Network, address, name, unique::Unique};
use crate::{
    document::{DocumentError, Table, Value},
    words::{list, quoted},
};

/// The smallest MTU of IPv4 (RFC 791).
const LEAST_MTU: u32 = 68;
/// The smallest MTU of IPv6 (RFC 8200 section 5).
const LEAST_IPV6_MTU: u16 = 1280;
/// The largest inner packet: what an outer IPv4 packet holds.
const MOST_MTU: u32 = vxlan::inner_mtu(IpAddr::V4(Ipv4Addr::UNSPECIFIED), u16::MAX) as u32;
/// The most subnets a network may have, and the most gateways.
const MOST_SUBNETS: usize = 8;

const KEYS: [&str; 11] = [
    "name",
    "vni",
    "subnets",
    "gateways",
    "mtu",
    "flood",
    "multicast",
    "encrypted",
    "host",
    "egress",
    "internal",
];

/// Reads every `[[network]]`.
pub(super) fn read_all(root: &Table<'_>) -> Result<BTreeMap<String, Network>, DocumentError> {
    let mut names = Unique::new();
    let mut vnis = Unique::new();
    let mut networks = BTreeMap::new();
    for table in root.tables("network")? {
        table.only(&KEYS)?;
        let name_value = table.required("name", "\"blue\"")?;
        let name = name::read(&name_value, false)?;
        names.claim(name.clone(), &name_value, quoted(&name), "network")?;
        let vni_value = table.required("vni", "42")?;
        let vni = read_vni(&vni_value)?;
        vnis.claim(vni, &vni_value, vni, "network")?;
        networks.insert(name.clone(), read(&table, name, vni)?);
    }
    Ok(networks)
}

fn read(table: &Table<'_>, name: String, vni: Vni) -> Result<Network, DocumentError> {
    let subnets = read_subnets(&table.required("subnets", "[\"10.1.0.0/24\"]")?)?;
    let gateways = match table.get("gateways") {
        Some(value) => read_gateways(&value, &name, &subnets)?,
        None => Vec::new(),
    };
    let mtu = table.get("mtu").map(|value| read_mtu(&value, &subnets)).transpose()?;
    let flag = |key, default| table.get(key).map_or(Ok(default), |value| value.boolean());
    Ok(Network {
        name,
        vni,
        subnets,
        gateways,
        mtu,
        encrypted: flag("encrypted", false)?,
        flood: flag("flood", false)?,
        multicast: flag("multicast", true)?,
        host: flag("host", false)?,
        egress: flag("egress", false)?,
        internal: flag("internal", false)?,
    })
}

fn read_vni(value: &Value<'_>) -> Result<Vni, DocumentError> {
    let number = value.integer(1, Vni::MAX)?;
    if number == Vni::ANCHOR {
        return Err(
            value.error(&format!("VNI {number} is that of the device overlay-anchor; choose another"))
        );
    }
    Vni::new(number).map_err(|error| value.error(&format!("{error}; choose another")))
}

fn read_subnets(value: &Value<'_>) -> Result<Vec<IpNet>, DocumentError> {
    let mut subnets: Vec<IpNet> = Vec::new();
    for item in value.at_most(MOST_SUBNETS, "subnets")? {
        let subnet = address::prefix(&item)?;
        if subnet.prefix_len() == 0 {
            return Err(item.error(&format!("{subnet} is all addresses; choose a longer prefix")));
        }
        if let Some(kind) = address::not_unicast(subnet.network()) {
            return Err(item.error(&format!("{} is {kind} address; choose another subnet", subnet.network())));
        }
        if let Some(other) = subnets.iter().find(|other| other.contains(&subnet) || subnet.contains(*other)) {
            return Err(item.error(&format!("{subnet} overlaps {other} of the same network; remove one")));
        }
        subnets.push(subnet);
    }
    if subnets.is_empty() {
        return Err(value.error("the network has no subnet; name at least one"));
    }
    Ok(subnets)
}

fn read_gateways(value: &Value<'_>, network: &str, subnets: &[IpNet]) -> Result<Vec<IpAddr>, DocumentError> {
    let mut gateways = Vec::new();
    for item in value.at_most(MOST_SUBNETS, "gateways")? {
        let gateway = address::unicast_ip(&item)?;
        check_in_subnets(gateway, network, subnets).map_err(|message| item.error(&message))?;
        if gateways.contains(&gateway) {
            return Err(item.error(&format!("{gateway} is named twice; remove one")));
        }
        gateways.push(gateway);
    }
    Ok(gateways)
}

fn read_mtu(value: &Value<'_>, subnets: &[IpNet]) -> Result<u16, DocumentError> {
    let mtu = value.integer(LEAST_MTU, MOST_MTU)? as u16;
    let ipv6 = subnets.iter().find(|subnet| matches!(subnet, IpNet::V6(_)));
    match ipv6 {
        Some(subnet) if mtu < LEAST_IPV6_MTU => Err(value.error(&format!(
            "{mtu} is less than the {LEAST_IPV6_MTU} that IPv6 needs; raise it, or remove the subnet {subnet}"
        ))),
        _ => Ok(mtu),
    }
}

/// Checks that a station of the network can have `ip`; the error is what is wrong and the remedy.
fn check_in_subnets(ip: IpAddr, network: &str, subnets: &[IpNet]) -> Result<(), String> {
    let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(&ip)) else {
        return Err(format!(
            "{ip} lies outside the subnets of network {} ({}); choose an address in one of them",
            quoted(network),
            list(subnets)
        ));
    };
    // RFC 3021: a prefix of 31 or 32 bits has neither a network nor a broadcast address.
    if ip.is_ipv4() && subnet.prefix_len() < 31 {
        for (special, kind) in [(subnet.network(), "network"), (subnet.broadcast(), "broadcast")] {
            if ip == special {
                return Err(format!("{ip} is the {kind} address of {subnet}; choose another address"));
            }
        }
    }
    Ok(())
}

impl Network {
    /// Checks that an endpoint of the network can have `ip`; the error is what is wrong and the remedy.
    pub(crate) fn check_address(&self, ip: IpAddr) -> Result<(), String> {
        check_in_subnets(ip, &self.name, &self.subnets)?;
        if self.gateways.contains(&ip) {
            let network = quoted(&self.name);
            return Err(format!("{ip} is the gateway of network {network}; choose another address"));
        }
        Ok(())
    }
}
