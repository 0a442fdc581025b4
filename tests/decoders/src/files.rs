//! Files: overlay.toml and cluster.toml, which people write, and bindings.json, which an agent wrote.

use std::{collections::BTreeMap, net::IpAddr};

use overlay_common::MacAddr;
use overlay_user::{
    cluster::{Cluster, endpoint_block, network_block},
    config::Config,
    decoders,
    document::DocumentError,
    event::{Event, Underlay},
    plan,
    state::State,
    tables::{Anchors, Ifindex, Tables},
};

use crate::Decoder;

/// overlay.toml.
pub(crate) const CONFIG: Decoder = Decoder {
    name: "config",
    longest: 2048,
    words: &[
        "[node]",
        "name",
        "underlay",
        "underlay_mode",
        "hooks",
        "vtep",
        "[vxlan]",
        "port",
        "shared",
        "[cluster]",
        "engine",
        "\"file\"",
        "[cluster.file]",
        "path",
        "[api]",
        "group",
        "admins",
        "[trace]",
        "sample",
        "[log]",
        "format",
        "\"json\"",
        " = ",
        "true",
        "\"\"\"",
        "'''",
        "\\u",
        "4294967295",
        "0x",
        "1e9",
    ],
    seeds: || vec![CONFIG_TEXT.into(), b"[node]\nvtep = [\"fd88::1\", \"10.88.0.1\"]".to_vec()],
    read: config,
};

/// cluster.toml.
pub(crate) const CLUSTER: Decoder = Decoder {
    name: "cluster",
    longest: 4096,
    words: &[
        "[[node]]",
        "[[network]]",
        "[[endpoint]]",
        "name",
        "vtep",
        "kind",
        "\"external\"",
        "vni",
        "subnets",
        "gateways",
        "mtu",
        "encrypted",
        "network",
        "node",
        "ips",
        "mac",
        "allowed_ips",
        "allowed_macs",
        "allow_ra",
        "allow_dhcp_server",
        "flood",
        "multicast",
        "host",
        "egress",
        "internal",
        " = ",
        "true",
        "false",
        "\"::/0\"",
        "/128",
        "/32",
        "/0",
        "ff:ff:ff:ff:ff:ff",
        "255.255.255.255",
        "::ffff:10.1.0.1",
        "fe80::",
        "16777215",
        "\"\"\"",
    ],
    seeds: || vec![CLUSTER_TEXT.into(), b"[[node]]\nname = \"h1\"\nvtep = \"fd88::1\"\n".to_vec()],
    read: cluster,
};

/// bindings.json.
pub(crate) const BINDINGS: Decoder = Decoder {
    name: "bindings",
    longest: 1024,
    words: &[
        "version",
        "checksum",
        "bindings",
        "netns",
        "ifname",
        "host_ifname",
        "\\u0000",
        "\\ud800",
        "null",
        "1e400",
    ],
    seeds: || {
        let former = BINDINGS_TEXT.as_bytes();
        [Some(former.to_vec()), decoders::bindings(former)].into_iter().flatten().collect()
    },
    read: bindings,
};

const CONFIG_TEXT: &str = r#"[node]
name = "h1"
underlay = "eth0"
underlay_mode = "tc"
hooks = "auto"
[vxlan]
port = 4790
shared = true
[cluster]
engine = "file"
[cluster.file]
path = "/etc/overlay/cluster.toml"
[api]
group = "overlay"
admins = ["ann", 2000]
[trace]
sample = 100
[log]
format = "json"
"#;

const CLUSTER_TEXT: &str = r#"[[node]]
name = "h1"
vtep = ["10.88.0.1", "fd88::1"]
[[node]]
name = "h2"
vtep = "10.88.0.9"
kind = "external"
[[network]]
name = "blue"
vni = 42
subnets = ["10.1.0.0/24", "fd00:1::/64"]
gateways = ["10.1.0.254"]
mtu = 1400
encrypted = false
[[endpoint]]
network = "blue"
node = "h1"
ips = ["10.1.0.1", "fd00:1::1"]
mac = "02:42:0a:01:00:01"
name = "web"
[[endpoint]]
network = "blue"
node = "h2"
ips = ["10.1.0.2"]
allowed_ips = ["192.168.0.0/16", "10.9.9.9"]
allowed_macs = ["02:00:00:00:00:07"]
allow_ra = true
"#;

