//! What the handle of an engine shows.

use std::{net::SocketAddr, sync::Arc};

use super::{
    Gossip, Peer,
    engine::{Engine, Passed},
};
use crate::{
    cluster::EndpointId,
    gossip::{SharedRing, Snapshot},
    membership::{
        ipam::{Ipam, IpamProblem},
        record::{Key, Record},
        resolve::{Refused, View},
    },
};

impl Gossip {
    /// The cluster as this node sees it, with what is published and does not hold.
    pub async fn view(&self) -> Arc<View> {
        self.engine.lock().await.view()
    }

    /// So many endpoints are kept that are published no more, since most would have gone at once.
    pub async fn held(&self) -> usize {
        self.look(Engine::held).await
    }

    /// That most endpoints are gone is meant: they are kept no longer.
    pub async fn accept(&self) {
        self.engine.lock().await.accept();
        self.changed.notify_one();
    }

    /// How the addresses of a network are used.
    pub async fn ipam(&self, network: &str) -> Option<Ipam> {
        self.look(|engine| engine.machine.ipam(network)).await
    }

    /// What is wrong with the use of addresses.
    pub async fn ipam_check(&self) -> Vec<IpamProblem> {
        self.look(|engine| engine.machine.ipam_check()).await
    }

    /// Whether this node publishes an endpoint, whether it holds or not.
    pub async fn owns(&self, id: &EndpointId) -> bool {
        let engine = self.engine.lock().await;
        let key = Key::Endpoint(id.clone());
        engine.machine.own().any(|(own, _)| *own == key)
    }

    /// The endpoints that this node publishes.
    pub async fn own_endpoints(&self) -> Vec<EndpointId> {
        let engine = self.engine.lock().await;
        let own = engine.machine.own();
        own.filter_map(|(key, _)| match key {
            Key::Endpoint(id) => Some(id.clone()),
            Key::Node | Key::Network(_) | Key::Block(..) => None,
        })
        .collect()
    }

    /// What is published and does not hold.
    pub async fn refused(&self) -> Vec<(Refused, Record)> {
        let mut engine = self.engine.lock().await;
        let view = engine.view();
        let known = engine.machine.known();
        let record = |refused: &Refused| {
            let record = known.part(&refused.node)?.records().get(&refused.key)?.clone();
            Some((refused.clone(), record))
        };
        view.refused.iter().filter_map(record).collect()
    }

    /// All nodes, this one among them, those that are not there too.
    pub async fn peers(&self) -> Vec<Peer> {
        let rtts = (self.rtts)();
        let engine = self.engine.lock().await;
        let machine = &engine.machine;
        let peer = |name: &str| {
            Some(Peer {
                name: name.to_owned(),
                record: machine.known().node(name)?.clone(),
                alive: machine.alive(name),
                address: engine.address(name),
                rtt: engine.address(name).and_then(|address| rtts.get(&address).copied()),
            })
        };
        machine.known().parts().filter_map(|(name, _)| peer(name)).collect()
    }

    /// The keys of the gossip; none where it is in clear.
    pub fn ring(&self) -> Option<&SharedRing> {
        self.ring.as_ref()
    }

    /// Where nodes are asked first.
    pub fn seeds(&self) -> &[SocketAddr] {
        &self.seeds
    }

    /// Where this node gossips.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the transport has counted.
    pub fn counters(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// Looks at the engine.
    async fn look<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        look(&*self.engine.lock().await)
    }

    /// Where another node of this node's name gossips from.
    pub async fn double(&self) -> Option<SocketAddr> {
        self.look(Engine::double).await
    }

    /// How many peers have been heard since this agent started.
    pub async fn heard(&self) -> usize {
        self.look(Engine::peers).await
    }

    /// What of the peers' records could not be taken in.
    pub async fn passed(&self) -> Vec<(String, Passed)> {
        self.look(|engine| engine.passed().map(|(name, passed)| (name.to_owned(), passed)).collect()).await
    }

    /// Why what is published cannot be kept, while it cannot.
    pub async fn fault(&self) -> Option<String> {
        self.look(|engine| engine.faulty().map(str::to_owned)).await
    }
}
