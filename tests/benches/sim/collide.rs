//! What two sides of a split do that cannot both hold.

use std::net::{IpAddr, Ipv4Addr};

use overlay_common::{MacAddr, Vni};
use overlay_user::membership::machine::Wanted;

use super::{
    net::Id,
    story::{Told, definition},
    world::{World, percent, pick},
};

/// Networks that only both sides of a split make.
const TORN: [&str; 3] = ["teal", "lime", "plum"];
/// Of a hundred collisions, so many in which the second side's claim is a later one.
const LATER: u64 = 50;

/// A node of each side.
fn both(world: &mut World) -> Option<(Id, Id)> {
    let ready = world.ready();
    let (left, right): (Vec<Id>, Vec<Id>) = ready.into_iter().partition(|id| world.hosts[*id].side == 0);
    let (a, b) = (*pick(&mut world.random, &left)?, *pick(&mut world.random, &right)?);
    Some(if percent(&mut world.random, 50) { (a, b) } else { (b, a) })
}

/// Has both sides of a split do something that meets when it heals.
pub(crate) fn collide(world: &mut World, told: &mut Told) {
    let Some(sides) = both(world) else { return };
    told.collisions += 1;
    let number = world.random.below(8) as u8;
    match world.random.below(10) {
        0..3 => address(world, sides, number),
        3..6 => mac(world, sides, number),
        6..8 => name(world, sides, number),
        8 => vni(world, sides, number),
        _ => again(world, sides),
    }
}

/// Two endpoints want one address.
fn address(world: &mut World, (a, b): (Id, Id), number: u8) {
    let ip = IpAddr::V4(Ipv4Addr::new(10, 1, 14, number));
    for (id, own) in [(a, 0), (b, 1)] {
        // Both with a MAC address of its own, or both with that of the address.
        let mac = (number.is_multiple_of(2)).then(|| MacAddr::new([2, 0, 0, 14, number, own]));
        add(world, id, "blue", vec![ip], mac);
        later(world, b);
    }
}

/// Two endpoints want one MAC address.
fn mac(world: &mut World, (a, b): (Id, Id), number: u8) {
    let mac = MacAddr::new([2, 0, 0, 13, 0, number]);
    for (id, own) in [(a, 1), (b, 129)] {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 1, 13, own + number));
        add(world, id, "green", vec![ip], Some(mac));
        later(world, b);
    }
}

/// Both sides make a network of one name, and an endpoint in it.
fn name(world: &mut World, (a, b): (Id, Id), number: u8) {
    let network = TORN[usize::from(number) % TORN.len()];
    for (id, own) in [(a, 1), (b, 2)] {
        // With the same VNI, or another.
        let vni = Vni::new(if number < 4 { 500 } else { 500 + own }).ok();
        make(world, id, network, vni);
        add(world, id, network, vec![IpAddr::V4(Ipv4Addr::new(10, 1, 12, own as u8))], None);
        later(world, b);
    }
}

/// Both sides make a network of one VNI.
fn vni(world: &mut World, (a, b): (Id, Id), number: u8) {
    let vni = Vni::new(600 + u32::from(number)).ok();
    for (id, name) in [(a, format!("left-{number}")), (b, format!("right-{number}"))] {
        make(world, id, &name, vni);
        add(world, id, &name, vec![IpAddr::V4(Ipv4Addr::new(10, 1, 12, 3))], None);
        later(world, b);
    }
}

/// One side goes on with a network that the other deletes and makes again.
fn again(world: &mut World, (a, b): (Id, Id)) {
    let Some(agent) = world.hosts[b].agent.as_mut() else { return };
    let name = TORN.into_iter().find(|name| agent.machine.delete_network(name).is_ok());
    let Some(name) = name else { return };
    if percent(&mut world.random, 50) {
        make(world, b, name, Vni::new(700).ok());
        add(world, b, name, vec![IpAddr::V4(Ipv4Addr::new(10, 1, 12, 4))], None);
    }
    world.publish(b);
    add(world, a, name, vec![IpAddr::V4(Ipv4Addr::new(10, 1, 12, 5))], None);
}

/// Now and then, something else happens on a node first, so that what it does next is later than the other's.
fn later(world: &mut World, id: Id) {
    if percent(&mut world.random, LATER) {
        let number = world.random.below(200) as u8;
        add(world, id, "blue", vec![IpAddr::V4(Ipv4Addr::new(10, 1, 11, number))], None);
    }
}

fn make(world: &mut World, id: Id, network: &str, vni: Option<Vni>) {
    if let Some(agent) = world.hosts[id].agent.as_mut() {
        // Where it is there already, that is as well.
        let _made = agent.machine.create_network(network, vni, definition(network));
        world.publish(id);
    }
}

fn add(world: &mut World, id: Id, network: &str, ips: Vec<IpAddr>, mac: Option<MacAddr>) {
    if let Some(agent) = world.hosts[id].agent.as_mut() {
        // Where it is taken on this side, nothing collides.
        let _added = agent.machine.add_endpoint(Wanted { network: network.to_owned(), ips, mac, name: None });
        world.publish(id);
    }
}
