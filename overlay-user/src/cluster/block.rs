//! Blocks of cluster.toml to paste.

use std::{
    fmt::{Display, Write},
    net::IpAddr,
};

use ipnet::IpNet;
use overlay_common::{MacAddr, Vni};

/// The `[[endpoint]]` block that declares this endpoint.
pub fn endpoint_block<I: Display>(
    network: &str,
    node: &str,
    ips: &[I],
    mac: Option<MacAddr>,
    name: Option<&str>,
) -> String {
    let mut block = Block::new("endpoint");
    block.line("network", string(network));
    block.line("node", string(node));
    block.line("ips", array(ips));
    if let Some(mac) = mac {
        block.line("mac", string(&mac.to_string()));
    }
    if let Some(name) = name {
        block.line("name", string(name));
    }
    block.0
}

/// The `[[network]]` block that declares this network.
pub fn network_block(
    name: &str,
    vni: Vni,
    subnets: &[IpNet],
    gateways: &[IpAddr],
    mtu: Option<u16>,
) -> String {
    let mut block = Block::new("network");
    block.line("name", string(name));
    block.line("vni", vni);
    block.line("subnets", array(subnets));
    if !gateways.is_empty() {
        block.line("gateways", array(gateways));
    }
    if let Some(mtu) = mtu {
        block.line("mtu", mtu);
    }
    block.0
}

struct Block(String);

impl Block {
    fn new(table: &str) -> Self {
        Self(format!("[[{table}]]\n"))
    }

    fn line(&mut self, key: &str, value: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{key} = {value}");
    }
}

fn array<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| string(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
