//! What the source says is taken in: at the cost of what has changed, where that is only some endpoints.

use super::core::Agent;
use crate::{
    cluster::EndpointId,
    datapath::{Datapath as _, DatapathError},
    event::Event,
    tables::Tables,
};

/// The programs at the device of an endpoint whose port is out of the kernel.
#[must_use = "they stay attached"]
pub(super) struct Closed(Tables);

impl Agent {
    /// Takes in what the source says; where that is nothing, what the engine has.
    pub(super) async fn take_said(&mut self, said: Option<Event>) {
        match said {
            Some(event) => self.take_event(event).await,
            None => self.follow().await,
        }
    }

    /// Takes in what has changed in the engine since it was last asked. Only here, and so in the order of the changes.
    pub(super) async fn follow(&mut self) {
        if let Some(event) = self.news().await {
            self.take_event(event).await;
        }
    }

    /// What has changed in the engine.
    pub(super) async fn news(&mut self) -> Option<Event> {
        match &self.gossip {
            Some(gossip) => gossip.news(&mut self.serial).await,
            None => None,
        }
    }

    async fn take_event(&mut self, event: Event) {
        self.note(&event);
        self.remember(&event);
        if let Event::Endpoints(changes) = &event {
            let concerns_us = changes.keys().any(|id| self.state.bound(id).is_some());
            // The error is kept, shown by `status`, and tried again at the next audit.
            let _shown = self.apply(event);
            if concerns_us {
                self.remove_orphans().await;
            }
            return;
        }
        self.state.apply(event);
        self.remove_orphans().await;
        self.read_underlay().await;
        self.sync().await;
        // A node may be dead and back before the next audit.
        self.note_nodes().await;
    }

    /// Takes the port of an endpoint out of the kernel, all but the programs at its device, which so drop what comes
    /// until the device is gone: each that is detached from one that is there has the kernel wait for a grace period of
    /// RCU under its lock of devices (`tcx_entry_sync`, 10 ms).
    pub(super) fn close(&mut self, id: &EndpointId) -> Closed {
        let event = Event::PortDown { id: id.clone() };
        let touched = self.state.touched(&event).filter(|_| !self.reconciler.datapath.is_staged());
        let before = touched.as_ref().and_then(|touched| self.state.part(touched)).unwrap_or_default();
        let hooks = self.reconciler.installed().where_in(&[&before]).hooks;
        let closed = Tables { hooks, ..Tables::default() };
        // The error is kept, shown by `status`, and tried again at the next audit.
        let _shown = self.reconciler.sync_part(&before, &closed);
        self.state.apply(event);
        Closed(closed)
    }

    /// Detaches the programs of a device that has been closed.
    pub(super) fn detach(&mut self, Closed(closed): Closed) {
        // As above.
        let _shown = self.reconciler.sync_part(&closed, &Tables::default());
    }

    /// Applies an event, and brings the kernel to what follows from it.
    pub(super) fn apply(&mut self, event: Event) -> Result<(), DatapathError> {
        // What is made ready beside what is in force is made whole.
        let touched = self.state.touched(&event).filter(|_| !self.reconciler.datapath.is_staged());
        let before = touched.as_ref().and_then(|touched| self.state.part(touched));
        self.state.apply(event);
        let after = touched.as_ref().and_then(|touched| self.state.part(touched));
        match (before, after) {
            (Some(before), Some(after)) => self.reconciler.sync_part(&before, &after),
            _ => self.state.tables().map_or(Ok(()), |desired| self.reconciler.sync(&desired)),
        }
    }
}
