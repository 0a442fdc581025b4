//! Who has what, by what the hosts have on their disks.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use overlay_user::{
    cluster::EndpointId,
    membership::{
        ipam::{IpamProblem, SubnetUse},
        record::{EndpointRecord, Key, NetworkRecord, Record, Stamp},
        resolve::{View, Why},
    },
};

use super::{Wrong, beats, refused};
use crate::world::{Host, World};

/// An endpoint's record on a host's disk.
fn record<'h>(host: &'h Host, id: &EndpointId) -> Option<&'h EndpointRecord> {
    match host.disk.get(&Key::Endpoint(id.clone()))? {
        Record::Endpoint(record) => Some(record),
        Record::Node(_) | Record::Network(_) | Record::Block(_) => None,
    }
}

/// Every endpoint is seen where it lives, or does not hold for a reason that is true; and no other is seen.
pub(super) fn endpoints(world: &World, view: &View) -> Result<(), Wrong> {
    let mut all = BTreeSet::new();
    for (number, host) in world.hosts.iter().enumerate() {
        for id in world.endpoints_of(number) {
            all.insert((id, host.name.as_str()));
            let is_seen = view.cluster.endpoints.get(id).is_some_and(|seen| seen.node == host.name);
            let why = refused(view, &host.name, id);
            let network = view.cluster.networks.get(id.network()).map(|network| network.vni.get());
            match (is_seen, why) {
                (true, None) if record(host, id).map(|record| record.vni) == network => {}
                (true, None) => {
                    return Err(Wrong(format!("{id} of {} is seen in a later network", host.name)));
                }
                (false, Some(why)) => reason(world, view, host, id, why)?,
                (true, Some(why)) => {
                    return Err(Wrong(format!("{id} of {} is seen, and does not hold: {why}", host.name)));
                }
                (false, None) => {
                    return Err(Wrong(format!("{id} lives on {} and nobody sees it", host.name)));
                }
            }
        }
    }
    let mut seen = view.cluster.endpoints.iter();
    match seen.find(|(id, endpoint)| !all.contains(&(*id, endpoint.node.as_str()))) {
        Some((back, _)) => Err(Wrong(format!("{back} was deleted and is back"))),
        None => Ok(()),
    }
}

/// Whether why an endpoint does not hold is true.
fn reason(world: &World, view: &View, host: &Host, id: &EndpointId, why: &Why) -> Result<(), Wrong> {
    let wrong =
        |what: &str| Err(Wrong(format!("{id} of {} does not hold, because {why}: {what}", host.name)));
    let Some(own) = record(host, id) else { return wrong("it is nowhere") };
    let network = view.cluster.networks.get(id.network());
    let there = network.is_some_and(|network| network.vni.get() == own.vni);
    let winner = match why {
        Why::NoNetwork if there => return wrong("it is there"),
        Why::NoNetwork => return Ok(()),
        Why::Full => {
            let all = view.cluster.endpoints.len()
                + view.refused.iter().filter(|refused| refused.why == Why::Full).count();
            let own = Stamp { count: own.count, node: host.name.clone() };
            let is_last = view.cluster.endpoints.iter().all(|(seen, endpoint)| {
                let holder = world.hosts.iter().find(|host| host.name == endpoint.node);
                let record = holder.and_then(|holder| record(holder, seen));
                let older =
                    |record: &EndpointRecord| Stamp { count: record.count, node: endpoint.node.clone() };
                record.is_some_and(|record| endpoint.node == host.name || beats(&own, &older(record)))
            });
            return if is_last && all > world.limits.endpoints { Ok(()) } else { wrong("it is not") };
        }
        Why::Address(ip, winner) if own.ips.contains(ip) => winner,
        Why::Mac(_) => id,
        Why::Address(..) | Why::Outside(_) | Why::Vni(_) => return wrong("it is another's reason"),
    };
    let Some(seen) = view.cluster.endpoints.get(winner) else { return wrong("that does not hold, either") };
    match why {
        Why::Address(ip, _) if !seen.ips.contains(ip) => return wrong("that has not the address"),
        Why::Mac(node) if *node != seen.node => return wrong("it is seen elsewhere"),
        Why::Address(..) | Why::Mac(_) | Why::NoNetwork | Why::Outside(_) | Why::Vni(_) | Why::Full => {}
    }
    let holder = world.hosts.iter().find(|host| host.name == seen.node);
    let stamp = |host: &Host, record: &EndpointRecord| Stamp { count: record.count, node: host.name.clone() };
    match holder.and_then(|holder| Some(stamp(holder, record(holder, winner)?))) {
        Some(theirs)
            if beats(&theirs, &stamp(host, own)) || holder.is_some_and(|holder| holder.name == host.name) =>
        {
            Ok(())
        }
        Some(_) | None => wrong("that is no later claim"),
    }
}

