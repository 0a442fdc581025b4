//! Networks and endpoints that are made and deleted through an engine that this node tells something.
//!
//! The engine decides whether they can be; the container is bound to what it has taken.

use super::{Shared, core::Agent, wanted};
use crate::{
    api::{
        server::{Answer, Refusal},
        types::{EndpointAdd, NetworkCreate},
    },
    cluster::{Cluster, EndpointId, check_name, network_block},
    membership::{self, machine::Wanted, record::NodeRecord},
    netns::NamespaceFds,
    source::gossip::{Gossip, definition},
    state::{BindError, read_ips, read_mac, unknown_network},
    vteps::Vteps,
};

/// Makes a network.
pub(super) async fn create_network(gossip: &Gossip, create: &NetworkCreate) -> Answer<()> {
    check_name(&create.name, false).map_err(|message| Refusal::invalid(format!("NAME: {message}")))?;
    if create.encrypted {
        return Err(Refusal::invalid("--encrypted: this version cannot encrypt; leave it out"));
    }
    wanted::has_subnets(create)?;
    let (subnets, gateways) = (wanted::subnets(create)?, wanted::gateways(create)?);
    let vni = create.vni.map(wanted::vni).transpose()?;
    // As a cluster file with it alone would be. One that is to be chosen is sound.
    let any = vni.map_or_else(|| wanted::vni(1), Ok)?;
    wanted::check_block(&network_block(&create.name, any, &subnets, &gateways, create.mtu))?;
    let definition = definition(subnets, gateways, create.mtu);
    gossip.create_network(&create.name, vni, definition).await.map_err(refusal)?;
    Ok(())
}

/// Deletes a network.
pub(super) async fn delete_network(gossip: &Gossip, name: &str) -> Answer<()> {
    gossip.delete_network(name).await.map_err(refusal)
}

/// Makes an endpoint and binds a container to it; what fails later is undone.
pub(super) async fn add_endpoint(
    agent: &Shared,
    gossip: &Gossip,
    add: EndpointAdd,
    fds: &NamespaceFds,
) -> Answer<EndpointId> {
    let wanted = read_add(gossip, &add).await?;
    let unbound = agent.lock().await.unbound(&wanted);
    let (id, is_new) = match unbound {
        Some(id) => (id, false),
        None => (gossip.add_endpoint(&wanted).await.map_err(refusal)?, true),
    };
    let mut agent = agent.lock().await;
    agent.follow().await;
    let holds = agent.state.cluster().is_some_and(|cluster| cluster.endpoints.contains_key(&id));
    let result = if holds {
        // By its MAC address it is chosen from among all.
        let add = EndpointAdd { ips: Vec::new(), mac: Some(id.mac().to_string()), name: None, ..add };
        agent.add_endpoint(&add, fds).await
    } else {
        Err(Refusal::conflict("another node has claimed the address at the same time; try again"))
    };
    if result.is_err() && is_new {
        // It fails where it is gone already.
        let _gone = gossip.delete_endpoint(&id).await;
    }
    result
}

/// What is wanted of the engine, read.
async fn read_add(gossip: &Gossip, add: &EndpointAdd) -> Answer<Wanted> {
    let invalid = |error: BindError| Refusal::invalid(error.to_string());
    let find = |cluster: &Cluster| {
        let network = cluster.networks.get(&add.network).cloned();
        network.ok_or_else(|| invalid(unknown_network(cluster, &add.network)))
    };
    let network = &gossip.look_at(find).await?;
    if let Some(name) = &add.name {
        check_name(name, true).map_err(|message| Refusal::invalid(format!("--name: {message}")))?;
    }
    Ok(Wanted {
        network: add.network.clone(),
        ips: read_ips(&add.ips, network).map_err(invalid)?,
        mac: add.mac.as_deref().map(read_mac).transpose().map_err(invalid)?,
        name: add.name.clone(),
    })
}

