//! What the agent answers over the API.

use std::{future::Future, sync::Arc};

use super::{Shared, ipam, keys, members, registry, report};
use crate::{
    api::{
        server::{Answer, Control, Refusal},
        types::{
            Accepted, Change, DropInfo, EndpointAdd, EndpointInfo, IpamFault, IpamInfo, KeyInfo, KeyInstall,
            KeyInstalled, NetworkCreate, NetworkInfo, NodeInfo, Reserve, Row, Status, Table,
        },
    },
    cluster::EndpointId,
    netns::NamespaceFds,
    source::gossip::Gossip,
};

/// The API's way to the agent.
#[derive(Clone)]
pub(super) struct Handle(Shared);

impl Handle {
    pub(super) const fn new(agent: Shared) -> Self {
        Self(agent)
    }

    /// Does something as a whole: the client may go away, what was begun is finished.
    async fn whole<T, F>(&self, work: impl FnOnce(Shared) -> F) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        tokio::spawn(work(Arc::clone(&self.0)))
            .await
            .unwrap_or_else(|error| Err(Refusal::failed(format!("the agent failed: {error}; see its log"))))
    }

    /// The engine, where it is one that this node tells something.
    async fn gossip(&self) -> Option<Gossip> {
        self.0.lock().await.gossip.clone()
    }

    /// The engine, which must be one that has keys.
    async fn keyed(&self) -> Answer<Gossip> {
        let none = || Refusal::conflict("engine \"file\" has no keys; they are those of engine \"gossip\"");
        self.gossip().await.ok_or_else(none)
    }

    /// The engine, which must be one that leases addresses.
    async fn leasing(&self) -> Answer<Gossip> {
        let none = || {
            Refusal::conflict(
                "engine \"file\" leases no addresses: they are those of the cluster file; see `overlay endpoint list`",
            )
        };
        self.gossip().await.ok_or_else(none)
    }

    /// Finds an endpoint by its id, or by its name where only one has it.
    async fn find(&self, id: &str) -> Answer<EndpointId> {
        let agent = self.0.lock().await;
        let endpoints = agent.state.cluster().map(|cluster| &cluster.endpoints);
        if let Ok(id) = id.parse::<EndpointId>()
            && (endpoints.is_some_and(|endpoints| endpoints.contains_key(&id)) || agent.publishes(&id).await)
        {
            return Ok(id);
        }
        let all = endpoints.into_iter().flatten();
        let mut named = all.filter(|(_, endpoint)| endpoint.name.as_deref() == Some(id)).map(|(id, _)| id);
        match (named.next(), named.next()) {
            (Some(id), None) => Ok(id.clone()),
            (Some(_), Some(_)) => {
                Err(Refusal::conflict(format!("more than one endpoint is named {id:?}; give the id of one")))
            }
            (None, _) => {
                Err(Refusal::not_found(format!("there is no endpoint {id:?}; see `overlay endpoint list`")))
            }
        }
    }
}

impl Control for Handle {
    async fn status(&self) -> Answer<Status> {
        let gossip = match self.gossip().await {
            Some(gossip) => {
                self.0.lock().await.note_gossip().await;
                Some(members::status(&gossip).await)
            }
            None => None,
        };
        let status = report::status(&mut *self.0.lock().await)?;
        Ok(Status { gossip, ..status })
    }

    async fn networks(&self) -> Answer<Vec<NetworkInfo>> {
        Ok(report::networks(&*self.0.lock().await))
    }

    async fn network(&self, name: String) -> Answer<NetworkInfo> {
        let mut networks = report::networks(&*self.0.lock().await).into_iter();
        networks.find(|network| network.name == name).ok_or_else(|| {
            Refusal::not_found(format!("there is no network {name:?}; see `overlay network list`"))
        })
    }

    async fn network_create(&self, create: NetworkCreate) -> Answer<NetworkInfo> {
        if let Some(gossip) = self.gossip().await {
            registry::create_network(&gossip, &create).await?;
            self.0.lock().await.follow().await;
            return self.network(create.name).await;
        }
        let block = report::network_block(&*self.0.lock().await, &create)?;
        Err(Refusal::conflict(format!(
            "engine \"file\" is read-only; to create the network, add this to the cluster file:\n\n{block}"
        )))
    }

