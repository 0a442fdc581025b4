//! What happens in one run: all of it follows from the seed.

use std::net::{IpAddr, Ipv4Addr};

use overlay_tests::Random;
use overlay_user::membership::{
    limits::Limits,
    machine::Wanted,
    record::{Definition, Key, Mode},
    refusal::Refusal,
};

use super::{
    check::{self, Seen, Wrong},
    collide::collide,
    net::Id,
    world::{STEP, Weather, World, percent, pick},
};

/// How long things happen, in milliseconds.
const STORY: u64 = 25_000;
/// How long all is quiet before everything is compared: what a cluster may take to heal.
const QUIET: u64 = 10_000;
/// Of a hundred steps of a split cluster, so many in which its sides do what cannot both hold.
const COLLIDE: u64 = 15;
/// So many addresses are asked for by name.
const STATIC: u64 = 6;
const NETWORKS: [&str; 3] = ["blue", "green", "red"];
/// One of them that has few blocks, so that several nodes want the same.
const SMALL: &str = "red";
/// A network that has no endpoint: it is made and deleted.
const EMPTY: &str = "grey";
/// A prefix that nobody asks for an address of by name.
const RESERVED: &str = "10.1.4.0/22";

/// What a run came to, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) nodes: u64,
    pub(crate) commands: u64,
    pub(crate) endpoints: u64,
    pub(crate) refused: u64,
    pub(crate) faults: u64,
    pub(crate) collisions: u64,
    pub(crate) conflicts: u64,
}

impl Told {
    pub(crate) fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.commands += other.commands;
        self.endpoints += other.endpoints;
        self.refused += other.refused;
        self.faults += other.faults;
        self.collisions += other.collisions;
        self.conflicts += other.conflicts;
    }
}

/// By which rules the nodes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// All.
    Whole,
    /// All but one: that a deleted network stays deleted.
    Broken,
}

/// What may befall a run.
struct Plan {
    crashes: bool,
    splits: bool,
    busy: u64,
}

/// Runs one story.
pub(crate) fn run(seed: u64, rules: Rules) -> Result<Told, Wrong> {
    let mut random = Random::new(seed);
    let third = random.below(1000);
    // Small clusters often, large ones seldom.
    let count = 2 + (third * third * third * 49 / 1_000_000_000) as usize;
    let weather = Weather { loss: random.below(31), doubled: random.below(11), delay: 1 + random.below(400) };
    let plan =
        Plan { crashes: random.below(2) == 0, splits: random.below(2) == 0, busy: 2 + random.below(20) };
    // Clusters that are full now and then.
    let limits = if random.below(4) == 0 {
        Limits { endpoints: 8 + random.below(24) as usize, networks: 3 + random.below(3) as usize }
    } else {
        Limits::GOSSIP
    };
    let mut world = World::new(count, weather, limits, random, rules);
    let mut told = Told { nodes: count as u64, ..Told::default() };
    let mut seen = Seen::default();
    for network in &NETWORKS[..2] {
        let id = world.random.below(count as u64) as Id;
        if let Some(agent) = world.hosts[id].agent.as_mut() {
            told.refused +=
                u64::from(agent.machine.create_network(network, None, definition(network)).is_err());
        }
        world.publish(id);
    }
    while world.now < STORY {
        world.step()?;
        retry(&mut world, &mut told);
        if world.hosts.iter().any(|host| host.side > 0) && percent(&mut world.random, COLLIDE) {
            collide(&mut world, &mut told);
        }
        if world.random.below(plan.busy) == 0 {
            act(&mut world, &mut told)?;
        }
        if world.random.below(30) == 0 {
            befall(&mut world, &plan, &mut told);
        }
        if world.now.is_multiple_of(5 * STEP) {
            seen.look(&mut world)?;
        }
    }
    world.heal();
    world.weather = Weather { loss: weather.loss.min(10), ..weather };
    let end = world.now + QUIET;
    while world.now < end {
        world.step()?;
    }
    told.endpoints = world
        .hosts
        .iter()
        .map(|host| host.disk.keys().filter(|key| matches!(key, Key::Endpoint(_))).count() as u64)
        .sum();
    // In bad weather, and among many, it may take longer to be contradicted than a claim waits.
    let may_lease_twice = plan.crashes || plan.splits || weather.loss > 10 || count > 16;
    told.conflicts = check::healed(&world, may_lease_twice)? as u64;
    Ok(told)
}

