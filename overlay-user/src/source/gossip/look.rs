//! What the handle of an engine shows.

use std::net::SocketAddr;

use super::{
    Gossip, Peer,
    engine::{Engine, Passed},
};
use crate::{
    cluster::{Cluster, EndpointId},
    event::Event,
    gossip::{SharedRing, Snapshot},
    membership::{
        ipam::{Ipam, IpamProblem},
        record::{Key, Record},
        resolve::{Refused, View},
    },
};

impl Gossip {
    /// The cluster as this node sees it, with what is published and does not hold.
    pub async fn view(&self) -> View {
        let mut engine = self.engine.lock().await;
        let current = engine.current();
        View { cluster: current.cluster().clone(), refused: current.refused().to_vec() }
    }

    /// Looks at the cluster in force.
    pub async fn look_at<T>(&self, look: impl FnOnce(&Cluster) -> T) -> T {
        look(self.engine.lock().await.current().cluster())
    }

    /// What of the cluster has changed since a serial, which is what it is by now then; of serial 0, all has.
    pub async fn news(&self, serial: &mut u64) -> Option<Event> {
        let (now, event) = self.engine.lock().await.current().since(*serial);
        *serial = now;
        event
    }

    /// A number that is the same for as long as the cluster in force is.
    pub async fn serial(&self) -> u64 {
        self.engine.lock().await.current().serial()
    }

    /// So many endpoints are kept that are published no more, since most would have gone at once.
    pub async fn held(&self) -> usize {
        self.engine.lock().await.current().held()
    }

    /// That most endpoints are gone is meant: they are kept no longer.
    pub async fn accept(&self) {
        self.engine.lock().await.current().accept();
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
        self.look(|engine| engine.machine.publishes(&Key::Endpoint(id.clone()))).await
    }

    /// The endpoints that this node publishes.
    pub async fn own_endpoints(&self) -> Vec<EndpointId> {
        self.look(|engine| engine.machine.own().filter_map(|(key, _)| key.endpoint().cloned()).collect())
            .await
    }

    /// What is published and does not hold.
    pub async fn refused(&self) -> Vec<(Refused, Record)> {
        let mut engine = self.engine.lock().await;
        let refused = engine.current().refused().to_vec();
        let known = engine.machine.known();
        let record = |refused: Refused| {
            let record = known.part(&refused.node)?.records().get(&refused.key)?.clone();
            Some((refused, record))
        };
        refused.into_iter().filter_map(record).collect()
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
