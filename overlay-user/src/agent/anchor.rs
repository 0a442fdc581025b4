//! Our own vxlan device: that it is there and as it should be.

use super::core::Agent;
use crate::{
    netlink::anchor::{ANCHOR, check_port},
    tables::Ifindex,
};

impl Agent {
    /// Makes or restores the device; its index, where it is there.
    pub(super) async fn hold_anchor(&mut self) -> Option<Ifindex> {
        let before = self.state.underlay().and_then(|underlay| underlay.anchor);
        match self.host.anchor(self.vxlan.port).await {
            Ok((ifindex, altered)) => {
                let gone = before.is_some_and(|before| before != ifindex).then(|| "deleted".to_owned());
                for what in altered.into_iter().filter(|_| before.is_some()).chain(gone) {
                    self.reconciler.findings.repaired("anchor", format!("{ANCHOR}: {what}"));
                }
                self.over("anchor");
                Some(ifindex)
            }
            Err(error) => {
                let fix =
                    "free the port, or see the agent's log; until then some frames are dropped (no_anchor)";
                self.trouble("anchor", error.to_string(), fix);
                None
            }
        }
    }

    /// Looks after the device, and after others on its UDP port; what goes by them follows.
    pub(super) async fn audit_anchor(&mut self) {
        if let Ok(links) = self.host.links().await {
            // One that takes every VNI cannot be up beside ours.
            self.shared = self.vxlan.shared || check_port(&links, self.vxlan.port).unwrap_or(true);
        }
        let Some(underlay) = self.state.underlay() else { return };
        let before = (underlay.anchor, underlay.shared);
        if (self.hold_anchor().await, self.shared) != before {
            self.underlay_changed().await;
        }
    }
}
