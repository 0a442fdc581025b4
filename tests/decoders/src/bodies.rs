//! Bodies of requests, and the words in them.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::{MacAddr, Vni};
use overlay_user::{
    api::types::{EndpointAdd, NetworkCreate, Table},
    cluster::{Cluster, EndpointId, network_block},
    event::Event,
    state::{State, Wanted},
};

use crate::Decoder;

/// What `POST` takes.
pub(crate) const BODIES: Decoder = Decoder {
    name: "bodies",
    longest: 1024,
    words: &[
        "\"name\"",
        "\"vni\"",
        "\"subnets\"",
        "\"mtu\"",
        "\"encrypted\"",
        "\"network\"",
        "\"ifname\"",
        "\"ips\"",
        "\"mac\"",
        "\"netns\"",
        "null",
        "true",
        "\\ud83d\\ude00",
        "\\u0000",
        "1e400",
        "-1",
        "10.1.0.1/24",
        "fd00:1::1/64",
        "02:42:0a:01:00:01",
        "blue.02420a010001",
    ],
    seeds: || {
        let create =
            r#"{"name":"red","vni":7,"subnets":["10.7.0.0/16","fd07::/64"],"mtu":1400,"encrypted":true}"#;
        let add = r#"{"network":"blue","ifname":"eth0","ips":["10.1.0.1/24"],"mac":"02:42:0a:01:00:01","name":"web","netns":"/run/netns/c1"}"#;
        [create, add, "\"fdb\"", "\"blue.02420a010001\""].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    read,
};

const CLUSTER: &str = r#"[[node]]
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
name = "web"
"#;

fn read(input: &[u8]) -> bool {
    let table = serde_json::from_slice::<Table>(input).is_ok();
    let id = serde_json::from_slice::<EndpointId>(input);
    if let Ok(id) = &id {
        assert_eq!(id.as_str().parse().as_ref(), Ok(id));
        assert!(!id.network().is_empty());
    }
    let create = serde_json::from_slice::<NetworkCreate>(input);
    if let Ok(create) = &create {
        check_create(create);
    }
    let add = serde_json::from_slice::<EndpointAdd>(input);
    if let Ok(add) = &add {
        check_add(add);
    }
    table || id.is_ok() || create.is_ok() || add.is_ok()
}

/// Whatever a name holds, the block that is proposed for it is TOML that says that name.
fn check_create(create: &NetworkCreate) {
    let Ok(vni) = Vni::new(create.vni.unwrap_or(1)) else { return };
    let subnets: Vec<IpNet> = create.subnets.iter().filter_map(|subnet| subnet.parse().ok()).collect();
    let gateways: Vec<IpAddr> = create.gateways.iter().filter_map(|gateway| gateway.parse().ok()).collect();
    let block = network_block(&create.name, vni, &subnets, &gateways, create.mtu);
    match Cluster::parse(&format!("[[node]]\nname = \"h\"\nvtep = \"192.0.2.1\"\n{block}")) {
        Ok(cluster) => assert!(cluster.networks.contains_key(&create.name), "{block}"),
        Err(error) => assert!(!error.message.starts_with("this is not TOML"), "{error}:\n{block}"),
    }
}

/// Whatever is wanted, it is the one endpoint there is or refused in words.
fn check_add(add: &EndpointAdd) {
    let Ok(cluster) = Cluster::parse(CLUSTER) else { panic!("the cluster is refused") };
    let mut state = State::new("h1".to_owned(), 4789);
    state.apply(Event::Cluster(cluster));
    let wanted =
        Wanted { network: &add.network, ips: &add.ips, mac: add.mac.as_deref(), name: add.name.as_deref() };
    match state.find_declared(&wanted) {
        Ok(endpoint) => assert_eq!(endpoint.name.as_deref(), Some("web")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(Ok(mac)) = add.mac.as_ref().map(|text| text.parse::<MacAddr>()) {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
}
