//! What a lab writes into cluster.toml.
//!
//! Written here by hand, not with the agent's own types, so that the lab checks the file format from outside.

use std::{fmt::Write as _, net::IpAddr};

/// The cluster membership and the endpoint table, as the file will hold them.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// `[[node]]`
    pub nodes: Vec<Node>,
    /// `[[network]]`
    pub networks: Vec<Network>,
    /// `[[endpoint]]`
    pub endpoints: Vec<Endpoint>,
}

/// A member of the cluster.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its VTEP addresses, one at least.
    pub vteps: Vec<IpAddr>,
    /// Whether it is a plain VXLAN device without an agent.
    pub external: bool,
}

/// A network of containers.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its VNI; wide enough for a wrong one.
    pub vni: u32,
    /// Its subnets, as `ADDRESS/LENGTH`.
    pub subnets: Vec<String>,
    /// More lines of the table, as they are.
    pub options: String,
}

/// A container's interface.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// The name of its network.
    pub network: String,
    /// The name of its node.
    pub node: String,
    /// Its own name.
    pub name: Option<String>,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Its MAC address, where the file sets one.
    pub mac: Option<String>,
    /// More lines of the table, as they are.
    pub options: String,
}

impl Network {
    /// The prefix length of the subnet that `ip` lies in; that of a single address when it lies in none.
    pub fn prefix_length(&self, ip: IpAddr) -> u8 {
        let within = |subnet: &&str| {
            let (base, length) = subnet.split_once('/')?;
            let (base, length) = (base.parse().ok()?, length.parse().ok()?);
            contains(base, length, ip).then_some(length)
        };
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        self.subnets.iter().find_map(|subnet| within(&subnet.as_str())).unwrap_or(whole)
    }
}

impl Cluster {
    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The text of cluster.toml.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.nodes.iter().for_each(|node| node.write(&mut text));
        self.networks.iter().for_each(|network| network.write(&mut text));
        self.endpoints.iter().for_each(|endpoint| endpoint.write(&mut text));
        text
    }
}

impl Node {
    fn write(&self, text: &mut String) {
        line(text, "[[node]]");
        line(text, &format!("name = {:?}", self.name));
        let vteps: Vec<String> = self.vteps.iter().map(|vtep| format!("\"{vtep}\"")).collect();
        match vteps.as_slice() {
            [vtep] => line(text, &format!("vtep = {vtep}")),
            vteps => line(text, &format!("vtep = [{}]", vteps.join(", "))),
        }
        if self.external {
            line(text, "kind = \"external\"");
        }
    }
}

impl Network {
    fn write(&self, text: &mut String) {
        line(text, "[[network]]");
        line(text, &format!("name = {:?}", self.name));
        line(text, &format!("vni = {}", self.vni));
        line(text, &format!("subnets = {:?}", self.subnets));
        text.push_str(&self.options);
    }
}

impl Endpoint {
    fn write(&self, text: &mut String) {
        line(text, "[[endpoint]]");
        line(text, &format!("network = {:?}", self.network));
        line(text, &format!("node = {:?}", self.node));
        let ips: Vec<String> = self.ips.iter().map(ToString::to_string).collect();
        line(text, &format!("ips = {ips:?}"));
        if let Some(mac) = &self.mac {
            line(text, &format!("mac = {mac:?}"));
        }
        if let Some(name) = &self.name {
            line(text, &format!("name = {name:?}"));
        }
        text.push_str(&self.options);
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("a String takes everything");
}

fn contains(base: IpAddr, length: u8, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let ((base, width), (ip, ip_width)) = (bits(base), bits(ip));
    let differing = (base ^ ip).leading_zeros();
    width == ip_width && length <= width && differing >= u32::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn text_is_that_of_the_contract() {
        let cluster = Cluster {
            nodes: vec![Node { name: "h1".to_owned(), vteps: vec![ip("10.88.0.1")], external: false }],
            networks: vec![Network {
                name: "blue".to_owned(),
                vni: 42,
                subnets: vec!["10.1.0.0/24".to_owned(), "fd00:1::/64".to_owned()],
                options: String::new(),
            }],
            endpoints: vec![Endpoint {
                network: "blue".to_owned(),
                node: "h1".to_owned(),
                name: Some("web".to_owned()),
                ips: vec![ip("10.1.0.1"), ip("fd00:1::1")],
                mac: Some("02:42:0a:01:00:01".to_owned()),
                options: String::new(),
            }],
        };
        let expected = r#"[[node]]
name = "h1"
vtep = "10.88.0.1"
[[network]]
name = "blue"
vni = 42
subnets = ["10.1.0.0/24", "fd00:1::/64"]
[[endpoint]]
network = "blue"
node = "h1"
ips = ["10.1.0.1", "fd00:1::1"]
mac = "02:42:0a:01:00:01"
name = "web"
"#;
        assert_eq!(cluster.to_toml(), expected);
    }

    #[test]
    fn prefix_length_is_that_of_the_subnet_around() {
        let network = Network {
            name: "blue".to_owned(),
            vni: 42,
            subnets: vec!["10.1.0.0/24".to_owned(), "fd00:1::/64".to_owned()],
            options: String::new(),
        };
        assert_eq!(network.prefix_length(ip("10.1.0.255")), 24);
        assert_eq!(network.prefix_length(ip("10.1.1.0")), 32);
        assert_eq!(network.prefix_length(ip("fd00:1::ffff")), 64);
        assert_eq!(network.prefix_length(ip("fd00:2::1")), 128);
    }
}
