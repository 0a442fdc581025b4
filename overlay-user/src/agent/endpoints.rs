//! The endpoints of this node: binding a container to one, and what follows from it.

use std::path::PathBuf;

use super::{bindings::Binding, core::Agent};
use crate::{
    api::{
        server::{Answer, Refusal},
        types::EndpointAdd,
    },
    cluster::EndpointId,
    event::Event,
    netlink::{
        socket::RtnlError,
        veth::{self, Created, VethError, VethSpec},
    },
    netns::{self, NamespaceFds},
    state::Wanted,
    tables::Ifindex,
};

impl Agent {
    /// Binds a container's namespace to a declared endpoint: makes its veth and installs its port. Everything is
    /// checked first; what fails later is undone.
    pub(super) async fn add_endpoint(&mut self, add: &EndpointAdd, fds: &NamespaceFds) -> Answer<EndpointId> {
        let (id, spec) = self.check_add(add)?;
        let host_name = spec.host_name.clone();
        self.remove_leftover(&host_name).await?;
        let created = veth::create(&self.host, fds, &spec)
            .await
            .map_err(|error| Refusal::conflict(error.to_string()))?;
        let binding =
            Binding { netns: PathBuf::from(&add.netns), ifname: add.ifname.clone(), host_ifname: host_name };
        match self.install(&id, created, binding) {
            Ok(()) => {
                // So that another one, later, is known to be somebody else's doing.
                self.mtus.insert(id.clone(), spec.mtu);
                tracing::info!(endpoint = %id, netns = add.netns, "bound");
                Ok(id)
            }
            Err(refusal) => {
                self.remove(&id, created.host_ifindex).await.unwrap_or_else(|error| {
                    tracing::warn!(ifindex = %created.host_ifindex, %error, "a veth stays");
                });
                Err(refusal)
            }
        }
    }

    /// What is to be made for a request, if it may be.
    fn check_add(&self, add: &EndpointAdd) -> Answer<(EndpointId, VethSpec)> {
        let wanted = Wanted {
            network: &add.network,
            ips: &add.ips,
            mac: add.mac.as_deref(),
            name: add.name.as_deref(),
        };
        let endpoint =
            self.state.find_declared(&wanted).map_err(|error| Refusal::invalid(error.to_string()))?;
        let id = endpoint.id();
        if self.state.bound(&id).is_some() {
            let netns = self.bindings.get(&id).map(|binding| binding.netns.display().to_string());
            return Err(Refusal::conflict(format!(
                "endpoint {id} is bound to {}; delete it first: overlay endpoint delete {id}",
                netns.as_deref().unwrap_or("a container")
            )));
        }
        let network = self.state.cluster().and_then(|cluster| cluster.networks.get(&endpoint.network));
        let (Some(network), Some(mtu)) = (network, self.state.mtu(&endpoint.network)) else {
            return Err(Refusal::unavailable("the underlay is not known yet; see `overlay status`"));
        };
        let spec = VethSpec {
            host_name: veth::host_ifname(&id),
            host_mac: veth::host_mac(&id),
            container_name: add.ifname.clone(),
            mac: endpoint.mac,
            ips: endpoint.addresses_with_prefix(network),
            mtu,
        };
        Ok((id, spec))
    }

    /// Removes a veth of this name that an agent left which died half-way; nothing is bound to it.
    async fn remove_leftover(&self, name: &str) -> Answer<()> {
        let veths = self.host.our_veths().await.map_err(|error| Refusal::failed(error.to_string()))?;
        match veths.into_iter().find(|link| link.name == name) {
            Some(link) => {
                self.host.delete_veth(link.ifindex).await.map_err(|error| Refusal::failed(error.to_string()))
            }
            None => Ok(()),
        }
    }

    /// Installs the port of a new veth.
    fn install(&mut self, id: &EndpointId, created: Created, binding: Binding) -> Answer<()> {
        self.bindings.insert(id.clone(), binding).map_err(|error| {
            Refusal::failed(format!("cannot keep the endpoint in the state directory: {error}"))
        })?;
        // Another entry's failure is that entry's: only what this port needs counts.
        let result = self.apply(Event::PortUp { id: id.clone(), ifindex: created.host_ifindex });
        if self.reconciler.installed().ports.contains_key(&created.host_ifindex)
            && self.reconciler.installed().hooks.iter().any(|hook| hook.ifindex == created.host_ifindex)
        {
            return Ok(());
        }
        Err(Refusal::failed(match result {
            Err(error) => error.to_string(),
            Ok(()) => format!("endpoint {id} is not among the desired ports; see `overlay status`"),
        }))
    }

    /// Unbinds a container and removes its veth.
    pub(super) async fn delete_endpoint(&mut self, id: &EndpointId) -> Answer<()> {
        let Some(ifindex) = self.state.bound(id) else {
            return Err(Refusal::not_found(format!(
                "no container is bound to endpoint {id} on this node; see `overlay endpoint list`"
            )));
        };
        self.remove(id, ifindex).await.map_err(|error| Refusal::failed(error.to_string()))?;
        tracing::info!(endpoint = %id, "unbound");
        Ok(())
    }

