//! What has changed in the cluster, and when; kept over restarts, and bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    api::types::{Change, ChangeKind, NodeState},
    cluster::{Cluster, Endpoint, EndpointId},
    files,
};

/// So many changes of endpoints are kept, and so many others: a storm of the one does not push out the other.
const MOST: usize = 500;
/// The largest file that is read.
const LIMIT: u64 = 4 << 20;

/// The changes, and their file of one JSON object a line.
pub(super) struct History {
    path: PathBuf,
    /// Those of endpoints, and the others.
    changes: [VecDeque<Change>; 2],
    /// States of nodes as they were last noted, and since when.
    nodes: BTreeMap<String, (String, u64)>,
    is_dirty: bool,
}

impl History {
    /// Reads what was kept; what cannot be read of it is passed over.
    pub(super) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("events.json");
        let mut this = Self {
            path,
            changes: [VecDeque::new(), VecDeque::new()],
            nodes: BTreeMap::new(),
            is_dirty: false,
        };
        let text = fs::metadata(&this.path)
            .ok()
            .filter(|found| found.len() <= LIMIT)
            .and_then(|_| fs::read_to_string(&this.path).ok());
        for change in
            text.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok())
        {
            this.push(change);
        }
        this.is_dirty = false;
        this
    }

    fn push(&mut self, change: Change) {
        let changes = &mut self.changes[usize::from(change.kind != ChangeKind::Endpoint)];
        if changes.len() == MOST {
            changes.pop_front();
        }
        if change.kind == ChangeKind::Node {
            self.nodes.insert(change.name.clone(), (change.what.clone(), change.at));
        }
        changes.push_back(change);
        self.is_dirty = true;
    }

    /// Notes a change.
    pub(super) fn note(&mut self, at: u64, kind: ChangeKind, name: &str, what: &str, detail: String) {
        self.push(Change { at, kind, name: name.to_owned(), what: what.to_owned(), detail });
    }

    /// Notes how the nodes are.
    pub(super) fn note_nodes<'n>(&mut self, at: u64, nodes: impl Iterator<Item = (&'n str, &'n str)>) {
        for (name, state) in nodes {
            if self.nodes.get(name).is_none_or(|(known, _)| known != state) {
                self.note(at, ChangeKind::Node, name, state, String::new());
            }
        }
    }

    /// Notes what differs between two clusters. Nodes are noted by how they are.
    pub(super) fn note_cluster(&mut self, at: u64, before: &Cluster, after: &Cluster) {
        for (name, network) in &after.networks {
            match before.networks.get(name) {
                None => {
                    let detail = format!("VNI {}", network.vni);
                    self.note(at, ChangeKind::Network, name, "added", detail);
                }
                Some(known) if known != network => {
                    self.note(at, ChangeKind::Network, name, "changed", String::new());
                }
                Some(_) => {}
            }
        }
        for name in before.networks.keys().filter(|name| !after.networks.contains_key(*name)) {
            self.note(at, ChangeKind::Network, name, "deleted", String::new());
        }
        for (id, endpoint) in &after.endpoints {
            self.note_endpoint(at, id, before.endpoints.get(id), Some(endpoint));
        }
        for (id, endpoint) in before.endpoints.iter().filter(|(id, _)| !after.endpoints.contains_key(*id)) {
            self.note_endpoint(at, id, Some(endpoint), None);
        }
    }

    /// Notes what differs of an endpoint.
    pub(super) fn note_endpoint(
        &mut self,
        at: u64,
        id: &EndpointId,
        before: Option<&Endpoint>,
        after: Option<&Endpoint>,
    ) {
        let (what, node) = match (before, after) {
            (None, Some(now)) => ("added", &now.node),
            (Some(before), Some(now)) if before.node != now.node => ("moved", &now.node),
            (Some(before), Some(now)) if before != now => ("changed", &now.node),
            (Some(before), None) => ("deleted", &before.node),
            (Some(_), Some(_)) | (None, None) => return,
        };
        self.note(at, ChangeKind::Endpoint, id.as_str(), what, format!("on {node}"));
    }

    /// When a node's state was last seen to change.
    pub(super) fn changed(&self, node: &str) -> Option<u64> {
        self.nodes.get(node).map(|(_, at)| *at)
    }

    /// All that is kept, in order of time.
    pub(super) fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = self.changes.iter().flatten().cloned().collect();
        // Those of a second stay in their order.
        changes.sort_by_key(|change| change.at);
        changes
    }

    /// Writes what is new.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        let mut text = Vec::new();
        for change in self.changes() {
            serde_json::to_writer(&mut text, &change)?;
            text.push(b'\n');
        }
        files::replace(&self.path, &text)?;
        self.is_dirty = false;
        Ok(())
    }
}

/// How a node is, in a word.
pub(super) const fn word(state: NodeState) -> &'static str {
    match state {
        NodeState::This => "self",
        NodeState::Known => "known",
        NodeState::Unroutable => "unroutable",
        NodeState::Upgrading => "upgrading",
        NodeState::AgentDown => "agent_down",
        NodeState::Dead => "dead",
        NodeState::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(endpoint: &str) -> Cluster {
        Cluster::parse(&format!(
            "[[node]]\nname = \"h1\"\nvtep = \"10.88.0.1\"\n[[node]]\nname = \"h2\"\nvtep = \"10.88.0.2\"\n\
             [[network]]\nname = \"blue\"\nvni = 42\nsubnets = [\"10.1.0.0/24\"]\n{endpoint}"
        ))
        .expect("valid")
    }

    fn endpoint(node: &str) -> String {
        format!("[[endpoint]]\nnetwork = \"blue\"\nnode = \"{node}\"\nips = [\"10.1.0.1\"]\n")
    }

    fn lines(history: &History) -> Vec<String> {
        let line =
            |change: &Change| format!("{} {} {} {}", change.at, change.name, change.what, change.detail);
        history.changes().iter().map(line).collect()
    }

    #[test]
    fn what_differs_is_noted_and_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut history = History::open(dir.path());
        history.note_cluster(1, &Cluster::default(), &cluster(&endpoint("h1")));
        history.note_cluster(2, &cluster(&endpoint("h1")), &cluster(&endpoint("h2")));
        history.note_nodes(3, [("h2", "known")].into_iter());
        history.note_nodes(4, [("h2", "known")].into_iter());
        history.note_nodes(5, [("h2", "dead")].into_iter());
        history.note_cluster(6, &cluster(&endpoint("h2")), &Cluster::default());
        let expected = [
            "1 blue.02420a010001 added on h1",
            "1 blue added VNI 42",
            "2 blue.02420a010001 moved on h2",
            "3 h2 known ",
            "5 h2 dead ",
            "6 blue.02420a010001 deleted on h2",
            "6 blue deleted ",
        ];
        assert_eq!(lines(&history), expected);
        history.keep().expect("kept");
        let again = History::open(dir.path());
        assert_eq!(lines(&again), expected);
        assert_eq!(again.changed("h2"), Some(5));
    }

    #[test]
    fn a_storm_of_endpoints_pushes_no_node_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut history = History::open(dir.path());
        history.note_nodes(1, [("h2", "dead")].into_iter());
        for at in 0..3 * MOST as u64 {
            history.note(at, ChangeKind::Endpoint, "blue.02420a010001", "added", String::new());
        }
        assert_eq!(history.changes().len(), MOST + 1);
        assert!(lines(&history).iter().any(|line| line.contains("h2 dead")));
    }
}
