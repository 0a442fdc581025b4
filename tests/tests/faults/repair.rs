//! What another deletes, alters or adds is repaired, and counted with what it was.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use overlay_common::{
    MacAddr,
    map::{Fdb, FdbKey, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Slice},
    vxlan::Vtep,
};
use overlay_tests::{Endpoint, Lab, Random, full, run};

use crate::{
    agents::{assert_healthy, host_programs},
    audit::{assert_counted, audit},
    figures::Row,
    pins::{Content, Pins, differing, keys},
    support::{BLUE, BLUE_VNI, RED_VNI, addresses, assert_connected, container, hosts, start, v4, wait_for},
};

/// How long links and small tables may take: the time between two audits, and grace.
pub(crate) const SMALL: Duration = Duration::from_secs(5 + 2);
/// How long a pass over the large tables may take, and grace.
const LARGE: Duration = Duration::from_secs(60 + 2);
/// Further networks that the second host has an endpoint in: members.
const NETWORKS: u32 = 20;

/// Two hosts as `pair`, in a cluster with many more endpoints on the second and many networks.
fn crowd(name: &str, endpoints: u32) -> Lab {
    let mut lab = hosts(name, 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("a");
    lab.declare_container(1, BLUE, "b", &addresses(2)).expect("b");
    let declare = |lab: &mut Lab, network: &str, number: u32| {
        let [_, _, high, low] = number.to_be_bytes();
        let v4 = Ipv4Addr::new(10, 2, high, low);
        let v6 = Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, u16::from_be_bytes([high, low]));
        let node = "h2".to_owned();
        lab.cluster.endpoints.push(Endpoint {
            network: network.to_owned(),
            node,
            ips: vec![v4.into(), v6.into()],
            ..Endpoint::default()
        });
    };
    lab.declare_network("crowd", 1000, &["10.2.0.0/16", "fd02::/64"]);
    (1..=endpoints).for_each(|number| declare(&mut lab, "crowd", number));
    for number in 1..=NETWORKS {
        let network = format!("n{number}");
        lab.declare_network(&network, 1000 + number, &["10.2.0.0/16", "fd02::/64"]);
        declare(&mut lab, &network, number);
    }
    start(&mut lab);
    lab
}

/// Waits until the tables are as before.
fn wait_repaired(pins: &Pins, before: &Content, limit: Duration, what: &str) -> Duration {
    let start = Instant::now();
    while pins.content() != *before {
        let left = differing(before, &pins.content());
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}: {left:?}");
        // A look reads all of `VTEPS`.
        thread::sleep(Duration::from_millis(200));
    }
    start.elapsed()
}

/// An entry that may go missing.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Fdb(FdbKey),
    Slot(u32),
    Neigh(NeighKey),
    Member(MemberKey),
    Port(u32),
}

impl Entry {
    fn all(pins: &Pins) -> Vec<Self> {
        let mut all: Vec<Self> = keys(&pins.fdb).into_iter().map(Self::Fdb).collect();
        all.extend(pins.used().into_iter().map(Self::Slot));
        all.extend(keys(&pins.neigh).into_iter().map(Self::Neigh));
        all.extend(keys(&pins.members).into_iter().map(Self::Member));
        all.extend(keys(&pins.ports).into_iter().map(Self::Port));
        all
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Fdb(_) | Self::Slot(_) => "fdb",
            Self::Neigh(_) => "neigh",
            // Its entry of VNI 0 is what makes a VTEP known.
            Self::Member(key) if key.vni == 0 => "vteps",
            Self::Member(_) => "members",
            Self::Port(_) => "ports",
        }
    }

    fn delete(self, pins: &mut Pins) {
        match self {
            Self::Fdb(key) => pins.fdb.remove(&key),
            Self::Slot(slot) => pins.slots.set(slot, Fdb::NONE, 0),
            Self::Neigh(key) => pins.neigh.remove(&key),
            Self::Member(key) => pins.members.remove(&key),
            Self::Port(key) => pins.ports.remove(&key),
        }
        .expect("it was there");
    }
}

