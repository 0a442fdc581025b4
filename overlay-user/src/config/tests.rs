//! What overlay.toml may say, and what it is told when it says something else.

use std::fs;

use proptest::prelude::*;

use super::*;

const VALID: &str = r#"[node]
name = "h1"
underlay = "eth0"
[vxlan]
port = 4790
[cluster]
engine = "file"
[cluster.file]
path = "/tmp/cluster.toml"
[api]
group = "overlay"
admins = ["ann", 2000]
[trace]
sample = 100
[log]
format = "json"
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "{from}");
    Config::parse(&VALID.replacen(from, to, 1), "host").expect_err(to).to_string()
}

#[test]
fn a_full_file_is_read() {
    let config = Config::parse(VALID, "host").expect("valid");
    assert_eq!(config.node.name, "h1");
    assert_eq!((config.node.underlay.as_deref(), config.node.vteps), (Some("eth0"), None));
    assert_eq!(config.vxlan.port, 4790);
    assert_eq!(config.cluster.file.path, Path::new("/tmp/cluster.toml"));
    assert_eq!(config.api.group.as_deref(), Some("overlay"));
    assert_eq!(config.api.admins, ["ann", "2000"]);
    assert_eq!(config.trace.sample, 100);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_least_file_gets_the_defaults() {
    let config = Config::parse("[node]\nvtep = \"10.88.0.1\"", "host.example").expect("valid");
    assert_eq!(config.node.name, "host.example");
    assert_eq!(config.node.vteps.map(|vteps| vteps.to_string()).as_deref(), Some("10.88.0.1"));
    let both = Config::parse("[node]\nvtep = [\"fd88::1\", \"10.88.0.1\"]", "host").expect("valid");
    assert_eq!(both.node.vteps.map(|vteps| vteps.to_string()).as_deref(), Some("fd88::1, 10.88.0.1"));
    assert_eq!(config.vxlan.port, 4789);
    assert_eq!(config.cluster.engine, Engine::File);
    assert_eq!(config.cluster.file.path, Path::new("/etc/overlay/cluster.toml"));
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!((config.api, config.trace.sample), (ApiSection::default(), 0));
}

#[test]
fn the_node_is_who_it_can_be() {
    assert_eq!(
        refused("underlay = \"eth0\"", "underlay = \"eth0\"\nvtep = \"10.88.0.1\""),
        "4:8: node.vtep: node.underlay is there too, and each implies the other; remove one"
    );
    assert_eq!(
        refused("underlay = \"eth0\"\n", ""),
        "1:1: node: underlay is missing; add underlay = \"eth0\" or vtep = \"10.88.0.1\""
    );
    assert_eq!(
        Config::parse("", "host").expect_err("empty").to_string(),
        "1:1: the table [node] is missing; add [node] with underlay = \"eth0\" or vtep = \"10.88.0.1\""
    );
    assert_eq!(
        refused("\"eth0\"", "\"a-very-long-device\""),
        "3:12: node.underlay: \"a-very-long-device\" cannot name a network device; write it like \"eth0\""
    );
    assert_eq!(
        refused("underlay = \"eth0\"", "vtep = \"127.0.0.1\""),
        "3:8: node.vtep: 127.0.0.1 is a loopback address; give the node's address on the underlay"
    );
    assert_eq!(
        refused("underlay = \"eth0\"", "vtep = \"h1\""),
        "3:8: node.vtep: \"h1\" is no IP address; write it like \"10.1.0.7\" or \"fd00:1::7\""
    );
    assert_eq!(
        Config::parse("[node]\nunderlay = \"eth0\"", "my host").expect_err("a blank").to_string(),
        "1:1: node: the host name cannot name the node (\"my host\" is no name; use letters, digits, \".\", \"_\" and \"-\" only); add name = \"h1\""
    );
}

#[test]
fn engines() {
    for engine in ["etcd", "kubernetes"] {
        assert_eq!(
            refused("engine = \"file\"", &format!("engine = \"{engine}\"\n[cluster.{engine}]\na = 1")),
            format!(
                "7:10: cluster.engine: engine \"{engine}\" is not built into this version: use \"gossip\" or \"file\""
            )
        );
    }
    assert_eq!(
        refused("engine = \"file\"", "engine = \"fiel\""),
        "7:10: cluster.engine: unknown engine \"fiel\"; did you mean \"file\"?"
    );
}

#[test]
fn keys_types_and_ranges() {
    assert_eq!(
        refused("underlay =", "underlai ="),
        "3:1: node: unknown key \"underlai\"; did you mean \"underlay\"?"
    );
    assert_eq!(refused("[trace]", "[trase]"), "13:2: unknown key \"trase\"; did you mean \"trace\"?");
    assert_eq!(
        refused("path =", "paht ="),
        "9:1: cluster.file: unknown key \"paht\"; did you mean \"path\"?"
    );
    assert_eq!(refused("4790", "0"), "5:8: vxlan.port: 0 is outside 1..65535; choose a number in that range");
    assert_eq!(
        refused("100", "-1"),
        "14:10: trace.sample: -1 is outside 0..4294967295; choose a number in that range"
    );
    assert_eq!(
        refused("\"overlay\"", "\"\""),
        "11:9: api.group: \"\" is no group; write its name or its number"
    );
    assert_eq!(
        refused("\"ann\"", "\"\""),
        "12:11: api.admins: \"\" is no user; write its name or its number"
    );
    assert_eq!(
        refused("[\"ann\", 2000]", "\"ann\""),
        "12:10: api.admins: an array belongs here, not a string; write it in square brackets"
    );
    assert_eq!(
        refused("2000]", "4294967295]"),
        "12:18: api.admins: 4294967295 is outside 0..4294967294; choose a number in that range"
    );
    assert_eq!(refused("admins =", "admin ="), "12:1: api: unknown key \"admin\"; did you mean \"admins\"?");
    assert_eq!(
        refused("\"json\"", "\"jsno\""),
        "16:10: log.format: unknown format \"jsno\"; did you mean \"json\"?"
    );
    assert_eq!(
        refused("\"json\"", "\"logfmt\""),
        "16:10: log.format: unknown format \"logfmt\"; the formats are text, json"
    );
    assert_eq!(
        refused("format =", "fromat ="),
        "16:1: log: unknown key \"fromat\"; did you mean \"format\"?"
    );
    assert_eq!(refused("[log]", "[logs]"), "15:2: unknown key \"logs\"; did you mean \"log\"?");
    let config = Config::parse(&VALID.replace("\"overlay\"", "1000"), "host").expect("valid");
    assert_eq!(config.api.group.as_deref(), Some("1000"));
    assert_eq!(
        Config::parse("node = 1", "host").expect_err("a number").to_string(),
        "1:8: node: a table belongs here, not an integer; write it as [node]"
    );
}

#[test]
fn an_error_names_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("overlay.toml");
    let shown = path.display();
    let error = Config::load(&path).expect_err("no file").to_string();
    assert_eq!(error, format!("{shown}: there is no such file; create it, or name another"));
    fs::write(&path, VALID.replace("port", "prot")).expect("a write");
    let error = Config::load(&path).expect_err("a slip").to_string();
    assert_eq!(error, format!("{shown}:5:1: vxlan: unknown key \"prot\"; did you mean \"port\"?"));
    fs::write(&path, "[node]\nunderlay = \"eth0\"").expect("a write");
    assert!(!Config::load(&path).expect("valid").node.name.is_empty());
}

