//! What an endpoint may be.

use super::*;

#[test]
fn endpoint_place() {
    assert_eq!(
        refused("network = \"blue\"", "network = \"bleu\""),
        "25:11: endpoint.network: there is no network \"bleu\"; did you mean \"blue\"?"
    );
    assert_eq!(
        refused("node = \"h1\"", "node = \"elsewhere\""),
        "26:8: endpoint.node: there is no node \"elsewhere\"; the nodes are h1, lab-switch"
    );
    assert_eq!(
        Cluster::parse("[[node]]\nname=\"h\"\nvtep=\"10.0.0.1\"\n[[endpoint]]\nnetwork=\"x\"\n")
            .expect_err("no network")
            .to_string(),
        "5:9: endpoint.network: there is no network \"x\"; add it as a [[network]]"
    );
}

#[test]
fn endpoint_addresses() {
    let ips = |list: &str| endpoint(&format!("ips = [{list}]"));
    assert_eq!(
        ips("\"10.2.0.9\""),
        "+4:8: endpoint.ips: 10.2.0.9 lies outside the subnets of network \"blue\" (10.1.0.0/24, fd00:1::/64); choose an address in one of them"
    );
    assert_eq!(
        ips("\"10.1.0.0\""),
        "+4:8: endpoint.ips: 10.1.0.0 is the network address of 10.1.0.0/24; choose another address"
    );
    assert_eq!(
        ips("\"10.1.0.255\""),
        "+4:8: endpoint.ips: 10.1.0.255 is the broadcast address of 10.1.0.0/24; choose another address"
    );
    assert_eq!(
        ips("\"10.1.0.254\""),
        "+4:8: endpoint.ips: 10.1.0.254 is the gateway of network \"blue\"; choose another address"
    );
    assert_eq!(
        ips("\"10.1.0.7\", \"10.1.0.1\""),
        "+4:20: endpoint.ips: 10.1.0.1 is already taken on line 27; give each endpoint of a network its own"
    );
    assert!(
        ips("\"10.1.0.7\", \"10.1.0.7\"")
            .starts_with("+4:20: endpoint.ips: 10.1.0.7 is already taken on line ")
    );
    assert_eq!(
        ips("\"10.1.0.7/24\""),
        "+4:8: endpoint.ips: \"10.1.0.7/24\" has a prefix length; write the address alone"
    );
    assert_eq!(
        ips("\"fe80::1\""),
        "+4:8: endpoint.ips: fe80::1 is a link-local address; choose one that a single station can have"
    );
    assert_eq!(ips(""), "+4:7: endpoint.ips: the endpoint has no address; name at least one");
    let nine: Vec<String> = (10..19).map(|n| format!("\"10.1.0.{n}\"")).collect();
    assert!(ips(&nine.join(",")).ends_with("endpoint.ips: there are more than 8 ips; remove some"));
    let seven: Vec<String> = (0..8).map(|n| format!("\"10.9.0.{n}\"")).collect();
    assert!(
        endpoint(&format!("ips = [\"10.1.0.7\"]\nallowed_ips = [{}]", seven.join(",")))
            .contains("endpoint.allowed_ips: there are more than ")
    );
}

#[test]
fn endpoint_macs() {
    let mac = |mac: &str| endpoint(&format!("ips = [\"10.1.0.7\"]\nmac = \"{mac}\""));
    assert_eq!(
        mac("02:42:0a:01:00:01"),
        "+5:7: endpoint.mac: 02:42:0a:01:00:01 is already taken on line 28; give each endpoint of a network its own"
    );
    assert_eq!(
        mac("01:00:5e:00:00:01"),
        "+5:7: endpoint.mac: 01:00:5e:00:00:01 is a group address; choose one whose first byte is even"
    );
    assert_eq!(
        mac("00:00:00:00:00:00"),
        "+5:7: endpoint.mac: a MAC address of zeros is no station's; choose another"
    );
    assert_eq!(
        mac("02:42"),
        "+5:7: endpoint.mac: \"02:42\" is no MAC address; write it like \"02:42:0a:01:00:01\""
    );
}

#[test]
fn a_derived_mac_may_be_taken_too() {
    let taken = "[[endpoint]]\nnetwork = \"green\"\nnode = \"h1\"\nips = [\"10.1.0.7\"]\nmac = \"02:42:0a:01:00:08\"\n";
    let error = refused_after(&format!(
        "{taken}[[endpoint]]\nnetwork = \"green\"\nnode = \"h1\"\nips = [\"10.1.0.8\"]\n"
    ));
    let line = VALID.lines().count() + 5;
    assert_eq!(
        error,
        format!(
            "+9:7: endpoint.ips: the derived MAC address 02:42:0a:01:00:08 is already taken on line {line}; give each endpoint of a network its own"
        )
    );
}

#[test]
fn allowed_macs_are_the_endpoints_own() {
    assert_eq!(
        endpoint("ips = [\"10.1.0.7\"]\nallowed_macs = [\"02:42:0a:01:00:01\"]"),
        "+5:17: endpoint.allowed_macs: 02:42:0a:01:00:01 is already taken on line 28; give each endpoint of a network its own"
    );
    assert!(
        endpoint("ips = [\"10.1.0.7\"]\nallowed_macs = [\"02:00:00:00:00:01\", \"02:00:00:00:00:02\", \"02:00:00:00:00:03\", \"02:00:00:00:00:04\"]")
            .ends_with("endpoint.allowed_macs: there are more than 3 allowed_macs; remove some")
    );
}

#[test]
fn a_block_can_be_pasted() {
    let cluster = Cluster::parse(VALID).expect("valid");
    let mac: MacAddr = "02:00:00:00:00:09".parse().expect("a MAC");
    let subnet = "10.7.0.0/24".parse().expect("a prefix");
    let gateway = "10.7.0.254".parse().expect("an address");
    let block = network_block("red", Vni::new(7).expect("a VNI"), &[subnet], &[gateway], Some(1400))
        + &endpoint_block("red", "h1", &["10.7.0.1"], Some(mac), Some("db"));
    let pasted = Cluster::parse(&format!("{VALID}{block}")).expect("valid");
    assert_eq!(pasted.endpoints.len(), cluster.endpoints.len() + 1);
    let db = &pasted.endpoints[&EndpointId::new("red", mac)];
    assert_eq!((db.name.as_deref(), db.node.as_str()), (Some("db"), "h1"));
    assert_eq!(pasted.networks["red"].mtu, Some(1400));
    assert_eq!(pasted.networks["red"].gateways, [gateway]);
}

#[test]
fn the_free_address_is_nobodys() {
    let cluster = Cluster::parse(VALID).expect("valid");
    let free = |network: &str| cluster.free_address(&cluster.networks[network]).map(|ip| ip.to_string());
    assert_eq!(free("blue").as_deref(), Some("10.1.0.2"));
    let full =
        VALID.replace("\"10.1.0.0/24\"", "\"10.1.0.1/32\"").replace("\"fd00:1::/64\"", "\"fd00:1::/127\"");
    let full = full.replace("gateways = [\"10.1.0.254\"]\n", "");
    let cluster = Cluster::parse(&full).expect("valid");
    assert_eq!(cluster.free_address(&cluster.networks["blue"]), None);
}