#[test]
fn map_entries_deleted_at_random_come_back_and_are_counted() {
    let (count, endpoints) = if full() { (1000, 1500) } else { (100, 200) };
    let mut random = Random::for_test("deleted");
    let lab = crowd("deleted", endpoints);
    let host = &lab.hosts[0];
    let mut pins = Pins::open(host);
    let (content, before) = (pins.content(), audit(host));
    let all = Entry::all(&pins);
    // Of the small tables for certain, the rest by chance.
    let small = all.iter().filter(|entry| matches!(entry, Entry::Member(_) | Entry::Port(_))).copied();
    let (members, others): (Vec<_>, Vec<_>) = small.partition(|entry| entry.kind() == "members");
    let mut chosen = [others, random.choose(members, 5)].concat();
    let large =
        all.into_iter().filter(|entry| matches!(entry, Entry::Fdb(_) | Entry::Slot(_) | Entry::Neigh(_)));
    chosen.extend(random.choose(large.collect(), count - chosen.len()));
    for entry in &chosen {
        entry.delete(&mut pins);
    }
    let time = wait_repaired(&pins, &content, LARGE, "entries deleted");
    let of = |kind| chosen.iter().filter(|entry| entry.kind() == kind).count() as u64;
    let kinds = ["fdb", "neigh", "members", "vteps", "ports"].map(|kind| (kind, of(kind)));
    let note = format!("seed {}; {kinds:?}; repaired in {:.1} s", random.seed(), time.as_secs_f64());
    Row::new("map entries deleted", count).note(&note).add();
    assert_healthy(&lab);
    assert_counted(host, &before, &kinds);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

/// Alters one entry of a table, as whoever has the pins may.
type Alteration = (&'static str, &'static str, fn(&mut Pins));

const ALTERATIONS: [Alteration; 12] = [
    ("an FDB entry added", "fdb", |pins| {
        let key = FdbKey::new(BLUE_VNI, MacAddr::new([2, 0, 0, 0, 0, 0x66]));
        pins.fdb.insert(key, Fdb::remote(0, 0), 0).expect("set");
    }),
    ("a PORTS entry added", "ports", |pins| {
        let port = keys(&pins.ports)[0];
        let value = pins.ports.get(&port, 0).expect("an entry");
        pins.ports.insert(0x7fff_0000, value, 0).expect("set");
    }),
    ("an FDB entry altered", "fdb", |pins| {
        let slot = pins.slot(BLUE_VNI, MacAddr::new([2, 0x42, 10, 1, 0, 2]));
        pins.slots.set(slot, Fdb::local(1), 0).expect("set");
    }),
    ("a slot filled that no endpoint has", "fdb", |pins| {
        let slot = pins.slot(BLUE_VNI, MacAddr::new([2, 0x42, 10, 1, 0, 99]));
        pins.slots.set(slot, Fdb::remote(0, 0), 0).expect("set");
    }),
    ("a slot filled with what says nothing", "fdb", |pins| {
        let slot = pins.slot(BLUE_VNI, MacAddr::new([2, 0x42, 10, 1, 0, 98]));
        pins.slots.set(slot, Fdb::local(1).by(0), 0).expect("set");
    }),
    ("an FDB entry added of a MAC address that has a slot", "fdb", |pins| {
        let key = FdbKey::new(BLUE_VNI, MacAddr::new([2, 0x42, 10, 1, 0, 2]));
        pins.fdb.insert(key, Fdb::remote(0, 0), 0).expect("set");
    }),
    ("a NEIGH entry altered", "neigh", |pins| {
        let key = keys(&pins.neigh)[0];
        let value = Neigh::new(MacAddr::new([2, 0, 0, 0, 0, 0x66]));
        pins.neigh.insert(key, value, 0).expect("set");
    }),
    ("a MEMBERS entry added", "members", |pins| {
        let key = MemberKey::new(BLUE_VNI, IpAddr::from([10, 88, 0, 66]).into());
        pins.members.insert(key, Member { flags: 0, slice: Slice::NONE }, 0).expect("set");
    }),
    ("a cluster member added", "members", |pins| {
        let key = MemberKey::new(0, IpAddr::from([10, 88, 0, 66]).into());
        pins.members.insert(key, Member { flags: 0, slice: Slice::NONE }, 0).expect("set");
    }),
    ("a VTEPS entry altered", "vteps", |pins| {
        let mut vtep = pins.vteps.get(&0, 0).expect("an entry");
        vtep.flags ^= Vtep::ROUTED;
        pins.vteps.set(0, vtep, 0).expect("set");
    }),
    ("a NETS entry altered", "nets", |pins| {
        // Of a network without endpoints, so that no member's flags follow from it.
        let mut net = pins.nets.get(&RED_VNI, 0).expect("an entry");
        net.flags ^= Net::ENCRYPTED;
        pins.nets.insert(RED_VNI, net, 0).expect("set");
    }),
    ("CONFIG altered", "config", |pins| {
        let old = pins.config.get(&0, 0).expect("an entry");
        let new = NodeConfig::new(old.vteps(), old.underlay, 4790);
        pins.config.set(0, new, 0).expect("set");
    }),
];

#[test]
fn map_entries_altered_and_added_are_put_right_and_counted() {
    let lab = crowd("altered", 1);
    let host = &lab.hosts[0];
    let mut pins = Pins::open(host);
    let (content, before) = (pins.content(), audit(host));
    for (what, _, alter) in ALTERATIONS {
        let earlier = pins.content();
        alter(&mut pins);
        assert_eq!(differing(&earlier, &pins.content()).len(), 1, "{what}");
    }
    let time = wait_repaired(&pins, &content, LARGE, "entries altered");
    let note = format!("one of each kind; repaired in {:.1} s", time.as_secs_f64());
    Row::new("map entries altered or added", ALTERATIONS.len()).note(&note).add();
    let mut kinds = BTreeMap::new();
    for (_, kind, _) in ALTERATIONS {
        *kinds.entry(kind).or_insert(0) += 1;
    }
    assert_counted(host, &before, &kinds.into_iter().collect::<Vec<_>>());
    assert_healthy(&lab);
    assert_connected(container(&lab, "a"), container(&lab, "b"));
}

#[test]
fn a_detached_link_is_attached_again_and_counted() {
    let lab = crowd("detached", 1);
    let host = &lab.hosts[0];
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    for program in ["from_container", "from_underlay"] {
        let (attached, before) = (host_programs(host), audit(host));
        let (_, device) = attached.keys().find(|(name, _)| name == program).expect("attached");
        let pin = host.pin_dir.join(format!("links/{program}@{device}"));
        let pin = pin.to_str().expect("UTF-8");
        run(Command::new("bpftool").args(["link", "detach", "pinned", pin])).expect("detached");
        assert!(!a.netns.ping(v4(2).into()), "{program}: the control: it carried the traffic");
        let time = wait_for(&format!("{program} attached again"), SMALL, || {
            a.netns.ping(v4(2).into()) && host_programs(host).keys().eq(attached.keys())
        });
        let note = format!("{program}; repaired in {:.1} s", time.as_secs_f64());
        Row::new("a link detached", 1).note(&note).add();
        assert_counted(host, &before, &[("link", 1)]);
        assert_connected(a, b);
    }
}
