//! What the tests share: small labs, drop counters, waiting.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Container, Host, Lab, Netns, Options, over_v4, patient};
use serde_json::Value;

/// The network of most tests.
pub(crate) const BLUE: &str = "blue";
/// Its VNI.
pub(crate) const BLUE_VNI: u32 = 42;
/// A second network, with the same subnets.
pub(crate) const RED: &str = "red";
/// Its VNI.
pub(crate) const RED_VNI: u32 = 43;
/// The subnets of both.
pub(crate) const SUBNETS: [&str; 2] = ["10.1.0.0/24", "fd00:1::/64"];
/// How long a capture may take to show what was sent.
const CAPTURE_LAG: Duration = Duration::from_millis(300);

/// The addresses of endpoint `number`.
pub(crate) fn addresses(number: u8) -> [IpAddr; 2] {
    [v4(number).into(), v6(number).into()]
}

/// The IPv4 address of endpoint `number`.
pub(crate) fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, number)
}

/// The IPv6 address of endpoint `number`.
pub(crate) fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, number.into())
}

/// The MAC address of endpoint `number`, which follows from its IPv4 address.
pub(crate) fn mac(number: u8) -> [u8; 6] {
    [0x02, 0x42, 10, 1, 0, number]
}

/// Hosts with both networks declared, no endpoints, no agents yet.
pub(crate) fn hosts(name: &str, count: u8) -> Lab {
    hosts_at(name, count, over_v4)
}

/// The same with VTEPs at other addresses.
pub(crate) fn hosts_at(name: &str, count: u8, vteps: fn(u8) -> Vec<IpAddr>) -> Lab {
    hosts_of(&Options { vteps, ..Options::for_test(name, count).expect("options") })
}

/// The same, made as these options say.
pub(crate) fn hosts_of(options: &Options) -> Lab {
    let mut lab = Lab::new(options).expect("a lab");
    lab.declare_network(BLUE, BLUE_VNI, &SUBNETS);
    lab.declare_network(RED, RED_VNI, &SUBNETS);
    lab
}

/// Starts the agents of a declared lab and binds its containers.
pub(crate) fn start(lab: &mut Lab) {
    lab.write_cluster().expect("cluster.toml");
    lab.start_agents().expect("agents");
    lab.bind_all().expect("bound");
    for host in &lab.hosts {
        wait_for("the next hops", Duration::from_secs(5), || {
            host.status().is_ok_and(|status| status["state"] == "healthy")
        });
    }
}

/// Two hosts; in blue, `a` (1) on the first and `b` (2) on the second.
pub(crate) fn pair(name: &str) -> Lab {
    pair_at(name, over_v4)
}

/// The same with VTEPs at other addresses.
pub(crate) fn pair_at(name: &str, vteps: fn(u8) -> Vec<IpAddr>) -> Lab {
    let mut lab = hosts_at(name, 2, vteps);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    start(&mut lab);
    lab
}

/// The container of that name.
pub(crate) fn container<'a>(lab: &'a Lab, name: &str) -> &'a Container {
    lab.container(name).expect("declared")
}

/// Panics unless both reach each other.
pub(crate) fn assert_connected(one: &Container, other: &Container) {
    for (from, to) in [(one, other), (other, one)] {
        for ip in &to.ips {
            assert!(from.netns.ping(*ip), "{} does not reach {ip} ({})", from.name, to.name);
        }
    }
}

/// What ping(8) says of one echo request that makes an IP packet of `size` bytes; over IPv4 it may be cut into fragments
/// on its way, or must not be (`whole`).
pub(crate) fn echo(from: &Netns, to: IpAddr, size: usize, whole: bool) -> String {
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (data, to) = ((size - headers).to_string(), to.to_string());
    let fragments = if whole { "do" } else { "dont" };
    let mut ping = from.command("ping");
    let output = ping.args(["-n", "-c", "1", "-W", "1", "-M", fragments, "-s", &data, &to]).output();
    String::from_utf8_lossy(&output.expect("ping runs").stdout).into_owned()
}

/// Whether an echo request was answered, as `echo` has it.
pub(crate) fn is_answered(said: &str) -> bool {
    said.contains(" 1 received")
}

/// Whether its sender was told the MTU of the way, in a message from another.
pub(crate) fn is_told(said: &str, mtu: usize) -> bool {
    said.contains("From ")
        && (said.contains(&format!("mtu = {mtu})")) || said.contains(&format!("mtu={mtu}\n")))
}

/// Has a container forget what it was told of the MTU of ways: it would keep that for ten minutes
/// (`net.ipv4.route.mtu_expires`).
pub(crate) fn forget_mtus(netns: &Netns) {
    for family in ["-4", "-6"] {
        netns.ip(&format!("{family} route flush cache")).expect("flushed");
    }
}

