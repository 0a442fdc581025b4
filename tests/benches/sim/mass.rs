//! A node that has most of the cluster's endpoints comes back without its disk: its peers' guards hold them up.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use overlay_tests::Random;
use overlay_user::membership::{
    guard::{FEW, Guard, HOLD},
    limits::Limits,
    machine::Wanted,
};

use super::{
    check::Wrong,
    net::Id,
    story::{Rules, definition},
    world::{Weather, World, percent},
};

/// The node that has most, and the one that watches it.
const FULL: Id = 0;
const WATCHER: Id = 1;
/// How long news may take to reach all, in milliseconds.
const SPREAD: u64 = 12_000;

/// What becomes of the node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It comes back without its disk, and nobody does anything.
    Wiped,
    /// So it does, and an operator accepts it.
    Accepted,
    /// It dies.
    Dead,
}

/// A guarded view of the watcher.
struct Watch {
    guard: Guard,
    world: World,
}

impl Watch {
    /// Lets the clock take a step; how many endpoints of the full node are in force, and how many are held up.
    fn step(&mut self) -> Result<(usize, usize), Wrong> {
        self.world.step()?;
        let Some(agent) = &self.world.hosts[WATCHER].agent else {
            return Err(Wrong("it is gone".to_owned()));
        };
        let now = Duration::from_millis(self.world.now);
        let (view, held) = self.guard.next(agent.machine.view(), now);
        let name = &self.world.hosts[FULL].name;
        let there = view.cluster.endpoints.values().filter(|endpoint| endpoint.node == *name).count();
        Ok((there, held.map_or(0, |held| held.endpoints)))
    }

    /// Steps until so many are in force, for so long at most; the time that passed.
    fn until(&mut self, count: usize, time: u64) -> Result<u64, Wrong> {
        let start = self.world.now;
        while self.world.now < start + time {
            if self.step()?.0 == count {
                return Ok(self.world.now - start);
            }
        }
        Err(self.world.wrong(WATCHER, &format!("does not see {count} endpoints")))
    }
}

/// Runs one such story.
pub(crate) fn run(seed: u64, rules: Rules) -> Result<(), Wrong> {
    let mut random = Random::new(seed);
    let count = FEW + 1 + random.below(100) as usize;
    let fate = [Fate::Wiped, Fate::Accepted, Fate::Dead][random.below(3) as usize];
    let weather = Weather { loss: random.below(11), doubled: 5, delay: 1 + random.below(200) };
    let nodes = 2 + random.below(4) as usize;
    let mut world = World::new(nodes, weather, Limits::GOSSIP, random, rules);
    fill(&mut world, count);
    let mut watch = Watch { guard: Guard::new(&super::world::name(WATCHER)), world };
    watch.until(count, SPREAD)?;
    if fate == Fate::Dead {
        watch.world.kill(FULL);
        watch.world.hosts[FULL].is_up = false;
        // Nothing but the silence that it takes to be dead.
        return watch.until(0, SPREAD).map(drop);
    }
    watch.world.wipe(FULL);
    watch.world.start(FULL);
    let held = loop {
        match watch.step()? {
            (there, 0) if there == count => {}
            (there, held) if there == count => break held,
            _ => return Err(watch.world.wrong(WATCHER, "has lost most endpoints at once")),
        }
    };
    if held != count {
        return Err(watch.world.wrong(WATCHER, &format!("holds up {held} endpoints of {count}")));
    }
    let hold = HOLD.as_millis() as u64;
    if fate == Fate::Accepted {
        watch.guard.accept();
        return match watch.step()? {
            (0, 0) => Ok(()),
            _ => Err(watch.world.wrong(WATCHER, "holds up what was accepted")),
        };
    }
    let taken = percent(&mut watch.world.random, 50) && take_over(&mut watch, count)?;
    let left = watch.until(0, hold)?;
    if !taken && left < hold - 1_000 {
        return Err(watch.world.wrong(WATCHER, &format!("has held up for {left} ms only")));
    }
    Ok(())
}

/// Has the full node make a network and fill it.
fn fill(world: &mut World, count: usize) {
    let Some(agent) = world.hosts[FULL].agent.as_mut() else { return };
    let _made = agent.machine.create_network("blue", None, definition("blue"));
    for number in 0..count {
        let _added = agent.machine.add_endpoint(wanted(number));
    }
    world.publish(FULL);
}

fn wanted(number: usize) -> Wanted {
    let ip = Ipv4Addr::new(10, 1, 8 + (number / 250) as u8, 1 + (number % 250) as u8);
    Wanted { network: "blue".to_owned(), ips: vec![IpAddr::V4(ip)], mac: None, name: None }
}

/// Has another node take one of the addresses: that one goes at once, and no other.
fn take_over(watch: &mut Watch, count: usize) -> Result<bool, Wrong> {
    let Some(agent) = watch.world.hosts[WATCHER].agent.as_mut() else { return Ok(false) };
    if let Err(refusal) = agent.machine.add_endpoint(wanted(0)) {
        return Err(Wrong(format!("a free address is refused: {refusal}")));
    }
    watch.world.publish(WATCHER);
    match watch.step()? {
        (there, held) if there == count - 1 && held == count - 1 => Ok(true),
        (there, held) => Err(Wrong(format!("of {count} endpoints {there} are there, {held} held up"))),
    }
}
