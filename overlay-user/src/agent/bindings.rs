//! Which container each local endpoint is bound to, kept in a file so that a new agent knows.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::cluster::EndpointId;

/// The version of the file's format.
const VERSION: u32 = 1;

/// One endpoint's container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binding {
    /// Path of the network namespace.
    pub(super) netns: PathBuf,
    /// Name of the interface in it.
    pub(super) ifname: String,
    /// Name of the veth's end on the host.
    pub(super) host_ifname: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    bindings: BTreeMap<EndpointId, Binding>,
}

/// The bindings, and their file.
pub(super) struct Bindings {
    path: PathBuf,
    by_id: BTreeMap<EndpointId, Binding>,
}

impl Bindings {
    /// Reads the file of a state directory. One that cannot be read is set aside under another name: losing it
    /// costs the names of namespaces, refusing to start would cost the network.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(state_dir)?;
        let path = state_dir.join("bindings.json");
        let by_id = match fs::read(&path) {
            Ok(text) => match serde_json::from_slice::<Document>(&text) {
                Ok(document) if document.version == VERSION => document.bindings,
                _ => {
                    let aside = path.with_extension("json.unreadable");
                    fs::rename(&path, &aside)?;
                    tracing::warn!(file = %aside.display(), "the list of bound endpoints cannot be read and was set aside");
                    BTreeMap::new()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, by_id })
    }

    pub(super) fn get(&self, id: &EndpointId) -> Option<&Binding> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&EndpointId, &Binding)> {
        self.by_id.iter()
    }

    /// Adds a binding; on an error it is as if it had not been.
    pub(super) fn insert(&mut self, id: EndpointId, binding: Binding) -> io::Result<()> {
        self.by_id.insert(id.clone(), binding);
        self.write().inspect_err(|_| {
            self.by_id.remove(&id);
        })
    }

    /// Removes a binding. The file may lag behind: an endpoint whose veth is gone is forgotten on the next start.
    pub(super) fn remove(&mut self, id: &EndpointId) -> Option<Binding> {
        let binding = self.by_id.remove(id)?;
        if let Err(error) = self.write() {
            tracing::warn!(file = %self.path.display(), %error, "cannot write the list of bound endpoints");
        }
        Some(binding)
    }

    /// Replaces the file in one step.
    fn write(&self) -> io::Result<()> {
        let document = Document { version: VERSION, bindings: self.by_id.clone() };
        let text = serde_json::to_vec_pretty(&document)?;
        let new = self.path.with_extension("json.new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding {
        Binding { netns: "/run/netns/a".into(), ifname: "eth0".into(), host_ifname: "ovabc".into() }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let id: EndpointId = "blue.02420a010001".parse().expect("an id");
        let mut bindings = Bindings::open(dir.path()).expect("empty");
        bindings.insert(id.clone(), binding()).expect("written");
        assert_eq!(Bindings::open(dir.path()).expect("read").get(&id), Some(&binding()));
        bindings.remove(&id).expect("was there");
        assert_eq!(Bindings::open(dir.path()).expect("read").iter().count(), 0);
    }

    #[test]
    fn an_unreadable_file_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("bindings.json"), b"{\"version\": 1, \"bindi").expect("written");
        assert_eq!(Bindings::open(dir.path()).expect("starts").iter().count(), 0);
        assert!(dir.path().join("bindings.json.unreadable").exists());
    }

    #[test]
    fn a_failed_write_leaves_no_binding() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bindings = Bindings::open(dir.path()).expect("empty");
        drop(dir);
        let id: EndpointId = "blue.02420a010001".parse().expect("an id");
        bindings.insert(id.clone(), binding()).expect_err("the directory is gone");
        assert_eq!(bindings.get(&id), None);
    }
}
