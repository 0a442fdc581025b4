//! The agent's state and what it does about each event.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::{bindings::Bindings, history::History, reconcile::Reconciler};
use crate::{
    cli::Paths,
    cluster::EndpointId,
    config::{Config, UnderlayMode, VxlanSection},
    datapath::bpf::{Bpf, OpenOptions, TraceReader},
    event::Event,
    netlink::{Host, UnderlaySelect, anchor},
    source::gossip::Gossip,
    state::{Problem, State},
    tables::Ifindex,
    vteps::Vteps,
};

/// One node's agent.
pub(super) struct Agent {
    pub(super) state: State,
    pub(super) reconciler: Reconciler<Bpf>,
    pub(super) host: Host,
    pub(super) bindings: Bindings,
    /// The MTU that each veth was last seen with as it should be.
    pub(super) mtus: BTreeMap<EndpointId, u16>,
    pub(super) engine: &'static str,
    /// The engine, where it is one that this node tells something.
    pub(super) gossip: Option<Gossip>,
    /// What of that has been taken in (`Gossip::news`).
    pub(super) serial: u64,
    pub(super) history: History,
    /// The addresses of the underlay device when the agent started.
    pub(super) vteps: Vteps,
    /// Name of the underlay device, once it was found.
    pub(super) underlay_name: Option<String>,
    /// What the agent itself could not do, by a name for each, until it could.
    pub(super) troubles: Vec<Problem>,
    select: UnderlaySelect,
    underlay_mode: UnderlayMode,
    pub(super) vxlan: VxlanSection,
    /// Whether other vxlan devices are on our UDP port.
    pub(super) shared: bool,
}

impl Agent {
    /// Checks the node, and opens or makes what is installed in the kernel.
    pub(super) async fn open(paths: &Paths, config: &Config, options: OpenOptions) -> anyhow::Result<Self> {
        let host = Host::open().context("cannot read the network configuration")?;
        let select = match (&config.node.underlay, config.node.vteps) {
            (Some(name), _) => UnderlaySelect::Device(name.clone()),
            (None, Some(vteps)) => UnderlaySelect::Addresses(vteps),
            (None, None) => anyhow::bail!("node: neither underlay nor vtep is set; set one of them"),
        };
        let underlay = host.underlay_link(&select, None).await?;
        host.uses_xdp(config.node.underlay_mode, underlay.ifindex).await?;
        let links = host.links().await.context("cannot list the network devices")?;
        let shared = config.vxlan.shared || anchor::check_port(&links, config.vxlan.port)?;
        let bindings = Bindings::open(&paths.state_dir);
        let reconciler = Reconciler::new(Bpf::open(&paths.pin_dir, options)?)?;
        Ok(Self {
            state: State::new(config.node.name.clone(), config.vxlan.port),
            reconciler,
            host,
            bindings,
            mtus: BTreeMap::new(),
            engine: config.cluster.engine.name(),
            gossip: None,
            serial: 0,
            history: History::open(&paths.state_dir),
            vteps: underlay.vteps,
            underlay_name: Some(underlay.name),
            troubles: Vec::new(),
            select,
            underlay_mode: config.node.underlay_mode,
            vxlan: config.vxlan.clone(),
            shared,
        })
    }

    /// Undoes what `open` has made, for who cannot take part in the cluster.
    pub(super) fn abandon(self) {
        if let Err(error) = self.reconciler.datapath.abandon() {
            tracing::warn!(%error, "what was made ready stays pinned");
        }
    }

    /// The reader of sampled traces, where there are any.
    pub(super) fn take_trace(&mut self) -> Option<TraceReader> {
        self.reconciler.datapath.take_trace()
    }

    /// Notes whether the state directory takes what is to be kept.
    pub(super) fn note_state(&mut self) {
        match self.bindings.fault() {
            Some(fault) => {
                let fix = "make room or make it writable; until then a new agent may not know all containers";
                self.trouble("state", fault, fix);
            }
            None => self.over("state"),
        }
    }

    /// Takes in what the source says first, and brings the kernel from what an earlier agent left to it.
    pub(super) async fn start(&mut self, first: Option<Event>) -> anyhow::Result<()> {
        let first = match first {
            Some(first) => Some(first),
            None => self.news().await,
        };
        self.remember_start();
        if let Some(first) = first {
            self.note(&first);
            self.state.apply(first);
        }
        self.restore().await.context("cannot list the network devices")?;
        self.give_up_unbound().await;
        self.remove_orphans().await;
        self.read_underlay().await;
        self.sync().await;
        self.note_state();
        Ok(())
    }

