//! `overlay.toml`: what is set per node.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    cluster::{check_name, read_vteps},
    document::{Document, DocumentError, Table, Value},
    text_file,
    vteps::Vteps,
    words::{quoted, suggestion},
};

mod api;
mod gossip;
mod log;
#[cfg(test)]
mod tests;

pub use api::ApiSection;
pub use gossip::{GOSSIP_PORT, GossipSection};
pub use log::{LogFormat, LogSection};

/// The largest overlay.toml.
const LIMIT: u64 = 1 << 20;
/// Where the kernel tells the host name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// The engines of the contract that this version does not have.
const LATER_ENGINES: [&str; 2] = ["etcd", "kubernetes"];

/// The configuration of this node, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[node]`
    pub node: NodeSection,
    /// `[vxlan]`
    pub vxlan: VxlanSection,
    /// `[cluster]`
    pub cluster: ClusterSection,
    /// `[api]`
    pub api: ApiSection,
    /// `[log]`
    pub log: LogSection,
    /// `[trace]`
    pub trace: TraceSection,
}

/// Who this node is; exactly one of `underlay` and `vtep` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSection {
    /// Its name in the cluster.
    pub name: String,
    /// The name of the underlay device, whose address is the VTEP.
    pub underlay: Option<String>,
    /// The VTEP's addresses, whose device is the underlay device.
    pub vteps: Option<Vteps>,
    /// By what programs are attached to devices.
    pub hooks: Hooks,
    /// Where frames from the underlay lose their outer headers.
    pub underlay_mode: UnderlayMode,
}

/// Where frames from the underlay lose their outer headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderlayMode {
    /// In XDP where the underlay device is of a driver for hardware that runs it, else in TC.
    Auto,
    /// In TC.
    Tc,
    /// In XDP, on any device whose driver runs it; what is not plain in TC.
    Xdp,
}

/// By what programs are attached to devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// By tcx links where the kernel has them, else by clsact filters.
    Auto,
    /// By tcx links.
    Tcx,
    /// By filters of the clsact qdisc.
    Clsact,
}

/// How VXLAN is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanSection {
    /// The UDP port.
    pub port: u16,
    /// Whether other vxlan devices listen on the port that this node cannot see, as Docker's in other namespaces.
    pub shared: bool,
}

/// Where the cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSection {
    /// The membership engine.
    pub engine: Engine,
    /// `[cluster.file]`
    pub file: FileSection,
    /// `[cluster.gossip]`
    pub gossip: GossipSection,
}

/// A membership engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file that is watched.
    File,
    /// Every node tells the others what it has.
    Gossip,
}

/// The engine `file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSection {
    /// The cluster.toml.
    pub path: PathBuf,
}

/// Sampled traces of the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSection {
    /// One frame in so many is traced; with 0 the programs are loaded without any trace in them.
    pub sample: u32,
}

/// Why overlay.toml is refused; one line, `path:line:column: field: what is wrong; remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {message}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, and the remedy.
        message: String,
    },
    /// The file says what it may not.
    #[error("{}:{error}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: DocumentError,
    },
}

impl Engine {
    /// The engine's name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Gossip => "gossip",
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = text_file::read(path, LIMIT)
            .map_err(|message| ConfigError::Unreadable { path: path.to_owned(), message })?;
        // procfs reports a size of 0 for the file, and a host name is short.
        let host_name = text_file::read(Path::new(HOST_NAME), 1024).unwrap_or_default();
        Self::parse(&text, host_name.trim_end())
            .map_err(|error| ConfigError::Invalid { path: path.to_owned(), error })
    }

    /// The configuration of a node that has none and joins a gossip cluster by a token: its name is the host's, its
    /// VTEP the address by which it reaches the cluster.
    ///
    /// # Errors
    ///
    /// Where the host's name cannot be a node's.
    pub fn joined(vtep: IpAddr) -> Result<Self, DocumentError> {
        let host_name = text_file::read(Path::new(HOST_NAME), 1024).unwrap_or_default();
        let text = format!("[node]\nvtep = \"{vtep}\"\n[cluster]\nengine = \"gossip\"\n");
        Self::parse(&text, host_name.trim_end())
    }

    /// Reads the text of an overlay.toml; the node is called `host_name` unless the text names it.
    pub fn parse(text: &str, host_name: &str) -> Result<Self, DocumentError> {
        let document = Document::parse(text)?;
        let root = document.root();
        root.only(&["node", "vxlan", "cluster", "api", "log", "trace"])?;
        Ok(Self {
            node: read_node(&root, host_name)?,
            vxlan: read_vxlan(&root)?,
            cluster: read_cluster(&root)?,
            api: api::read(&root)?,
            log: log::read(&root)?,
            trace: TraceSection { sample: read_sample(&root)? },
        })
    }
}

