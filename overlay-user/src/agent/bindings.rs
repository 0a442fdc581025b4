//! Which container each local endpoint is bound to, kept in a file so that a new agent knows.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use overlay_common::hash::fnv1a;
use serde::{Deserialize, Serialize};

use crate::{cluster::EndpointId, files};

/// The version of the file's format.
const VERSION: u32 = 2;
/// The version before, without a checksum.
const FORMER: u32 = 1;

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

pub(super) type ById = BTreeMap<EndpointId, Binding>;

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// FNV-1a of the bindings as compact JSON, in hexadecimal: a flipped bit may still be JSON.
    #[serde(default)]
    checksum: String,
    bindings: ById,
}

/// The bindings, and their file.
pub(super) struct Bindings {
    path: PathBuf,
    by_id: ById,
    /// Why the file is not what it should be, while it is not.
    fault: Option<String>,
    /// Whether the file was of the version before, which made veths whose MAC address on the host was random.
    former: bool,
}

impl Bindings {
    /// Reads the file of a state directory. One that cannot be read is set aside under another name: losing it
    /// costs the names of namespaces, refusing to start would cost the network.
    pub(super) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("bindings.json");
        let mut this = Self { path, by_id: BTreeMap::new(), fault: None, former: false };
        if let Err(error) = fs::create_dir_all(state_dir) {
            this.fault = Some(format!("cannot keep state in {}: {error}", state_dir.display()));
            return this;
        }
        match fs::read(&this.path) {
            Ok(text) => match read(&text) {
                Some((version, by_id)) => {
                    this.by_id = by_id;
                    this.former = version == FORMER;
                }
                None => this.set_aside(),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => this.fault = Some(format!("cannot read {}: {error}", this.path.display())),
        }
        this
    }

    /// Renames a file that cannot be read.
    fn set_aside(&mut self) {
        match files::set_aside(&self.path) {
            Ok(aside) => tracing::warn!(
                file = %aside.display(),
                "the list of bound endpoints cannot be read and was set aside; interfaces tell whose they are by their names"
            ),
            Err(error) => {
                self.fault = Some(format!("cannot read {}, nor set it aside: {error}", self.path.display()));
            }
        }
    }

    pub(super) fn get(&self, id: &EndpointId) -> Option<&Binding> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&EndpointId, &Binding)> {
        self.by_id.iter()
    }

    /// Why the file is not what it should be, while it is not.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    /// Whether the veths were made by the version before; the file is of this version from now on.
    pub(super) fn take_former(&mut self) -> bool {
        let former = std::mem::take(&mut self.former);
        if former {
            // The fault is kept where it fails.
            let _told = self.write();
        }
        former
    }

    /// Tries again to write what could not be written.
    pub(super) fn retry(&mut self) {
        if self.fault.is_some() {
            // The fault is kept where it fails again.
            let _told = self.write();
        }
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

    fn write(&mut self) -> io::Result<()> {
        let result = text(&self.by_id).and_then(|text| files::replace(&self.path, &text));
        self.fault =
            result.as_ref().err().map(|error| format!("cannot write {}: {error}", self.path.display()));
        result
    }
}

/// What a file of these bindings holds.
pub(super) fn text(bindings: &ById) -> io::Result<Vec<u8>> {
    let checksum = checksum(bindings)?;
    Ok(serde_json::to_vec_pretty(&Document { version: VERSION, checksum, bindings: bindings.clone() })?)
}

/// The version and the bindings of a file's text; none where it is not one that an agent wrote.
pub(super) fn read(text: &[u8]) -> Option<(u32, ById)> {
    let document: Document = serde_json::from_slice(text).ok()?;
    let whole = match document.version {
        FORMER => true,
        VERSION => checksum(&document.bindings).ok()? == document.checksum,
        _ => false,
    };
    whole.then_some((document.version, document.bindings))
}

fn checksum(bindings: &ById) -> io::Result<String> {
    Ok(format!("{:016x}", fnv1a(serde_json::to_vec(bindings)?)))
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
        let mut bindings = Bindings::open(dir.path());
        bindings.insert(id.clone(), binding()).expect("written");
        assert_eq!(Bindings::open(dir.path()).get(&id), Some(&binding()));
        bindings.remove(&id).expect("was there");
        assert_eq!(Bindings::open(dir.path()).iter().count(), 0);
    }

    #[test]
    fn an_unreadable_file_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("bindings.json"), b"{\"version\": 1, \"bindi").expect("written");
        assert_eq!(Bindings::open(dir.path()).iter().count(), 0);
        assert!(dir.path().join("bindings.json.unreadable-1").exists());
    }

    #[test]
    fn no_truncated_or_altered_file_is_believed() {
        let dir = tempfile::tempdir().expect("a directory");
        let id: EndpointId = "blue.02420a010001".parse().expect("an id");
        Bindings::open(dir.path()).insert(id.clone(), binding()).expect("written");
        let text = fs::read(dir.path().join("bindings.json")).expect("read");
        assert!(read(&text).is_some_and(|(_, found)| found.contains_key(&id)), "the control");
        for length in 0..text.len() {
            assert_eq!(read(&text[..length]), None, "{length} bytes");
        }
        for place in 0..text.len() {
            let mut altered = text.clone();
            altered[place] ^= 1;
            // What is left of the meaning is what counts: a tab for a line feed changes nothing.
            assert!(
                read(&altered).is_none_or(|(_, found)| found.get(&id) == Some(&binding())),
                "byte {place}"
            );
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_a_fault_until_it_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        fs::write(&state, "a file").expect("written");
        let mut bindings = Bindings::open(&state);
        assert!(bindings.fault().is_some_and(|fault| fault.contains("cannot keep state")));
        bindings.retry();
        assert!(bindings.fault().is_some());
        fs::remove_file(&state).expect("removed");
        bindings.retry();
        assert_eq!(bindings.fault(), None);
        assert!(state.join("bindings.json").exists());
    }

    #[test]
    fn the_former_format_is_read() {
        let text = r#"{"version":1,"bindings":{"blue.02420a010001":{"netns":"/run/netns/a","ifname":"eth0","host_ifname":"ovabc"}}}"#;
        assert_eq!(read(text.as_bytes()).map(|(version, found)| (version, found.len())), Some((1, 1)));
        assert_eq!(read(text.replace(":1,", ":3,").as_bytes()), None, "a later one is not");
    }

    #[test]
    fn a_failed_write_leaves_no_binding() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        let mut bindings = Bindings::open(&state);
        fs::remove_dir(&state).expect("removed");
        fs::write(&state, "a file").expect("written");
        let id: EndpointId = "blue.02420a010001".parse().expect("an id");
        bindings.insert(id.clone(), binding()).expect_err("there is no directory");
        assert_eq!(bindings.get(&id), None);
    }
}
