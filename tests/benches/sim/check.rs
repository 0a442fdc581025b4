//! What must hold, found out without the code under test.

mod claims;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use overlay_user::{
    cluster::EndpointId,
    membership::{
        record::{Key, Record, Stamp},
        resolve::{View, Why},
    },
};

use super::{
    net::Id,
    story::is_static,
    world::{Agent, World},
};

/// What did not hold.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For so long nothing has befallen two hosts when what one sees of the other must stay.
const CALM: u64 = 5_000;

/// An endpoint as a node saw it: whose it is, and the count of its claim.
type Sighting = (String, u64);

/// What a node saw when it was last looked at.
struct Look {
    at: u64,
    start: u64,
    version: u64,
    endpoints: BTreeMap<EndpointId, Sighting>,
}

/// What each node saw of the others' endpoints when it was last looked at.
#[derive(Default)]
pub(crate) struct Seen(BTreeMap<Id, Look>);

impl Seen {
    /// Looks at every view: nothing of a living node may have gone that it has not deleted itself.
    pub(crate) fn look(&mut self, world: &mut World) -> Result<(), Wrong> {
        world.follow();
        for (id, agent) in world.agents() {
            let start = agent.replica.start_of(id);
            let version = agent.machine.version();
            let before = self.0.get(&id).filter(|look| look.start == start);
            if before.is_some_and(|look| look.version == version) {
                continue;
            }
            let view = agent.machine.view();
            if agent.followed.1.view() != &view {
                return Err(world.wrong(id, "has followed to another view than all of its records make"));
            }
            unique(&view).map_err(|wrong| world.wrong(id, &wrong.0))?;
            if view.cluster.endpoints.len() > world.limits.endpoints
                || view.cluster.networks.len() > world.limits.networks
            {
                return Err(world.wrong(id, "sees a larger cluster than may be"));
            }
            if let Some(look) = before {
                nothing_lost(world, id, look, &view)?;
            }
            let endpoints = sightings(agent, &view);
            self.0.insert(id, Look { at: world.now, start, version, endpoints });
        }
        Ok(())
    }
}

fn sightings(agent: &Agent, view: &View) -> BTreeMap<EndpointId, Sighting> {
    let claim = |id: &EndpointId, node: &str| {
        let part = agent.machine.known().part(node)?;
        part.records().get(&Key::Endpoint(id.clone())).map(Record::count)
    };
    let endpoints = view.cluster.endpoints.iter();
    endpoints
        .map(|(id, endpoint)| {
            (id.clone(), (endpoint.node.clone(), claim(id, &endpoint.node).unwrap_or_default()))
        })
        .collect()
}

/// Nothing has gone from a node's view that still lives where it did.
fn nothing_lost(world: &World, me: Id, before: &Look, view: &View) -> Result<(), Wrong> {
    let calm = |id: Id| world.now.saturating_sub(world.hosts[id].calm_since()) >= CALM;
    let gone = before.endpoints.iter().filter(|(endpoint, _)| !view.cluster.endpoints.contains_key(endpoint));
    for (endpoint, (node, claim)) in gone {
        let Some(owner) = world.hosts.iter().position(|host| host.name == *node) else { continue };
        let key = Key::Endpoint(endpoint.clone());
        let record = world.hosts[owner].disk.get(&key).filter(|record| record.count() == *claim);
        // A count may come again: one that was deleted and made anew is another.
        let lives =
            record.is_some() && world.hosts[owner].kept.get(&key).is_some_and(|since| *since <= before.at);
        if lives
            && refused(view, node, endpoint).is_none()
            && calm(me)
            && calm(owner)
            && world.can_reach(me, owner)
        {
            return Err(world.wrong(me, &format!("has lost sight of {endpoint}, which lives on {node}")));
        }
    }
    Ok(())
}

/// Why an endpoint of a node does not hold, where it does not.
fn refused<'v>(view: &'v View, node: &str, endpoint: &EndpointId) -> Option<&'v Why> {
    let refused = view.refused.iter().find(|refused| {
        refused.node == node && matches!(&refused.key, Key::Endpoint(id) if id == endpoint)
    })?;
    Some(&refused.why)
}

/// Whether a claim beats another: the later; of equals, that of the node whose name sorts first.
pub(crate) fn beats(one: &Stamp, other: &Stamp) -> bool {
    one.count > other.count || one.count == other.count && one.node < other.node
}

/// No address and no MAC address is two endpoints'.
fn unique(view: &View) -> Result<(), Wrong> {
    let mut ips = HashMap::new();
    for (id, endpoint) in &view.cluster.endpoints {
        for ip in &endpoint.ips {
            if let Some(other) = ips.insert((&endpoint.network, ip), id) {
                return Err(Wrong(format!("{ip} is that of {other} and of {id}")));
            }
        }
    }
    Ok(())
}

/// Everything, once all is healed and quiet; the number of conflicts that were resolved.
pub(crate) fn healed(world: &World, faults: bool) -> Result<usize, Wrong> {
    let mut views = world.agents().map(|(id, agent)| (id, agent.machine.view()));
    let Some((_, first)) = views.next() else { return Err(Wrong("no agent runs".to_owned())) };
    for (id, view) in views {
        if view != first {
            return Err(Wrong(format!(
                "{} and {} differ:\n{}",
                world.hosts[0].name,
                world.hosts[id].name,
                difference(&first, &view)
            )));
        }
    }
    unique(&first)?;
    claims::endpoints(world, &first)?;
    claims::networks(world, &first)?;
    claims::blocks(world)?;
    claims::addresses(world, &first)?;
    let conflicts = first.refused.iter().filter(|refused| !matches!(refused.why, Why::Outside(_)));
    // Two may ask for one of the story's static addresses at a time.
    let leased =
        first.refused.iter().filter(|refused| matches!(&refused.why, Why::Address(ip, _) if !is_static(*ip)));
    if !faults && leased.count() > 0 {
        return Err(Wrong(format!("an address was leased twice without a fault: {:?}", first.refused)));
    }
    Ok(conflicts.count())
}

fn difference(one: &View, other: &View) -> String {
    let lines = |view: &View| -> BTreeSet<String> {
        let endpoints =
            view.cluster.endpoints.iter().map(|(id, endpoint)| format!("endpoint {id} on {}", endpoint.node));
        let networks =
            view.cluster.networks.values().map(|network| format!("network {} {}", network.name, network.vni));
        let nodes = view.cluster.nodes.keys().map(|node| format!("node {node}"));
        let refused = view
            .refused
            .iter()
            .map(|refused| format!("refused {} of {}: {}", refused.key, refused.node, refused.why));
        endpoints.chain(networks).chain(nodes).chain(refused).collect()
    };
    let (one, other) = (lines(one), lines(other));
    let only = |sign, a: &BTreeSet<String>, b: &BTreeSet<String>| {
        a.difference(b).map(|line| format!("  {sign} {line}\n")).collect::<String>()
    };
    only('-', &one, &other) + &only('+', &other, &one)
}