const BINDINGS_TEXT: &str = r#"{"version":1,"bindings":{"blue.02420a010001":{"netns":"/run/netns/a","ifname":"eth0","host_ifname":"ovabc"}}}"#;

/// An error is one short line about a place of the text.
fn check_error(text: &str, error: &DocumentError) {
    assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}");
    assert!(error.column >= 1, "{error}");
    let shown = error.to_string();
    assert!(!shown.contains('\n') && shown.len() < 2048, "{shown}");
}

fn config(input: &[u8]) -> bool {
    let Ok(text) = decoders::text(input) else { return false };
    match Config::parse(&text, "host") {
        Ok(_) => true,
        Err(error) => {
            check_error(&text, &error);
            false
        }
    }
}

fn cluster(input: &[u8]) -> bool {
    let Ok(text) = decoders::text(input) else { return false };
    match Cluster::parse(&text) {
        Ok(cluster) => {
            check_blocks(&cluster);
            check_tables(cluster);
            true
        }
        Err(error) => {
            check_error(&text, &error);
            false
        }
    }
}

/// The blocks that the agent proposes to paste are what the file takes.
fn check_blocks(cluster: &Cluster) {
    let node = |node: &overlay_user::cluster::Node| {
        let vteps: Vec<String> = node.vteps.iter().map(|vtep| format!("\"{vtep}\"")).collect();
        format!("[[node]]\nname = \"{}\"\nvtep = [{}]\n", node.name, vteps.join(", "))
    };
    let mut text: String = cluster.nodes.values().map(node).collect();
    for network in cluster.networks.values() {
        text += &network_block(&network.name, network.vni, &network.subnets, &network.gateways, network.mtu);
    }
    for endpoint in cluster.endpoints.values() {
        let name = endpoint.name.as_deref();
        text += &endpoint_block(&endpoint.network, &endpoint.node, &endpoint.ips, Some(endpoint.mac), name);
    }
    let again = Cluster::parse(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    assert!(again.endpoints.keys().eq(cluster.endpoints.keys()), "{text}");
}

/// What is accepted has tables, and a plan that leads to them.
fn check_tables(cluster: Cluster) {
    for network in cluster.networks.values() {
        if let Some(free) = cluster.free_address(network) {
            assert!(network.subnet_of(free).is_some(), "{free}");
        }
    }
    for endpoint in cluster.endpoints.values() {
        let network = &cluster.networks[&endpoint.network];
        assert_eq!(endpoint.addresses_with_prefix(network).len(), endpoint.ips.len(), "{endpoint:?}");
        assert_eq!(endpoint.id().to_string().parse(), Ok(endpoint.id()));
    }
    let Some(own) = cluster.nodes.values().next().cloned() else { return };
    let endpoints: Vec<_> = cluster.endpoints.keys().cloned().collect();
    let mut state = State::new(own.name, 4789);
    state.apply(Event::Cluster(cluster));
    state.apply(Event::Underlay(Underlay {
        ifindex: Ifindex(2),
        mac: MacAddr::new([2, 0, 0, 0, 0, 1]),
        vteps: own.vteps,
        mtu: 1500,
        next_hops: BTreeMap::<IpAddr, _>::new(),
        xdp: false,
        anchors: Anchors::default(),
        shared: false,
    }));
    for (id, index) in endpoints.into_iter().zip(10..) {
        state.apply(Event::PortUp { id, ifindex: Ifindex(index) });
    }
    let Some(desired) = state.tables() else { panic!("no tables") };
    let mut installed = Tables::default();
    for op in plan::diff(&desired, &installed) {
        op.apply_to(&mut installed);
    }
    assert_eq!(installed, desired);
}

fn bindings(input: &[u8]) -> bool {
    let Some(written) = decoders::bindings(input) else { return false };
    assert_eq!(decoders::bindings(&written), Some(written));
    true
}