    async fn network_delete(&self, name: String) -> Answer<()> {
        self.network(name.clone()).await?;
        if let Some(gossip) = self.gossip().await {
            registry::delete_network(&gossip, &name).await?;
            self.0.lock().await.follow().await;
            return Ok(());
        }
        Err(Refusal::conflict(format!(
            "engine \"file\" is read-only; to delete network {name:?}, remove it and its endpoints from the cluster file"
        )))
    }

    async fn endpoints(&self) -> Answer<Vec<EndpointInfo>> {
        let refused = match self.gossip().await {
            Some(gossip) => gossip.refused().await,
            None => Vec::new(),
        };
        let agent = self.0.lock().await;
        let mut endpoints = report::endpoints(&agent);
        endpoints.extend(report::quarantined(&agent, &refused));
        Ok(endpoints)
    }

    async fn endpoint(&self, id: String) -> Answer<EndpointInfo> {
        let id = self.find(&id).await?;
        if let Some(info) = report::endpoint(&*self.0.lock().await, &id) {
            return Ok(info);
        }
        let id = id.to_string();
        let mut endpoints = self.endpoints().await?.into_iter();
        endpoints
            .find(|endpoint| endpoint.id == id)
            .ok_or_else(|| Refusal::not_found(format!("endpoint {id} is gone")))
    }

    async fn endpoint_add(&self, add: EndpointAdd, namespace: NamespaceFds) -> Answer<EndpointInfo> {
        let id = match self.gossip().await {
            Some(gossip) => {
                let work =
                    |agent| async move { registry::add_endpoint(&agent, &gossip, add, &namespace).await };
                self.whole(work).await?
            }
            None => {
                let work =
                    |agent: Shared| async move { agent.lock().await.add_endpoint(&add, &namespace).await };
                self.whole(work).await?
            }
        };
        self.endpoint(id.to_string()).await
    }

    async fn endpoint_delete(&self, id: String) -> Answer<()> {
        let id = self.find(&id).await?;
        match self.gossip().await {
            Some(gossip) => {
                self.whole(|agent| async move {
                    registry::delete_endpoint(&agent, &gossip, &id).await?;
                    agent.lock().await.follow().await;
                    Ok(())
                })
                .await
            }
            None => self.whole(|agent| async move { agent.lock().await.delete_endpoint(&id).await }).await,
        }
    }

    async fn nodes(&self) -> Answer<Vec<NodeInfo>> {
        let peers = match self.gossip().await {
            Some(gossip) => gossip.peers().await,
            None => Vec::new(),
        };
        Ok(report::nodes(&*self.0.lock().await, &peers))
    }

    async fn events(&self) -> Answer<Vec<Change>> {
        Ok(self.0.lock().await.history.changes())
    }

    async fn ipam(&self) -> Answer<Vec<IpamInfo>> {
        ipam::all(&self.leasing().await?).await
    }

    async fn ipam_check(&self) -> Answer<Vec<IpamFault>> {
        Ok(ipam::check(&self.leasing().await?).await)
    }

    async fn ipam_reserve(&self, network: String, reserve: Reserve) -> Answer<IpamInfo> {
        ipam::reserve(&self.leasing().await?, &network, &reserve).await
    }

    async fn accept(&self) -> Answer<Accepted> {
        let gossip = self.leasing().await?;
        let endpoints = gossip.held().await;
        gossip.accept().await;
        Ok(Accepted { endpoints })
    }

    async fn keys(&self) -> Answer<Vec<KeyInfo>> {
        keys::list(&self.keyed().await?).await
    }

    async fn key_install(&self, install: KeyInstall) -> Answer<KeyInstalled> {
        keys::install(&self.keyed().await?, install).await
    }

    async fn key_use(&self, id: String) -> Answer<Vec<KeyInfo>> {
        keys::use_key(&self.keyed().await?, &id).await
    }

    async fn key_remove(&self, id: String) -> Answer<()> {
        keys::remove(&self.keyed().await?, &id).await
    }

    async fn drops(&self) -> Answer<Vec<DropInfo>> {
        report::drops(&mut *self.0.lock().await)
    }

    async fn dump(&self, table: Table) -> Answer<Vec<Row>> {
        report::dump(&mut *self.0.lock().await, table)
    }
}