fn read_node(root: &Table<'_>, host_name: &str) -> Result<NodeSection, DocumentError> {
    let node = root.table("node")?.ok_or_else(|| {
        root.error("the table [node] is missing; add [node] with underlay = \"eth0\" or vtep = \"10.88.0.1\"")
    })?;
    node.only(&["name", "underlay", "vtep", "hooks", "underlay_mode"])?;
    let name = match node.get("name") {
        Some(value) => {
            let name = value.string()?;
            check_name(name, true).map_err(|message| value.error(&message))?;
            name
        }
        None => {
            check_name(host_name, true).map_err(|message| {
                node.error(&format!("the host name cannot name the node ({message}); add name = \"h1\""))
            })?;
            host_name
        }
    };
    let underlay = node.get("underlay").map(|value| read_device(&value)).transpose()?;
    let vtep = node.get("vtep");
    match (&underlay, &vtep) {
        (Some(_), Some(vtep)) => {
            Err(vtep.error("node.underlay is there too, and each implies the other; remove one"))
        }
        (None, None) => {
            Err(node.error("underlay is missing; add underlay = \"eth0\" or vtep = \"10.88.0.1\""))
        }
        (Some(_), None) | (None, Some(_)) => Ok(()),
    }?;
    let vteps = vtep.map(|value| read_vteps(&value)).transpose()?;
    let hooks = node.get("hooks").map_or(Ok(Hooks::Auto), |value| read_hooks(&value))?;
    let underlay_mode =
        node.get("underlay_mode").map_or(Ok(UnderlayMode::Auto), |value| read_mode(&value))?;
    Ok(NodeSection { name: name.to_owned(), underlay, vteps, hooks, underlay_mode })
}

fn read_hooks(value: &Value<'_>) -> Result<Hooks, DocumentError> {
    match value.string()? {
        "auto" => Ok(Hooks::Auto),
        "tcx" => Ok(Hooks::Tcx),
        "clsact" => Ok(Hooks::Clsact),
        other => {
            let remedy = suggestion(other, ["auto", "tcx", "clsact"], "ways");
            Err(value.error(&format!("unknown way to attach programs {}; {remedy}", quoted(other))))
        }
    }
}

fn read_mode(value: &Value<'_>) -> Result<UnderlayMode, DocumentError> {
    match value.string()? {
        "auto" => Ok(UnderlayMode::Auto),
        "tc" => Ok(UnderlayMode::Tc),
        "xdp" => Ok(UnderlayMode::Xdp),
        other => {
            let remedy = suggestion(other, ["auto", "tc", "xdp"], "modes");
            Err(value.error(&format!("unknown mode of the underlay {}; {remedy}", quoted(other))))
        }
    }
}

/// Reads the name of a device, which the kernel bounds to 15 bytes without `/`, `:` and blanks.
fn read_device(value: &Value<'_>) -> Result<String, DocumentError> {
    let name = value.string()?;
    let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 15 || name.contains(forbidden) || name == "." || name == ".." {
        return Err(
            value.error(&format!("{} cannot name a network device; write it like \"eth0\"", quoted(name)))
        );
    }
    Ok(name.to_owned())
}

fn read_vxlan(root: &Table<'_>) -> Result<VxlanSection, DocumentError> {
    const IANA_PORT: u16 = 4789;
    let Some(vxlan) = root.table("vxlan")? else {
        return Ok(VxlanSection { port: IANA_PORT, shared: false });
    };
    vxlan.only(&["port", "shared"])?;
    let port = vxlan.get("port");
    Ok(VxlanSection {
        port: port
            .map_or(Ok(IANA_PORT), |value| value.integer(1, u16::MAX.into()).map(|port| port as u16))?,
        shared: vxlan.get("shared").map_or(Ok(false), |value| value.boolean())?,
    })
}

fn read_cluster(root: &Table<'_>) -> Result<ClusterSection, DocumentError> {
    let mut section = ClusterSection {
        engine: Engine::File,
        file: FileSection { path: "/etc/overlay/cluster.toml".into() },
        gossip: GossipSection::default(),
    };
    let Some(cluster) = root.table("cluster")? else { return Ok(section) };
    // The engine first: the table of an engine that is not built in would only be an unknown key.
    if let Some(value) = cluster.get("engine") {
        section.engine = read_engine(&value)?;
    }
    cluster.only(&["engine", "file", "gossip"])?;
    section.gossip = gossip::read(&cluster)?;
    if let Some(file) = cluster.table("file")? {
        file.only(&["path"])?;
        if let Some(value) = file.get("path") {
            let path = value.string()?;
            if path.is_empty() || path.contains('\0') {
                return Err(value.error("this is no path; write it like \"/etc/overlay/cluster.toml\""));
            }
            section.file.path = path.into();
        }
    }
    Ok(section)
}

fn read_engine(value: &Value<'_>) -> Result<Engine, DocumentError> {
    let name = value.string()?;
    let engines = [Engine::File, Engine::Gossip];
    if let Some(engine) = engines.into_iter().find(|engine| engine.name() == name) {
        Ok(engine)
    } else if LATER_ENGINES.contains(&name) {
        Err(value.error(&format!(
            "engine {} is not built into this version: use \"gossip\" or \"file\"",
            quoted(name)
        )))
    } else {
        let remedy = suggestion(name, engines.map(Engine::name), "engines");
        Err(value.error(&format!("unknown engine {}; {remedy}", quoted(name))))
    }
}

fn read_sample(root: &Table<'_>) -> Result<u32, DocumentError> {
    let Some(trace) = root.table("trace")? else { return Ok(0) };
    trace.only(&["sample"])?;
    trace.get("sample").map_or(Ok(0), |value| value.integer(0, u32::MAX))
}
