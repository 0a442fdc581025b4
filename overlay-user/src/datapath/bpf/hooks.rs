//! Programs at devices, pinned as `links/PROGRAM@DEVICE`: by tcx links, or by filters of the clsact qdisc; that of XDP
//! by an XDP link.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
};

use aya::{
    maps::MapData,
    programs::{SchedClassifier, TcAttachType},
};

use super::{
    clsact,
    errors::{attach, failed},
    link,
    pins::Pins,
    tcx, xdp,
};
use crate::{
    datapath::DatapathError,
    netlink::{device_index, device_name},
    tables::{Hook, Ifindex, Program},
};

/// What begins the name of a pin while the program is being attached another way.
const FORMER: &str = "former-";

/// By what programs are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// By tcx links.
    #[default]
    Tcx,
    /// By filters of the clsact qdisc.
    Clsact,
    /// By an XDP link: `xdp_underlay`, whatever the others are attached by.
    Xdp,
}

impl By {
    /// By what a program is attached where the programs of TC are attached by `self`.
    pub(super) fn of(self, program: Program) -> Self {
        if program == Program::XdpUnderlay { Self::Xdp } else { self }
    }

    /// The name that `status` shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::Xdp => "xdp",
        }
    }
}

/// The programs there are.
pub(super) const PROGRAMS: [Program; 6] = [
    Program::FromContainer,
    Program::Unguarded,
    Program::FromAnchor,
    Program::FromUnderlay,
    Program::ToUnderlay,
    Program::XdpUnderlay,
];

/// Whether a pin is one of a program or a map, whose information would be taken for a link's.
fn is_no_link(pin: &Path) -> bool {
    // The kernel opens any pin as what it is (`BPF_OBJ_GET`); the name of the descriptor tells: `anon_inode:bpf-map`,
    // `bpf-prog`, and `bpf-link` or, in older kernels, `bpf_link`.
    let Ok(opened) = MapData::from_pin(pin) else { return false };
    let name = format!("/proc/self/fd/{}", opened.fd().as_fd().as_raw_fd());
    fs::read_link(name).is_ok_and(|kind| !kind.to_string_lossy().ends_with("link"))
}

/// The hooks that hold, the kernel's numbers of the programs at them, and by what they are there.
pub(super) fn installed(pins: &Pins) -> Result<BTreeMap<Hook, (u32, By)>, DatapathError> {
    let mut hooks = BTreeMap::new();
    for (program, device, path) in pinned(pins)? {
        if let Ok(Some((ifindex, id))) = program_at(&path, program, &device) {
            let by = if clsact::is_note(&path) { By::Clsact } else { By::Tcx }.of(program);
            hooks.insert(Hook { program, ifindex }, (id, by));
        }
    }
    Ok(hooks)
}

/// Removes the pins of links that hold nothing: whose device is gone, or is another of the same name, or that were
/// detached. What is no link is set aside.
pub(super) fn sweep(pins: &Pins) -> Result<(), DatapathError> {
    finish_changes(pins)?;
    for (program, device, path) in pinned(pins)? {
        if is_no_link(&path) {
            let aside = pins.set_aside(&path)?;
            tracing::warn!(aside = %aside.display(), "a pin in the place of a link is none and was set aside");
            continue;
        }
        match program_at(&path, program, &device) {
            Ok(Some(_)) => {}
            Ok(None) => fs::remove_file(&path).map_err(failed("use the pinned links"))?,
            // Its device is going this moment, or the kernel is out of memory: the next sweep tells.
            Err(error) => tracing::debug!(%error, "a pinned link cannot be read"),
        }
    }
    Ok(())
}

/// Finishes changes from one way of attaching to the other that were cut short.
fn finish_changes(pins: &Pins) -> Result<(), DatapathError> {
    for (program, device, aside) in listed(pins, FORMER)? {
        let path = pins.links().join(format!("{}@{device}", program.name()));
        match device_index(&device) {
            Some(ifindex) if path.symlink_metadata().is_ok() => {
                detach_at(&aside, program, ifindex, &device)?;
            }
            Some(_) => fs::rename(&aside, &path).map_err(failed("use the pinned links"))?,
            None => fs::remove_file(&aside).map_err(failed("use the pinned links"))?,
        }
    }
    Ok(())
}

/// The pins of links: program, name of the device, path.
fn pinned(pins: &Pins) -> Result<Vec<(Program, String, PathBuf)>, DatapathError> {
    listed(pins, "")
}