    /// Takes up the endpoints that an earlier agent bound. Before the first bringing-up: their ports must be
    /// among the desired when what is installed is first compared with them.
    pub(super) async fn restore(&mut self) -> Result<(), RtnlError> {
        let links = self.host.links().await?;
        let there = |name: &str| links.values().find(|link| link.name == name).map(|link| link.ifindex);
        let known: Vec<_> =
            self.bindings.iter().map(|(id, binding)| (id.clone(), there(&binding.host_ifname))).collect();
        for (id, ifindex) in known {
            if let Some(ifindex) = ifindex {
                self.state.apply(Event::PortUp { id, ifindex });
            } else {
                tracing::warn!(endpoint = %id, "its container went while no agent ran");
                self.bindings.remove(&id);
            }
        }
        // A veth tells by its name whose it is, also where the list of bindings was lost.
        let unbound = self.state.local_endpoints().filter(|(id, _)| self.state.bound(id).is_none());
        let found: Vec<_> =
            unbound.filter_map(|(id, _)| Some((id.clone(), there(&veth::host_ifname(id))?))).collect();
        for (id, ifindex) in found {
            tracing::warn!(endpoint = %id, "its interface is here, its namespace is not known any more");
            self.state.apply(Event::PortUp { id, ifindex });
        }
        Ok(())
    }

    /// Removes the veths of endpoints that the cluster does not give this node any more.
    pub(super) async fn remove_orphans(&mut self) {
        let orphans: Vec<_> = self.state.orphans().map(|(id, ifindex)| (id.clone(), ifindex)).collect();
        for (id, ifindex) in orphans {
            if self.publishes(&id).await {
                // It does not hold for now, is not forwarded to, and may hold again.
                continue;
            }
            tracing::warn!(endpoint = %id, "not in the cluster any more; its interface is removed");
            if let Err(error) = self.remove(&id, ifindex).await {
                tracing::warn!(%ifindex, %error, "a veth stays");
            }
        }
    }

    /// Strikes the binding of a device that is gone, and takes its port out of the kernel.
    pub(super) fn forget(&mut self, id: &EndpointId) {
        // The error is kept, shown by `status`, and tried again at the next audit.
        let _shown = self.apply(Event::PortDown { id: id.clone() });
        self.mtus.remove(id);
        self.bindings.remove(id);
    }

    /// Strikes a binding, takes its port out of the kernel and removes its veth. On an error that stays, without a port.
    async fn remove(&mut self, id: &EndpointId, ifindex: Ifindex) -> Result<(), VethError> {
        let closed = self.close(id);
        self.mtus.remove(id);
        self.bindings.remove(id);
        let deleted = self.host.delete_veth(ifindex).await;
        self.detach(closed);
        deleted
    }

    /// Gives both ends of each veth the MTU that its network has now.
    pub(super) async fn follow_mtus(&mut self) {
        let Ok(links) = self.host.links().await else { return };
        let mut failed = None;
        for (id, binding) in self.bindings.iter() {
            let wanted = self.state.cluster().and_then(|cluster| {
                let endpoint = cluster.endpoints.get(id)?;
                self.state.mtu(&endpoint.network)
            });
            let link = self.state.bound(id).and_then(|ifindex| links.get(&ifindex));
            let (Some(mtu), Some(link)) = (wanted, link) else { continue };
            if link.mtu == u32::from(mtu) {
                self.mtus.insert(id.clone(), mtu);
                continue;
            }
            // The container's end first: the host's end says what was done, and is what is looked at again.
            match set_container_mtu(binding, link.ifindex, mtu).await {
                Ok(()) => {
                    if self.mtus.insert(id.clone(), mtu) == Some(mtu) {
                        self.reconciler.findings.repaired("veth", format!("{}: mtu {}", link.name, link.mtu));
                    } else {
                        tracing::info!(endpoint = %id, mtu, "follows the underlay's MTU");
                    }
                    if let Err(error) = self.host.set_host_mtu(link.ifindex, mtu).await {
                        failed = Some(format!("endpoint {id}: {error}"));
                    }
                }
                Err(error) => {
                    failed = Some(format!("the MTU of endpoint {id} cannot be set to {mtu}: {error}"));
                }
            }
        }
        match failed {
            Some(message) => {
                self.trouble("mtu", message, "give the agent CAP_SYS_ADMIN, or add the endpoint again");
            }
            None => self.over("mtu"),
        }
    }
}

async fn set_container_mtu(binding: &Binding, host: Ifindex, mtu: u16) -> Result<(), String> {
    let fds = netns::reopen_via_helper(&binding.netns).await.map_err(|error| error.to_string())?;
    veth::set_container_mtu(&fds, &binding.ifname, host, mtu).await.map_err(|error| error.to_string())
}
