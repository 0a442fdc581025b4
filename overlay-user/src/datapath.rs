//! What carries a plan out: the kernel, or a fake for tests.

use std::{io, path::PathBuf};

use overlay_common::Vni;

use crate::{
    dir_lock::pid_text,
    plan::{self, Op},
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

    /// Reads the tables but the FDB and NEIGH, which a million endpoints make large; `None` where reading all is as
    /// cheap.
    fn read_small(&mut self) -> Result<Option<Tables>, DatapathError> {
        Ok(None)
    }

    /// Removes what the last reading found and could not have been written by an agent, unless it has been
    /// overwritten. Returns the table and the name of each entry.
    fn remove_unreadable(&mut self) -> Result<Vec<(&'static str, String)>, DatapathError> {
        Ok(Vec::new())
    }

    /// Carries one step out; a step that failed has changed nothing.
    fn apply(&mut self, op: &Op) -> Result<(), DatapathError>;

    /// Carries out the first step or more: how many, and why the one after them failed, if it did.
    fn apply_some(&mut self, ops: &[Op]) -> (usize, Result<(), DatapathError>) {
        match ops.first().map(|op| self.apply(op)) {
            None => (0, Ok(())),
            Some(Ok(())) => (1, Ok(())),
            Some(Err(error)) => (0, Err(error)),
        }
    }

    /// Brings what is installed to what is desired; how many steps that took. A step that fails is left out, and those
    /// after it are still tried; the first error is given back.
    fn bring(&mut self, desired: &Tables, installed: &mut Tables) -> Result<usize, DatapathError> {
        let staged = self.is_staged();
        let ops = plan::diff(desired, installed);
        let mut result = self.carry_out(&ops, installed);
        if staged && result.is_ok() {
            result = self.settle(desired);
        }
        result.map(|()| ops.len())
    }

    /// Carries steps out, as `bring` does.
    fn carry_out(&mut self, ops: &[Op], installed: &mut Tables) -> Result<(), DatapathError> {
        let (mut failed, mut left) = (None, ops);
        while let [op, rest @ ..] = left {
            if self.is_staged() && failed.is_some() && matches!(op, Op::Attach(_)) {
                // Tables with gaps must not come into force; those that are go on.
                left = rest;
                continue;
            }
            let (done, result) = self.apply_some(left);
            left[..done].iter().for_each(|op| op.apply_to(installed));
            left = &left[done..];
            if let Err(error) = result {
                failed.get_or_insert(error);
                left = left.get(1..).unwrap_or_default();
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Counts the dropped frames by reason and network.
    fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError>;

    /// Lists the attached programs.
    fn programs(&mut self) -> Result<Vec<ProgramInfo>, DatapathError>;

    /// Whether tables and programs are being made ready beside those in force. Then no program may be attached
    /// before all tables are filled.
    fn is_staged(&self) -> bool {
        false
    }

    /// Puts what was made ready in the place of what was in force, once it is as desired.
    fn settle(&mut self, _desired: &Tables) -> Result<(), DatapathError> {
        Ok(())
    }
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
    pub hook: String,
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
    /// The pinned maps are those of a later version.
    #[error(
        "the pinned maps have ABI {found}, this version has {known}; run the version that made them, \
         or go back with `overlay upgrade --downgrade`"
    )]
    Newer {
        /// The ABI version of the maps.
        found: u32,
        /// The one of this agent.
        known: u32,
    },
    /// A pinned map holds more entries than this version's.
    #[error(
        "the pinned maps/{map} has room for {found} entries, this version's for {known}; run the version that made it, \
         or go back with `overlay upgrade --downgrade`"
    )]
    Shrunk {
        /// The name of the map.
        map: &'static str,
        /// The entries that it has room for.
        found: u32,
        /// Those of this version's.
        known: u32,
    },
    /// Another process has the pin directory.
    #[error("{} is in use by another agent{}; stop that one first, or use another --pin-dir", dir.display(), pid_text(*pid))]
    Locked {
        /// The pin directory.
        dir: PathBuf,
        /// The process that locked it, where it can be told.
        pid: Option<u32>,
    },
    /// The programs cannot be swapped while an agent of another version keeps the maps.
    #[error(
        "the pinned maps are of another version, and an agent keeps them; stop it first, forwarding goes on"
    )]
    Kept,
    /// A program is at its device by a link that is pinned elsewhere, or held by a process.
    #[error(
        "{program} is at {device} by a link whose pin was lost; another copy of it takes over within seconds"
    )]
    HeldElsewhere {
        /// The program.
        program: &'static str,
        /// The name of the device.
        device: String,
    },
    /// The driver of a device does not run XDP.
    #[error(
        "the driver of {device} does not run XDP, and generic XDP is slower than none; set node.underlay_mode = \"auto\" or \"tc\""
    )]
    NoNativeXdp {
        /// The name of the device.
        device: String,
    },
    /// A device has an XDP program already.
    #[error(
        "{device} runs another XDP program, and a device runs one; remove that, or set node.underlay_mode = \"tc\""
    )]
    XdpTaken {
        /// The name of the device.
        device: String,
    },
    /// A link was swapped by another meanwhile.
    #[error(
        "the link of {program} at the device with index {ifindex} was swapped by another meanwhile; try again"
    )]
    NotSwapped {
        /// The program.
        program: &'static str,
        /// The device.
        ifindex: Ifindex,
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