/// The pins whose names are those of links behind this beginning, in the order of the programs.
fn listed(pins: &Pins, begin: &str) -> Result<Vec<(Program, String, PathBuf)>, DatapathError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(pins.links()).map_err(failed("use the pinned links"))? {
        let path = entry.map_err(failed("use the pinned links"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((program, device)) = name.strip_prefix(begin).and_then(|name| name.split_once('@')) else {
            continue;
        };
        let program = PROGRAMS.into_iter().find(|known| known.name() == program);
        found.extend(program.map(|program| (program, device.to_owned(), path)));
    }
    found.sort();
    Ok(found)
}

/// The device and program id of a pin; none where its device is gone, or another has the name.
fn program_at(path: &Path, program: Program, device: &str) -> Result<Option<(Ifindex, u32)>, DatapathError> {
    let Some(ifindex) = device_index(device) else { return Ok(None) };
    let id = if clsact::is_note(path) {
        clsact::program_at(program, ifindex)?
    } else {
        let kind = if program == Program::XdpUnderlay { "xdp" } else { "tcx" };
        link::program_at(path, kind, ifindex)
    };
    Ok(id.map(|id| (ifindex, id)))
}

/// Attaches a pinned program, or swaps the program that is there. What is there another way goes after that.
pub(super) fn attach_pinned(pins: &Pins, progs: &Path, hook: Hook, by: By) -> Result<(), DatapathError> {
    let device = device_name(hook.ifindex).ok_or(DatapathError::DeviceGone { ifindex: hook.ifindex })?;
    let path = pins.links().join(format!("{}@{device}", hook.program.name()));
    let pinned = progs.join(hook.program.name());
    if by.of(hook.program) == By::Xdp {
        return xdp::attach_at(&path, &pinned, hook, &device);
    }
    let program = SchedClassifier::from_pin(pinned).map_err(attach(hook))?;
    let former = path.symlink_metadata().is_ok() && clsact::is_note(&path) != (by == By::Clsact);
    let aside = pins.links().join(format!("{FORMER}{}@{device}", hook.program.name()));
    if former {
        fs::rename(&path, &aside).map_err(failed("use the pinned links"))?;
    }
    match by {
        By::Tcx | By::Xdp => tcx::attach_at(&path, program, hook, &device)?,
        By::Clsact => clsact::attach_at(&path, program, hook, &device)?,
    }
    if !former {
        return Ok(());
    }
    if hook.program == Program::FromContainer && by == By::Clsact {
        // tcx comes before clsact: what stands behind the guard must not stand before it. Its own turn is next.
        let unguarded = pins.links().join(format!("{}@{device}", Program::Unguarded.name()));
        if unguarded.symlink_metadata().is_ok() {
            detach_at(&unguarded, Program::Unguarded, hook.ifindex, &device)?;
        }
    }
    detach_at(&aside, hook.program, hook.ifindex, &device)
}

/// Detaches a program. A device that is gone took it with it.
pub(super) fn detach(pins: &Pins, hook: Hook) -> Result<(), DatapathError> {
    detach_those(pins, |program, at| program == hook.program && at.is_none_or(|at| at == hook.ifindex))
}

/// Detaches every program.
pub(super) fn detach_all(pins: &Pins) -> Result<(), DatapathError> {
    detach_those(pins, |_, _| true)
}

/// Detaches what is to go, by program and device; of a device that is gone only the pin is left.
fn detach_those(pins: &Pins, goes: impl Fn(Program, Option<Ifindex>) -> bool) -> Result<(), DatapathError> {
    // Backwards: XDP hands its frames to `from_underlay`.
    for (program, device, path) in pinned(pins)?.into_iter().rev() {
        match device_index(&device) {
            at if !goes(program, at) => {}
            Some(ifindex) => detach_at(&path, program, ifindex, &device)?,
            None => fs::remove_file(&path).map_err(failed("use the pinned links"))?,
        }
    }
    Ok(())
}

fn detach_at(path: &Path, program: Program, ifindex: Ifindex, device: &str) -> Result<(), DatapathError> {
    if clsact::is_note(path) {
        clsact::detach_at(path, program, ifindex, device)
    } else {
        fs::remove_file(path).map_err(failed("use the pinned links"))
    }
}

/// The side of a device that a program of TC is attached to.
pub(super) const fn side(program: Program) -> TcAttachType {
    match program {
        Program::FromContainer
        | Program::Unguarded
        | Program::FromUnderlay
        | Program::FromAnchor
        | Program::XdpUnderlay => TcAttachType::Ingress,
        Program::ToUnderlay => TcAttachType::Egress,
    }
}
