//! Our own vxlan devices: that they are there and as they should be.

use super::core::Agent;
use crate::{
    netlink::anchor::{Anchor, AnchorError, check_port},
    tables::{Anchors, Ifindex},
    vteps::Vteps,
};

impl Agent {
    /// Makes or restores the device of each family that the node has an address of, and removes that of another; those
    /// that are there.
    pub(super) async fn hold_anchors(&mut self, vteps: Vteps) -> Anchors {
        let before = self.state.underlay().map_or_else(Anchors::default, |underlay| underlay.anchors);
        let mut faults = Vec::new();
        let mut hold = async |anchor, wanted, before| {
            let held =
                if wanted { self.hold_anchor(anchor, before).await } else { self.drop_anchor(anchor).await };
            held.unwrap_or_else(|error| {
                faults.push(format!("{}: {error}", anchor.name()));
                None
            })
        };
        let anchors = Anchors {
            v4: hold(Anchor::V4, vteps.v4().is_some(), before.v4).await,
            v6: hold(Anchor::V6, vteps.v6().is_some(), before.v6).await,
        };
        if faults.is_empty() {
            self.over("anchor");
        } else {
            let fix = "free the port, or see the agent's log; until then some frames are dropped (no_anchor)";
            self.trouble("anchor", faults.join("; "), fix);
        }
        anchors
    }

    async fn hold_anchor(
        &mut self,
        anchor: Anchor,
        before: Option<Ifindex>,
    ) -> Result<Option<Ifindex>, AnchorError> {
        let (ifindex, altered) = self.host.anchor(anchor, self.vxlan.port).await?;
        let gone = before.is_some_and(|before| before != ifindex).then(|| "deleted".to_owned());
        for what in altered.into_iter().filter(|_| before.is_some()).chain(gone) {
            self.reconciler.findings.repaired("anchor", format!("{}: {what}", anchor.name()));
        }
        Ok(Some(ifindex))
    }

    async fn drop_anchor(&mut self, anchor: Anchor) -> Result<Option<Ifindex>, AnchorError> {
        self.host.remove_anchor(anchor).await?;
        Ok(None)
    }

    /// Looks after the devices, and after others on their UDP port; what goes by them follows.
    pub(super) async fn audit_anchors(&mut self) {
        if let Ok(links) = self.host.links().await {
            // One that takes every VNI cannot be up beside ours.
            self.shared = self.vxlan.shared || check_port(&links, self.vxlan.port).unwrap_or(true);
        }
        let Some(underlay) = self.state.underlay() else { return };
        let (vteps, before) = (underlay.vteps, (underlay.anchors, underlay.shared));
        if (self.hold_anchors(vteps).await, self.shared) != before {
            self.underlay_changed().await;
        }
    }
}