/// Unbinds a container, and deletes its endpoint.
pub(super) async fn delete_endpoint(agent: &Shared, gossip: &Gossip, id: &EndpointId) -> Answer<()> {
    if !gossip.owns(id).await {
        return gossip.delete_endpoint(id).await.map_err(refusal);
    }
    let mut agent = agent.lock().await;
    if agent.state.bound(id).is_some() {
        agent.delete_endpoint(id).await?;
    }
    gossip.delete_endpoint(id).await.map_err(refusal)
}

impl Agent {
    /// An endpoint of this node that fits, has been chosen by something, and has no container.
    fn unbound(&self, wanted: &Wanted) -> Option<EndpointId> {
        if wanted.ips.is_empty() && wanted.mac.is_none() && wanted.name.is_none() {
            return None;
        }
        let fits = |id: &EndpointId, endpoint: &crate::cluster::Endpoint| {
            endpoint.network == wanted.network
                && wanted.ips.iter().all(|ip| endpoint.ips.contains(ip))
                && wanted.mac.is_none_or(|mac| mac == endpoint.mac)
                && (wanted.name.is_none() || wanted.name == endpoint.name)
                && self.state.bound(id).is_none()
        };
        self.state.local_endpoints().find(|(id, endpoint)| fits(id, endpoint)).map(|(id, _)| id.clone())
    }

    /// Whether this node publishes an endpoint, whether it holds or not.
    pub(super) async fn publishes(&self, id: &EndpointId) -> bool {
        match &self.gossip {
            Some(gossip) => gossip.owns(id).await,
            None => false,
        }
    }

    /// Deletes an endpoint whose container is gone, where it was made for it.
    pub(super) async fn give_up(&self, id: &EndpointId) {
        if let Some(gossip) = &self.gossip {
            // It fails where it has been deleted meanwhile.
            let _gone = gossip.delete_endpoint(id).await;
        }
    }

    /// Deletes the endpoints whose containers went while no agent ran.
    pub(super) async fn give_up_unbound(&mut self) {
        let Some(gossip) = self.gossip.clone() else { return };
        for id in gossip.own_endpoints().await {
            if self.state.bound(&id).is_none() {
                tracing::warn!(endpoint = %id, "its container is gone; the endpoint is deleted");
                self.give_up(&id).await;
            }
        }
    }

    /// Tells the others this node's addresses, where they are others now.
    pub(super) async fn tell_vteps(&self, vteps: Vteps) {
        if let Some(gossip) = &self.gossip {
            gossip.set_node(|node| NodeRecord { vteps: vteps.iter().collect(), ..node }).await;
        }
    }
}

/// A refusal of the engine, as the API has it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn refusal(refusal: membership::refusal::Refusal) -> Refusal {
    use membership::refusal::Refusal as Why;
    let message = refusal.to_string();
    match refusal {
        Why::Address(_) | Why::TooManyAddresses(_) => Refusal::invalid(format!("--ip: {message}")),
        Why::NoStation(_) => Refusal::invalid(format!("--mac: {message}")),
        Why::NoSubnets => Refusal::invalid(format!("--subnet: {message}")),
        Why::NoNetwork(_) | Why::NoEndpoint(_) => Refusal::not_found(message),
        Why::Settling => Refusal::unavailable(message),
        Why::NotOfNetwork { .. } => Refusal::invalid(message),
        Why::NetworkExists { .. }
        | Why::VniTaken { .. }
        | Why::NoVni
        | Why::NetworkInUse { .. }
        | Why::AddressTaken { .. }
        | Why::MacTaken { .. }
        | Why::Exhausted(_)
        | Why::Spent
        | Why::TooManyEndpoints
        | Why::FullOfEndpoints(_)
        | Why::FullOfNetworks(_)
        | Why::PrefixInUse { .. }
        | Why::TooManyReserved(_)
        | Why::NotReserved { .. }
        | Why::ElsewhereEndpoint { .. } => Refusal::conflict(message),
    }
}
