//! What the agent looks after besides the tables: the host's ends of veths, and the neighbours of the underlay.

use std::collections::BTreeMap;

use super::core::Agent;
use crate::{
    netlink::{headroom::BRIDGE, links::Link, socket::RtnlError},
    tables::{Anchors, Ifindex},
};

impl Agent {
    /// Looks at the host's ends of all veths and at the managed neighbours; repairs what another altered.
    pub(super) async fn audit_host(&mut self) {
        match self.audit_veths().await {
            Ok(()) => self.over("veth"),
            Err(message) => {
                self.trouble("veth", message, "see the agent's log; it tries again every few seconds");
            }
        }
        if let Err(error) = self.host.restore_neighbours().await {
            tracing::warn!(%error, "cannot list the neighbours");
        }
        self.note_neighbours();
    }

    /// Notes the neighbours that another took from the kernel's care.
    pub(super) fn note_neighbours(&mut self) {
        for (ifindex, ip) in self.host.take_lost_neighbours() {
            let what = format!("{ip} at device #{ifindex}: deleted or altered");
            self.reconciler.findings.repaired("neighbour", what);
        }
    }

    async fn audit_veths(&mut self) -> Result<(), String> {
        let links = self.host.links().await.map_err(|error: RtnlError| error.to_string())?;
        let former = self.bindings.take_former();
        let bound: Vec<_> = self.state.bindings().map(|(id, ifindex)| (id.clone(), ifindex)).collect();
        let bridge = self.headroom_bridge(&links, !bound.is_empty()).await;
        for (id, ifindex) in &bound {
            let Some(link) = links.get(ifindex) else { continue };
            let result = self.host.restore_host_end(id, link).await;
            let mut altered = result.map_err(|error| format!("the veth of endpoint {id}: {error}"))?;
            if let Some(bridge) = bridge.filter(|bridge| link.controller != Some(*bridge)) {
                match self.host.give_headroom(*ifindex, bridge).await {
                    Ok(()) => altered.push("headroom".to_owned()),
                    // Its making has told why.
                    Err(error) => tracing::debug!(device = link.name, %error, "no headroom"),
                }
            }
            // Nobody altered what another version made otherwise.
            for what in altered.into_iter().filter(|_| !former) {
                self.reconciler.findings.repaired("veth", format!("{}: {what}", link.name));
            }
        }
        let anchors = self.state.underlay().map_or_else(Anchors::default, |underlay| underlay.anchors);
        let ours = |ifindex| {
            bound.iter().any(|(_, bound)| *bound == ifindex) || anchors.iter().any(|own| own == ifindex)
        };
        for (ifindex, ip) in self.host.remove_addresses(ours).await.map_err(|error| error.to_string())? {
            let name = links.get(&ifindex).map_or("", |link| &link.name);
            self.reconciler.findings.repaired("veth", format!("{name}: address {ip}"));
        }
        Ok(())
    }

    /// The bridge that gives headroom, set down if another set it up; none where no veth needs it or it cannot be made.
    async fn headroom_bridge(&mut self, links: &BTreeMap<Ifindex, Link>, needed: bool) -> Option<Ifindex> {
        if let Some(bridge) = links.values().find(|link| link.name == BRIDGE && link.up)
            && self.host.set_bridge_down(bridge.ifindex).await.is_ok()
        {
            self.reconciler.findings.repaired("veth", format!("{BRIDGE}: up"));
        }
        if !needed {
            return None;
        }
        self.host.headroom_bridge().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "no headroom");
            None
        })
    }
}
