//! The view, brought up to date at the cost of what has changed, not of all there is.

use std::collections::BTreeMap;

use super::{
    index::Touched,
    known::Known,
    limits::Limits,
    resolve::{self, AliveOf, Holding, View},
};
use crate::{
    cluster::{Endpoint, EndpointId},
    membership::record::Key,
};

/// Endpoints that are others, and as what they hold; none where they do no more.
pub type Changes = BTreeMap<EndpointId, Option<Endpoint>>;

/// What has become of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing but these endpoints is another; there may be none.
    Endpoints(Changes),
    /// Anything may be another.
    All,
}

/// A view that is kept up to date.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    view: View,
    /// The nodes whose claims are in it; none before it was first made.
    visible: Option<Vec<String>>,
    /// Whether more was published than may hold.
    is_full: bool,
}

impl Followed {
    /// The view as it was last brought up to date.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Brings it up to date with what is known.
    pub(super) fn follow(
        &mut self,
        known: &Known,
        alive: AliveOf<'_>,
        limits: Limits,
        touched: Touched,
    ) -> News {
        let visible: Vec<&str> =
            known.parts().map(|(name, _)| name).filter(|name| alive(name).is_visible()).collect();
        let is_full = known.index().endpoints() > limits.endpoints;
        let same_nodes = self.visible.as_ref().is_some_and(|before| before.iter().eq(&visible))
            && self.view.cluster.nodes == resolve::nodes(known, alive);
        let was_full = std::mem::replace(&mut self.is_full, is_full);
        match touched {
            // Where it is full, what holds depends on all.
            Touched::Endpoints(ids) if same_nodes && !is_full && !was_full => {
                let networks = &self.view.cluster.networks;
                News::Endpoints(self.take(resolve::around(known, alive, networks, ids)))
            }
            Touched::Endpoints(_) | Touched::All => {
                self.visible = Some(visible.into_iter().map(str::to_owned).collect());
                self.view = resolve::view(known, alive, limits);
                News::All
            }
        }
    }

    /// Takes in what holds of some endpoints; what of that is another than before.
    fn take(&mut self, Holding { mut endpoints, refused }: Holding) -> Changes {
        let before = self.view.refused.len();
        let is_other = |key: &Key| key.endpoint().is_none_or(|id| !endpoints.contains_key(id));
        self.view.refused.retain(|refused| is_other(&refused.key));
        if !refused.is_empty() || self.view.refused.len() != before {
            self.view.refused.extend(refused);
            self.view.refused.sort_unstable();
        }
        let all = &mut self.view.cluster.endpoints;
        endpoints.retain(|id, endpoint| all.get(id) != endpoint.as_ref());
        apply(&endpoints, all);
        endpoints
    }
}

/// Has the endpoints of a cluster be as they are now.
pub fn apply(changes: &Changes, endpoints: &mut BTreeMap<EndpointId, Endpoint>) {
    for (id, endpoint) in changes {
        match endpoint {
            Some(endpoint) => _ = endpoints.insert(id.clone(), endpoint.clone()),
            None => _ = endpoints.remove(id),
        }
    }
}
