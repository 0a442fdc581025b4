//! Datagrams at the port of the gossip that are none of the cluster's.

use std::{
    fs,
    io::IoSlice,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use etherparse::PacketBuilder;
use overlay_tests::{Capture, Netns, Random, figure, full};
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType,
    sendmsg_addr, socket_with,
};
use std::collections::BTreeMap;

use crate::fleet::{Fleet, millis, until};

const PORT: u16 = 7950;
/// From these bytes of a frame on it is the datagram's content: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;
/// Datagrams in a second.
const RATE: u32 = 20_000;
/// How long a new endpoint may take to be on all afterwards.
const LIMIT: Duration = Duration::from_millis(500);
/// Seconds of a CPU that an agent may spend on a datagram.
const MOST_CPU: f64 = 100e-6;
/// By how much an agent may grow, in KiB.
const GROWTH: u64 = 32 << 10;

/// Sends datagrams from any address, as whoever is on the underlay can.
struct Attacker {
    socket: OwnedFd,
    from: SocketAddrV4,
    to: SocketAddrV4,
}

impl Attacker {
    fn send(&self, content: &[u8]) {
        let mut packet = Vec::with_capacity(HEADERS + content.len());
        let builder = PacketBuilder::ipv4(self.from.ip().octets(), self.to.ip().octets(), 64);
        let builder = builder.udp(self.from.port(), self.to.port());
        builder.write(&mut packet, content).expect("a Vec takes everything");
        let mut none = SendAncillaryBuffer::default();
        let sent =
            sendmsg_addr(&self.socket, &self.to, &[IoSlice::new(&packet)], &mut none, SendFlags::empty());
        sent.expect("sent");
    }
}

/// What the nodes have really sent to the first, by its content.
fn real(fleet: &Fleet) -> Vec<Vec<u8>> {
    let filter = format!("udp dst port {PORT} and dst host 10.88.0.1");
    let mut capture = Capture::start(&fleet.lab.underlay.netns, "h1", &filter).expect("a capture");
    thread::sleep(Duration::from_secs(5));
    let rows = capture.fields("udp", &["udp.payload"]).expect("frames");
    let bytes = |row: &Vec<String>| {
        let text = row[0].as_bytes().chunks(2);
        text.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<u8>>>()
    };
    rows.iter().filter_map(bytes).filter(|content| !content.is_empty()).collect()
}

/// One of four kinds: as it was, with a flipped bit, cut short, and nothing like it.
fn hostile(random: &mut Random, real: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut below = |limit: usize| random.below(limit as u64) as usize;
    let mut content = real[below(real.len())].clone();
    match number % 4 {
        0 => {}
        1 => {
            let place = below(content.len());
            content[place] ^= 1 << below(8);
        }
        2 => content.truncate(below(content.len())),
        _ => {
            content = vec![0; below(1400)];
            content.fill_with(|| below(256) as u8);
        }
    }
    content
}

/// The seconds of a CPU and the KiB of memory that a process has used.
fn used(pid: u32) -> (f64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    (ticks as f64 / 100.0, line.trim().trim_end_matches(" kB").parse().expect("a number"))
}

fn counters(fleet: &Fleet) -> BTreeMap<String, u64> {
    fleet.status(0).gossip.expect("it gossips").counters
}

#[test]
fn datagrams_of_others_change_nothing() {
    let mut fleet = Fleet::new("hostile", 3);
    fleet.populate();
    let evil = Netns::new_over("ovt-hostile-evil").expect("a namespace");
    fleet
        .lab
        .underlay
        .attach(&evil, "eth0", Ipv4Addr::new(10, 88, 0, 99).into(), 24, "evil")
        .expect("attached");
    let socket = evil.enter(|| {
        let raw = RawProtocol::new(255).expect("not 0");
        socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(Protocol::from_raw(raw)))
    });
    let socket = socket.expect("inside").expect("root may");
    let real = real(&fleet);
    assert!(real.len() >= 10, "the control: {} datagrams were captured", real.len());
    let from = |last| SocketAddrV4::new(Ipv4Addr::new(10, 88, 0, last), PORT);
    let mut attacker = Attacker { socket, from: from(2), to: from(1) };
    let (lists, mark): (Vec<_>, _) = (fleet.all().map(|host| fleet.list(host)).collect(), fleet.mark());
    let (before, used_before) = (counters(&fleet), used(fleet.pid(0)));
    let count = if full() { 1_000_000 } else { 100_000 };
    let (mut random, start) = (Random::for_test("hostile"), Instant::now());
    for number in 0..count {
        // From a peer's address, and from one that is nobody's.
        attacker.from = from(if number % 8 < 6 { 2 + (number % 2) as u8 } else { 99 });
        attacker.send(&hostile(&mut random, &real, number));
        let due = Duration::from_secs(1) * number as u32 / RATE;
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    thread::sleep(Duration::from_secs(1));
    let (after, used_after) = (counters(&fleet), used(fleet.pid(0)));
    for host in fleet.all() {
        assert_eq!(fleet.list(host), lists[host], "on {}", fleet.name(host));
        let events = fleet.since(&mark, host);
        assert!(events.iter().all(|(_, what)| what == "known"), "{events:?}");
    }
    let moved = |name: &str| after[name] - before[name];
    let refused: u64 = ["unknown_key", "forged", "malformed", "replayed", "other_session", "no_room"]
        .map(moved)
        .iter()
        .sum();
    figure(
        "hostile",
        "datagrams sent, received, refused",
        format!("{count}, {}, {refused}", moved("received")),
    );
    let (cpu, grown) = (used_after.0 - used_before.0, used_after.1.saturating_sub(used_before.1));
    let seconds = start.elapsed().as_secs_f64();
    figure("hostile", "CPU seconds, and KiB more", format!("{cpu:.1} of {seconds:.0}, {grown}"));
    assert_eq!(moved("received"), moved("opened") + refused, "each is counted once: {before:?} {after:?}");
    assert!(refused > count / 2, "the control: they came to the agent: {refused}");
    assert!(cpu < MOST_CPU * count as f64 + 0.1 * seconds, "{cpu} s");
    assert!(grown < GROWTH, "{grown} KiB");
    let container = Netns::new_over("ovt-hostile-n").expect("a namespace");
    fleet.add(1, &container, "e0", &[]);
    let id = fleet.add(1, &container, "e1", &[]).id;
    let seen = Instant::now();
    for host in fleet.all() {
        until(&format!("{id} is on {}", fleet.name(host)), LIMIT, || fleet.lists(host, &id));
    }
    figure("hostile", "afterwards, until a new endpoint is on all", millis(seen.elapsed()));
}
