//! What cluster.toml may say, and what it is told when it says something else.

use overlay_common::{MacAddr, Vni};
use proptest::prelude::*;

use super::*;

mod endpoints;
mod untrusted;

const VALID: &str = r#"# a comment
[[node]]
name = "h1"
vtep = "10.88.0.1"

[[node]]
name = "lab-switch"
vtep = "10.88.0.9"
kind = "external"

[[network]]
name = "blue"
vni = 42
subnets = ["10.1.0.0/24", "fd00:1::/64"]
gateways = ["10.1.0.254"]
mtu = 1400
encrypted = false

[[network]]
name = "green"
vni = 43
subnets = ["10.1.0.0/24"]

[[endpoint]]
network = "blue"
node = "h1"
ips = ["10.1.0.1", "fd00:1::1"]
mac = "02:42:0a:01:00:01"
name = "web"

[[endpoint]]
network = "green"
node = "lab-switch"
ips = ["10.1.0.1"]
allowed_ips = ["192.168.0.0/16", "10.9.9.9"]
allowed_macs = ["02:00:00:00:00:07"]
allow_ra = true
"#;

/// The error of the valid file with its first `from` replaced.
fn refused(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "{from}");
    Cluster::parse(&VALID.replacen(from, to, 1)).expect_err(to).to_string()
}

/// The error of the valid file with `more` after it, counted from the first line of `more`.
fn refused_after(more: &str) -> String {
    let error = Cluster::parse(&format!("{VALID}{more}")).expect_err(more);
    let first = VALID.lines().count();
    format!("+{}:{}: {}", error.line - first, error.column, error.message)
}

fn endpoint(lines: &str) -> String {
    refused_after(&format!("[[endpoint]]\nnetwork = \"blue\"\nnode = \"h1\"\n{lines}\n"))
}

fn network(lines: &str) -> String {
    refused_after(&format!("[[network]]\nname = \"red\"\n{lines}\n"))
}

#[test]
fn a_valid_file_is_read_whole() {
    let cluster = Cluster::parse(VALID).expect("valid");
    assert_eq!(cluster.nodes["lab-switch"].kind, NodeKind::External);
    assert_eq!(cluster.nodes["h1"].kind, NodeKind::Agent);
    let blue = &cluster.networks["blue"];
    assert_eq!((blue.vni, blue.mtu, blue.multicast), (Vni::new(42).expect("a VNI"), Some(1400), true));
    let web = &cluster.endpoints[&"blue.02420a010001".parse().expect("an ID")];
    assert_eq!(web.name.as_deref(), Some("web"));
    let shown: Vec<String> = web.addresses_with_prefix(blue).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.1.0.1/24", "fd00:1::1/64"]);
    let green = &cluster.endpoints[&"green.02420a010001".parse().expect("an ID")];
    assert_eq!(green.allowed_ips[1].to_string(), "10.9.9.9/32");
    assert!(green.allow_ra && !green.allow_dhcp_server);
    assert_eq!(green.macs().count(), 2);
}

#[test]
fn an_endpoint_of_ipv6_derives_its_mac() {
    let text = VALID.replacen(
        "ips = [\"10.1.0.1\", \"fd00:1::1\"]\nmac = \"02:42:0a:01:00:01\"",
        "ips = [\"fd00:1::1\"]",
        1,
    );
    let cluster = Cluster::parse(&text).expect("valid");
    let mac = MacAddr::from_ipv6("fd00:1::1".parse().expect("an address"));
    assert!(cluster.endpoints.contains_key(&EndpointId::new("blue", mac)));
}

#[test]
fn syntax_and_keys() {
    assert!(
        refused("vni = 42", "vni = 42 43")
            .starts_with("13:7: this is not TOML: string values must be quoted")
    );
    assert!(refused("vni = 42", "vni = 42\nvni = 42").starts_with("14:1: this is not TOML: duplicate key"));
    assert_eq!(
        refused("subnets = [\"10.1.0.0/24\", ", "  subnet = [\"10.1.0.0/24\", "),
        "14:3: network: unknown key \"subnet\"; did you mean \"subnets\"?"
    );
    assert_eq!(
        refused("kind =", "colour ="),
        "9:1: node: unknown key \"colour\"; the keys here are name, vtep, kind"
    );
    assert_eq!(refused("[[node]]", "[[nodes]]"), "2:3: unknown key \"nodes\"; did you mean \"node\"?");
    assert_eq!(refused("vni = 42\n", ""), "11:1: network: vni is missing; add vni = 42");
    assert_eq!(refused("name = \"h1\"\n", ""), "2:1: node: name is missing; add name = \"h1\"");
    assert_eq!(endpoint(""), "+1:1: endpoint: ips is missing; add ips = [\"10.1.0.7\"]");
}