proptest! {
    #[test]
    fn a_mutated_file_is_refused_or_read(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[ -~\\n]{0,3}"), 1..4),
    ) {
        let mut text = VALID.to_owned();
        for (at, length, new) in edits {
            let at = at.index(text.len());
            let end = (at + length.index(8)).min(text.len());
            text.replace_range(at..end, &new);
        }
        if let Err(error) = Config::parse(&text, "host") {
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

/// The text of the README between two headings of the same depth.
fn section(heading: &str) -> &'static str {
    let readme = include_str!("../../../README.md");
    let start = readme.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &readme[start + heading.len() + 2..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

fn examples(text: &str) -> Vec<&str> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_examples_of_the_readme_are_valid() {
    for heading in ["## Use it on hosts", "## overlay.toml", "## cluster.toml"] {
        let examples = examples(section(heading));
        assert!(!examples.is_empty(), "{heading}");
        for example in examples {
            let result = if example.contains("[[") {
                crate::cluster::Cluster::parse(example).map(|_| ())
            } else {
                Config::parse(example, "host").map(|_| ())
            };
            assert_eq!(result.map_err(|error| error.to_string()), Ok(()), "{heading}: {example}");
        }
    }
}

#[test]
fn the_complete_example_has_every_key_of_the_table() {
    let text = section("## overlay.toml");
    let example = examples(text)[0];
    let keys = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(key, _)| key);
    let keys: Vec<_> = keys.collect();
    assert!(keys.len() > 8, "{keys:?}");
    for key in keys {
        let (table, name) = key.rsplit_once('.').expect("a table and a key");
        let body = example.split(&format!("[{table}]\n")).nth(1).unwrap_or_else(|| panic!("no [{table}]"));
        let body = body.split("\n[").next().unwrap_or_default();
        assert!(body.contains(&format!("{name} = ")), "{key} is not in the example");
    }
}
