//! Our own vxlan device: that it is there and as it should be.

use super::core::Agent;
use crate::{
    netlink::anchor::{ANCHOR, check_port},
    tables::Ifindex,
};

impl Agent {
    /// Makes or restores the device; its index, and whether other vxlan devices are on its UDP port.
    pub(super) async fn hold_anchor(&mut self) -> (Option<Ifindex>, bool) {
        let before = self.state.underlay().and_then(|underlay| underlay.anchor);
        let shared = match self.host.links().await {
            // One that takes every VNI came later: then the port is its own, or ours.
            Ok(links) => self.vxlan.shared || check_port(&links, self.vxlan.port).unwrap_or(true),
            Err(_) => self.vxlan.shared,
        };
        match self.host.anchor(self.vxlan.port).await {
            Ok((ifindex, altered)) => {
                for what in altered.into_iter().filter(|_| before.is_some()) {
                    self.reconciler.findings.repaired("anchor", format!("{ANCHOR}: {what}"));
                }
                if before.is_some_and(|before| before != ifindex) {
                    self.reconciler.findings.repaired("anchor", format!("{ANCHOR}: deleted"));
                }
                self.over("anchor");
                (Some(ifindex), shared)
            }
            Err(error) => {
                let fix = "free the port, or see the agent's log; until then some super-frames are dropped (no_anchor)";
                self.trouble("anchor", error.to_string(), fix);
                (None, shared)
            }
        }
    }

    /// Looks after the device; what goes by its index follows.
    pub(super) async fn audit_anchor(&mut self) {
        let Some(underlay) = self.state.underlay() else { return };
        let before = (underlay.anchor, underlay.shared);
        if self.hold_anchor().await != before {
            self.underlay_changed().await;
        }
    }
}