#[test]
fn types() {
    assert_eq!(
        refused("vni = 42", "vni = \"42\""),
        "13:7: network.vni: an integer belongs here, not a string; write a whole number without quotes"
    );
    assert_eq!(
        refused("name = \"h1\"", "name = 1"),
        "3:8: node.name: a string belongs here, not an integer; write it in quotes"
    );
    assert_eq!(
        endpoint("ips = \"10.1.0.7\""),
        "+4:7: endpoint.ips: an array belongs here, not a string; write it in square brackets"
    );
    assert_eq!(
        refused("encrypted = false", "encrypted = \"no\""),
        "17:13: network.encrypted: a boolean belongs here, not a string; write true or false without quotes"
    );
    assert_eq!(
        Cluster::parse("[node]\nname = \"h1\"\n").expect_err("a table").to_string(),
        "1:1: node: an array of tables belongs here, not a table; write each one as [[node]]"
    );
    assert_eq!(
        Cluster::parse("node = [1]").expect_err("a number").to_string(),
        "1:9: node: a table belongs here, not an integer; write each one as [[node]]"
    );
}

#[test]
fn names() {
    let bad = |name: &str| refused("name = \"h1\"", &format!("name = \"{name}\""));
    assert_eq!(bad(""), "3:8: node.name: the name is empty; give one");
    assert_eq!(
        bad("h 1"),
        "3:8: node.name: \"h 1\" is no name; use letters, digits, \".\", \"_\" and \"-\" only"
    );
    assert_eq!(
        bad("-h1"),
        "3:8: node.name: \"-h1\" does not start with a letter or digit; choose a name that does"
    );
    assert!(bad(&"x".repeat(64)).contains(" is longer than 63 characters; choose a shorter name"));
    assert_eq!(
        refused("name = \"blue\"", "name = \"a.b\""),
        "12:8: network.name: \"a.b\" is no name; use letters, digits, \"_\" and \"-\" only"
    );
    assert!(Cluster::parse(&VALID.replace("\"h1\"", "\"h1.example.net\"")).is_ok());
}

#[test]
fn nodes() {
    assert_eq!(
        refused("name = \"lab-switch\"", "name = \"h1\""),
        "7:8: node.name: \"h1\" is already taken on line 3; give each node its own"
    );
    assert_eq!(
        refused("10.88.0.9", "10.88.0.1"),
        "8:8: node.vtep: 10.88.0.1 is already taken on line 4; give each node its own"
    );
    for (vtep, kind) in [
        ("0.0.0.0", "the unspecified"),
        ("224.0.0.1", "a multicast"),
        ("127.0.0.1", "a loopback"),
        ("255.255.255.255", "the broadcast"),
        ("::", "the unspecified"),
    ] {
        assert_eq!(
            refused("10.88.0.1", vtep),
            format!("4:8: node.vtep: {vtep} is {kind} address; give the node's address on the underlay")
        );
    }
    for (vtep, error) in [
        ("[]", "the list is empty; write the node's address on the underlay"),
        (
            "[\"10.88.0.1\", \"10.88.0.2\"]",
            "10.88.0.1 and 10.88.0.2 are both IPv4; give one address of each family",
        ),
        ("[\"fd88::1\", \"fd88::2\"]", "fd88::1 and fd88::2 are both IPv6; give one address of each family"),
        ("7", "a string belongs here, not an integer; write it in quotes"),
    ] {
        assert_eq!(refused("\"10.88.0.1\"", vtep), format!("4:8: node.vtep: {error}"));
    }
    assert_eq!(
        refused("\"10.88.0.1\"", "[\"10.88.0.1\", \"fd88::1\", \"fd88::2\"]"),
        "4:33: node.vtep: there are more than 2 addresses of a node; remove some"
    );
    assert_eq!(
        refused("\"10.88.0.1\"", "[\"fe80::1\"]"),
        "4:9: node.vtep: fe80::1 is a link-local address; give the node's address on the underlay"
    );
    assert_eq!(
        refused("\"10.88.0.9\"", "[\"fd88::9\", \"10.88.0.1\"]"),
        "8:8: node.vtep: 10.88.0.1 is already taken on line 4; give each node its own"
    );
    let six = VALID.replacen("\"10.88.0.1\"", "[\"10.88.0.1\", \"fd88::1\"]", 1);
    let vteps = Cluster::parse(&six).expect("valid").nodes["h1"].vteps;
    assert_eq!(vteps.to_string(), "10.88.0.1, fd88::1");
    assert_eq!(
        refused("10.88.0.1", "::ffff:10.88.0.1"),
        "4:8: node.vtep: ::ffff:10.88.0.1 is an IPv4 address in the form of IPv6; write \"10.88.0.1\""
    );
    assert_eq!(
        refused("10.88.0.1", "h1"),
        "4:8: node.vtep: \"h1\" is no IP address; write it like \"10.1.0.7\" or \"fd00:1::7\""
    );
    assert_eq!(
        refused("\"external\"", "\"agnet\""),
        "9:8: node.kind: unknown kind \"agnet\"; did you mean \"agent\"?"
    );
    assert_eq!(
        Cluster::parse("").expect_err("empty").to_string(),
        "1:1: there is no node; add a [[node]] for each host"
    );
    let many: String = (0..4097)
        .map(|n| format!("[[node]]\nname = \"n{n}\"\nvtep = \"10.0.{}.{}\"\n", n / 200, n % 200 + 1))
        .collect();
    assert_eq!(
        Cluster::parse(&many).expect_err("many").to_string(),
        "12289:1: node: there are more than 4096 nodes; remove some"
    );
}