/// Every network is what was done to it last, or another has its VNI for a true reason.
pub(super) fn networks(world: &World, view: &View) -> Result<(), Wrong> {
    for (name, (record, _)) in &world.networks {
        let seen = view.cluster.networks.get(name);
        let (count, node) = (record.stamp.count, &record.stamp.node);
        let Some(made) = &record.network else {
            if seen.is_some() {
                return Err(Wrong(format!(
                    "network {name} was deleted last, by {node} at {count}, and is there"
                )));
            }
            continue;
        };
        if seen.is_some_and(|seen| seen.vni.get() == made.vni) {
            continue;
        }
        if seen.is_none() && is_beyond(world, view, name, record) {
            continue;
        }
        let holder = view.cluster.networks.values().find(|other| other.vni.get() == made.vni);
        let later = holder.and_then(|holder| world.networks.get(&holder.name));
        if seen.is_some() || !later.is_some_and(|(later, _)| beats(&later.stamp, &record.stamp)) {
            return Err(Wrong(format!(
                "network {name} was made last, by {node} at {count}, and is otherwise: {:?}",
                view.refused
            )));
        }
    }
    Ok(())
}

/// Whether a network does not hold because there are enough, all of which are older.
fn is_beyond(world: &World, view: &View, name: &str, record: &NetworkRecord) -> bool {
    let is_refused = view.refused.iter().any(|refused| {
        refused.why == Why::Full && matches!(&refused.key, Key::Network(other) if other == name)
    });
    is_refused
        && view
            .cluster
            .networks
            .keys()
            .all(|seen| world.networks.get(seen).is_some_and(|(older, _)| beats(&record.stamp, &older.stamp)))
}

/// What the look over the addresses says is what the disks have.
pub(super) fn addresses(world: &World, view: &View) -> Result<(), Wrong> {
    let Some((_, agent)) = world.agents().next() else { return Ok(()) };
    let mut used: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    for (number, host) in world.hosts.iter().enumerate() {
        for id in world.endpoints_of(number) {
            for ip in record(host, id).into_iter().flat_map(|record| &record.ips) {
                if !used.entry(id.network()).or_default().insert(*ip) {
                    pairs.insert((id.network(), *ip));
                }
            }
        }
    }
    for name in view.cluster.networks.keys() {
        let Some(ipam) = agent.machine.ipam(name) else {
            return Err(Wrong(format!("{name} has no addresses")));
        };
        let in_blocks = |subnet: &SubnetUse| subnet.blocks.iter().map(|block| block.used).sum::<usize>();
        let told: usize =
            ipam.subnets.iter().map(|subnet| in_blocks(subnet) + subnet.used_outside_blocks).sum();
        let there = used.get(name.as_str()).map_or(0, BTreeSet::len);
        if told != there {
            return Err(Wrong(format!("{told} addresses of {name} are said to be used, {there} are")));
        }
    }
    let problems = agent.machine.ipam_check();
    let mut told = BTreeSet::new();
    for problem in &problems {
        if let IpamProblem::AddressTwice { network, ip, .. } = problem {
            told.insert((network.as_str(), *ip));
        }
    }
    if told != pairs {
        return Err(Wrong(format!("the addresses {pairs:?} are used twice, and {told:?} are said to be")));
    }
    match problems.iter().find(|problem| matches!(problem, IpamProblem::BlockTwice { .. })) {
        Some(problem) => Err(Wrong(problem.to_string())),
        None => Ok(()),
    }
}

/// No block is two nodes'.
pub(super) fn blocks(world: &World) -> Result<(), Wrong> {
    let mut held = BTreeMap::new();
    for host in &world.hosts {
        for key in host.disk.keys().filter(|key| matches!(key, Key::Block(..))) {
            if let Some(other) = held.insert(key, &host.name) {
                return Err(Wrong(format!("{key} is leased to {other} and to {}", host.name)));
            }
        }
    }
    Ok(())
}
