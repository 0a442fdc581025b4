//! What carries a plan out: the kernel, or a fake for tests.

use std::io;

use overlay_common::Vni;

use crate::{
    plan::Op,
    tables::{Ifindex, Tables},
};

pub mod bpf;
pub mod fake;

/// Something that holds tables and forwards by them.
///
/// Its calls do not wait: each is a few system calls of microseconds.
pub trait Datapath {
    /// Reads the installed tables.
    fn read(&mut self) -> Result<Tables, DatapathError>;

    /// Carries one step out; a step that failed has changed nothing.
    fn apply(&mut self, op: &Op) -> Result<(), DatapathError>;

    /// Counts the dropped frames by reason and network.
    fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError>;

    /// Lists the attached programs.
    fn programs(&mut self) -> Result<Vec<ProgramInfo>, DatapathError>;
}

/// How many frames were dropped for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The name of the reason.
    pub reason: &'static str,
    /// The network, where the reason has one.
    pub vni: Option<Vni>,
    /// The frames.
    pub count: u64,
}

/// An attached program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its name in the kernel.
    pub name: String,
    /// Its ID in the kernel.
    pub id: u32,
    /// The device it is attached to.
    pub device: Ifindex,
    /// Where at the device: `tcx ingress` or `tcx egress`.
    pub hook: &'static str,
}

/// Why the data plane refused.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// A map has no room.
    #[error("the map {map} is full; remove entries from the cluster")]
    Full {
        /// The name of the map.
        map: &'static str,
    },
    /// The device of a step is not there.
    #[error("the device with index {ifindex} is gone; add its endpoint again")]
    DeviceGone {
        /// The device.
        ifindex: Ifindex,
    },
    /// A map or link holds what this version does not understand.
    #[error("{object} holds what this version cannot read; remove it with `overlay uninstall`")]
    Foreign {
        /// The map or link.
        object: String,
    },
    /// The kernel refused.
    #[error("cannot {action}: {source}")]
    Kernel {
        /// What was tried, as in "cannot read the map FDB".
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
}