    /// Logs what the source says.
    pub(super) fn note(&self, event: &Event) {
        match &event {
            Event::Cluster(cluster) => tracing::info!(
                nodes = cluster.nodes.len(),
                networks = cluster.networks.len(),
                endpoints = cluster.endpoints.len(),
                "the cluster changed"
            ),
            Event::Endpoints(changes) => tracing::debug!(endpoints = changes.len(), "endpoints changed"),
            Event::SourceFailed(error) if self.state.cluster().is_none() => tracing::error!("{error}"),
            Event::SourceFailed(error) => tracing::error!("{error}; the last good state stays"),
            Event::Underlay(_) | Event::PortUp { .. } | Event::PortDown { .. } => {}
        }
    }

    /// Looks whether the underlay is another, and follows it. Every device that comes or goes has it looked at.
    pub(super) async fn underlay_changed(&mut self) {
        // What failed before may go now.
        if self.read_underlay().await || self.reconciler.error().is_some() {
            self.sync().await;
        }
    }

    /// Reads the underlay again: device, address, MTU, routes and next hops; whether it is another.
    pub(super) async fn read_underlay(&mut self) -> bool {
        let declared = self.state.own_node().map(|node| node.vteps);
        let remote = |own| self.state.sends_to(own);
        let mut found = self.host.underlay(&self.select, declared, remote).await;
        if let Ok(underlay) = &mut found {
            match self.host.uses_xdp(self.underlay_mode, underlay.ifindex).await {
                Ok(xdp) => underlay.xdp = xdp,
                Err(error) => found = Err(error),
            }
        }
        match found {
            Ok(mut underlay) => {
                underlay.anchors = self.hold_anchors(underlay.vteps).await;
                underlay.shared = self.shared;
                let name = self.host.link(underlay.ifindex).await.ok().flatten().map(|link| link.name);
                self.underlay_name = name.or(self.underlay_name.take());
                self.note_neighbours();
                self.tell_vteps(underlay.vteps).await;
                self.over("underlay");
                let is_other = self.state.underlay() != Some(&underlay);
                self.state.apply(Event::Underlay(underlay));
                is_other
            }
            Err(error) => {
                self.trouble("underlay", error.to_string(), "restore the underlay; the agent follows");
                false
            }
        }
    }

    /// Takes in that a device is gone.
    pub(super) async fn link_gone(&mut self, ifindex: Ifindex) {
        let bound = self.state.bindings();
        let gone: Vec<EndpointId> =
            bound.filter(|(_, bound)| *bound == ifindex).map(|(id, _)| id.clone()).collect();
        for id in &gone {
            tracing::warn!(endpoint = %id, "its container is gone");
            self.forget(id);
            self.give_up(id).await;
        }
        self.underlay_changed().await;
    }

    /// Looks at everything again, after messages of changes were lost.
    pub(super) async fn everything_changed(&mut self) {
        match self.host.links().await {
            Ok(links) => {
                let gone = self.state.bindings().filter(|(_, ifindex)| !links.contains_key(ifindex));
                for id in gone.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                    tracing::warn!(endpoint = %id, "its container is gone");
                    self.forget(&id);
                    self.give_up(&id).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot list the network devices"),
        }
        self.read_underlay().await;
        self.sync().await;
    }

    /// Compares the kernel with what it should hold, and repairs it.
    pub(super) async fn audit(&mut self) {
        let desired = self.state.tables();
        if let Err(error) = self.reconciler.audit(desired.as_ref()) {
            tracing::warn!(%error, "the audit failed; trying again");
        }
        self.audit_host().await;
        self.audit_anchors().await;
        self.bindings.retry();
        self.note_state();
        self.follow_mtus().await;
        self.note_gossip().await;
        self.note_nodes().await;
        self.keep_history();
    }

    /// Brings the kernel to the desired tables, as far as they are known.
    pub(super) async fn sync(&mut self) {
        if let Some(desired) = self.state.tables() {
            // The error is kept, shown by `status`, and tried again at the next audit.
            let _shown = self.reconciler.sync(&desired);
        }
        self.follow_mtus().await;
    }

    /// Notes something that could not be done.
    pub(super) fn trouble(&mut self, code: &'static str, message: String, fix: &str) {
        let known = self.troubles.iter().any(|problem| problem.code == code && problem.message == message);
        if !known {
            tracing::error!("{message}");
            self.over(code);
            self.troubles.push(Problem { code, message, fix: fix.into() });
        }
    }

    /// Strikes what could be done after all.
    pub(super) fn over(&mut self, code: &str) {
        self.troubles.retain(|problem| problem.code != code);
    }
}