#[test]
fn network_identity() {
    let error = refused("vni = 42", "vni = 16777214");
    assert!(error.contains("VNI 16777214 is that of the device overlay-anchor; choose another"), "{error}");
    for vni in ["0", "16777216", "-1", "99999999999999999999"] {
        assert_eq!(
            refused("vni = 42", &format!("vni = {vni}")),
            format!("13:7: network.vni: {vni} is outside 1..16777215; choose a number in that range")
        );
    }
    assert_eq!(
        refused("name = \"green\"", "name = \"blue\""),
        "20:8: network.name: \"blue\" is already taken on line 12; give each network its own"
    );
    assert_eq!(
        refused("vni = 43", "vni = 42"),
        "21:7: network.vni: 42 is already taken on line 13; give each network its own"
    );
}

#[test]
fn subnets_and_gateways() {
    let subnets = |list: &str| network(&format!("vni = 7\nsubnets = [{list}]"));
    assert_eq!(
        subnets("\"10.2.0.0/24\", \"10.2.0.128/25\""),
        "+4:27: network.subnets: 10.2.0.128/25 overlaps 10.2.0.0/24 of the same network; remove one"
    );
    assert_eq!(
        subnets("\"10.2.0.1/24\""),
        "+4:12: network.subnets: 10.2.0.1/24 has bits beyond its prefix; write \"10.2.0.0/24\""
    );
    assert_eq!(
        subnets("\"10.2.0.0\""),
        "+4:12: network.subnets: 10.2.0.0 has no prefix length; write it like \"10.2.0.0/24\""
    );
    assert_eq!(
        subnets("\"10.2.0.0/33\""),
        "+4:12: network.subnets: \"10.2.0.0/33\" is no prefix; write it like \"10.1.0.0/24\""
    );
    assert_eq!(
        subnets("\"0.0.0.0/0\""),
        "+4:12: network.subnets: 0.0.0.0/0 is all addresses; choose a longer prefix"
    );
    assert_eq!(
        subnets("\"224.0.0.0/24\""),
        "+4:12: network.subnets: 224.0.0.0 is a multicast address; choose another subnet"
    );
    assert_eq!(subnets(""), "+4:11: network.subnets: the network has no subnet; name at least one");
    let nine: Vec<String> = (0..9).map(|n| format!("\"10.{n}.0.0/16\"")).collect();
    assert!(
        subnets(&nine.join(",")).ends_with("network.subnets: there are more than 8 subnets; remove some")
    );
    assert_eq!(
        refused("10.1.0.254", "10.2.0.254"),
        "15:13: network.gateways: 10.2.0.254 lies outside the subnets of network \"blue\" (10.1.0.0/24, fd00:1::/64); choose an address in one of them"
    );
    assert_eq!(
        refused("\"10.1.0.254\"", "\"10.1.0.254\", \"10.1.0.254\""),
        "15:27: network.gateways: 10.1.0.254 is named twice; remove one"
    );
}

#[test]
fn mtu() {
    let mtu = |mtu: &str| network(&format!("vni = 7\nsubnets = [\"10.2.0.0/24\"]\nmtu = {mtu}"));
    for bad in ["67", "65486"] {
        assert_eq!(
            mtu(bad),
            format!("+5:7: network.mtu: {bad} is outside 68..65485; choose a number in that range")
        );
    }
    assert_eq!(
        refused("mtu = 1400", "mtu = 1279"),
        "16:7: network.mtu: 1279 is less than the 1280 that IPv6 needs; raise it, or remove the subnet fd00:1::/64"
    );
}