/// Waits until `done`; panics after `limit`. Returns how long it took.
pub(crate) fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let (start, limit) = (Instant::now(), patient(limit));
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

/// Lets a capture see what was sent until now.
pub(crate) fn let_capture_see() {
    thread::sleep(CAPTURE_LAG);
}

/// The devices of a namespace, by name.
pub(crate) fn links(netns: &Netns) -> BTreeMap<String, Value> {
    let links: Vec<Value> = serde_json::from_str(&netns.ip("-d -j link show").expect("links")).expect("JSON");
    links.into_iter().map(|link| (link["ifname"].as_str().expect("a name").to_owned(), link)).collect()
}

/// The host's ends of veths, by name.
pub(crate) fn veths(netns: &Netns) -> BTreeMap<String, Value> {
    let mut links = links(netns);
    links.retain(|name, link| name.starts_with("ov") && link["linkinfo"]["info_kind"] == "veth");
    links
}

/// The MAC address of a device.
pub(crate) fn device_mac(netns: &Netns, ifname: &str) -> [u8; 6] {
    let links = links(netns);
    let text = links[ifname]["address"].as_str().expect("an address");
    let octets: Vec<u8> =
        text.split(':').map(|octet| u8::from_str_radix(octet, 16).expect("hexadecimal")).collect();
    octets.try_into().expect("six octets")
}

/// The entry of a container in its host's `endpoint list`.
pub(crate) fn endpoint(host: &Host, name: &str) -> Value {
    let list = host.ask(&["endpoint", "list"]).expect("endpoints");
    let found = list.as_array().expect("a list").iter().find(|endpoint| endpoint["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not listed: {list}")).clone()
}

/// The programs of a host: name, number and hook.
pub(crate) fn programs(host: &Host) -> Vec<(String, u64, String)> {
    let status = host.status().expect("an answer");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let programs = status["programs"].as_array().expect("a list");
    let row = |row: &Value| (text(&row["name"]), row["id"].as_u64().expect("a number"), text(&row["hook"]));
    programs.iter().map(row).collect()
}

/// A counter of the frames that a host's programs sent on.
pub(crate) fn forwarded(host: &Host, counter: &str) -> u64 {
    host.status().expect("status")["forwarded"][counter].as_u64().expect("a counter")
}

/// The rows of a table of the kernel.
pub(crate) fn dump(host: &Host, table: &str) -> Vec<Value> {
    host.ask(&["dump", table]).expect("a dump").as_array().expect("a list").clone()
}

/// Drop counters of a host, by reason and network.
#[derive(Debug)]
pub(crate) struct Drops(BTreeMap<(String, Option<String>), u64>);

impl Drops {
    /// Reads them.
    pub(crate) fn read(host: &Host) -> Self {
        let rows = host.ask(&["drops"]).expect("drops");
        let row = |row: &Value| {
            let network = row["network"].as_str().map(str::to_owned);
            (
                (row["reason"].as_str().expect("a reason").to_owned(), network),
                row["count"].as_u64().expect("a count"),
            )
        };
        Self(rows.as_array().expect("a list").iter().map(row).collect())
    }

    /// What was counted since, but for broadcast and multicast, which containers send by themselves.
    pub(crate) fn since(&self, host: &Host) -> Moved {
        let now = Self::read(host).0;
        let moved = now.into_iter().map(|(key, count)| {
            let before = self.0.get(&key).copied().unwrap_or_default();
            (key, count - before)
        });
        Moved(moved.filter(|((reason, _), count)| *count > 0 && reason != "bum").collect())
    }
}

/// Drop counters that moved, and by how much.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved(BTreeMap<(String, Option<String>), u64>);

impl Moved {
    /// Panics unless exactly these moved.
    pub(crate) fn assert(&self, expected: &[(&str, Option<&str>, u64)], what: &str) {
        let key = |reason: &str, network: Option<&str>| (reason.to_owned(), network.map(str::to_owned));
        let expected = expected.iter().map(|(reason, network, count)| (key(reason, *network), *count));
        assert_eq!(self.0, expected.collect(), "{what}");
    }

    /// How often a reason was counted in a network.
    pub(crate) fn count(&self, reason: &str, network: &str) -> u64 {
        self.0.get(&(reason.to_owned(), Some(network.to_owned()))).copied().unwrap_or_default()
    }

    /// How often anything was counted but this reason.
    pub(crate) fn total_but(&self, reason: &str) -> u64 {
        self.0.iter().filter(|((name, _), _)| name != reason).map(|(_, count)| count).sum()
    }

    /// How often a reason was counted, in whichever network.
    pub(crate) fn total(&self, reason: &str) -> u64 {
        self.0.iter().filter(|((name, _), _)| name == reason).map(|(_, count)| count).sum()
    }
}