/// Somebody does something on some node.
fn act(world: &mut World, told: &mut Told) -> Result<(), Wrong> {
    let ready = world.ready();
    let Some(id) = pick(&mut world.random, &ready).copied() else { return Ok(()) };
    let network = NETWORKS[world.random.below(3) as usize];
    let what = world.random.below(100);
    let address = static_address(world.random.below(STATIC) as u8);
    let mine: Vec<_> = world.endpoints_of(id).into_iter().cloned().collect();
    let victim = pick(&mut world.random, &mine).cloned();
    let Some(agent) = world.hosts[id].agent.as_mut() else { return Ok(()) };
    told.commands += 1;
    let done = match what {
        0..12 => agent.machine.create_network(network, None, definition(network)).map(drop),
        12..15 => agent.machine.delete_network(network),
        15..65 => agent.machine.add_endpoint(wanted(network, Vec::new())).map(drop),
        // The small network's are all leased.
        65..75 if network != SMALL => agent.machine.add_endpoint(wanted(network, vec![address])).map(drop),
        75..80 => agent
            .machine
            .delete_network(EMPTY)
            .or_else(|_| agent.machine.create_network(EMPTY, None, definition(EMPTY)).map(drop)),
        80..83 => agent.machine.reserve(network, RESERVED.parse().expect("a prefix")),
        83..85 => agent.machine.unreserve(network, RESERVED.parse().expect("a prefix")),
        _ => victim.map_or(Ok(()), |victim| agent.machine.delete_endpoint(&victim)),
    };
    // Who does something sees it at once.
    if done.is_ok() && what < 15 && agent.machine.view().cluster.networks.contains_key(network) != (what < 12)
    {
        return Err(world.wrong(id, &format!("has made or deleted network {network}, and does not see it")));
    }
    match done {
        // As an agent does.
        Err(Refusal::Settling) => world.waiting.push((id, wanted(network, Vec::new()))),
        Err(_) => told.refused += 1,
        Ok(()) => {}
    }
    world.publish(id);
    Ok(())
}

/// Tries again what waited for a lease.
fn retry(world: &mut World, told: &mut Told) {
    for (id, wanted) in std::mem::take(&mut world.waiting) {
        if world.is_asleep(id) {
            world.waiting.push((id, wanted));
            continue;
        }
        let Some(agent) = world.hosts[id].agent.as_mut() else { continue };
        match agent.machine.add_endpoint(wanted.clone()) {
            Err(Refusal::Settling) => world.waiting.push((id, wanted)),
            Err(_) => told.refused += 1,
            Ok(_) => {}
        }
        world.publish(id);
    }
}

/// An address that is asked for by name. Above what is leased first, so that the two seldom meet.
fn static_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 1, 15, number + 1))
}

/// Whether an address is among those that are asked for by name, by one or by two at a time.
pub(crate) fn is_static(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if (11..16).contains(&ip.octets()[2]))
}

/// What a network of that name is.
pub(crate) fn definition(name: &str) -> Definition {
    let subnets: &[&str] = if name == SMALL { &["10.1.0.0/26"] } else { &["10.1.0.0/20", "fd00:1::/64"] };
    Definition {
        vni: 0,
        subnets: subnets.iter().map(|subnet| subnet.parse().expect("a prefix")).collect(),
        gateways: Vec::new(),
        reserved: Vec::new(),
        mtu: None,
        internal: false,
    }
}

fn wanted(network: &str, ips: Vec<IpAddr>) -> Wanted {
    Wanted { network: network.to_owned(), ips, mac: None, name: None }
}

/// Something befalls the cluster.
fn befall(world: &mut World, plan: &Plan, told: &mut Told) {
    let id = world.random.below(world.hosts.len() as u64) as Id;
    let what = world.random.below(12);
    match what {
        0..2 if plan.splits => {
            world.split();
            told.faults += 1;
        }
        2..4 if plan.splits => {
            for host in &mut world.hosts {
                host.side = 0;
            }
            world.disturbed_all();
        }
        4..6 if plan.crashes => {
            // A host dies.
            world.kill(id);
            world.hosts[id].is_up = false;
            world.hosts[id].calm_since = u64::MAX;
            told.faults += 1;
        }
        6..8 if plan.crashes => {
            if !world.hosts[id].is_up {
                world.hosts[id].is_up = true;
                world.hosts[id].calm_since = world.now;
            }
            if world.hosts[id].agent.is_none() {
                world.start(id);
            }
        }
        8 => {
            // An agent is killed, and started again at once or by the next such event.
            world.kill(id);
            told.faults += 1;
            if world.random.below(2) == 0 && world.hosts[id].is_up {
                world.start(id);
            }
        }
        9 if plan.crashes => {
            // An agent's disk is lost, and perhaps found empty at once.
            world.wipe(id);
            told.faults += 1;
            if world.random.below(2) == 0 && world.hosts[id].is_up {
                world.start(id);
            }
        }
        10 if plan.crashes => {
            // What is shorter is no jump of the clock.
            let time = 100 * (11 + world.random.below(150));
            world.sleep(id, time);
            told.faults += 1;
        }
        11 => {
            if let Some(agent) = world.hosts[id].agent.as_mut() {
                agent.machine.set_mode(Mode::Upgrading);
                world.publish(id);
                world.kill(id);
            }
            if world.hosts[id].is_up {
                world.start(id);
            }
        }
        _ => {}
    }
}
