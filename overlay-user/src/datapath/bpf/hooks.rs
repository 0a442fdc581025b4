//! Programs at devices: tcx links, pinned as `links/PROGRAM@DEVICE`.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
};

use aya::{
    maps::MapData,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
};

use super::{
    errors::{attach, failed, on_link},
    pins::Pins,
};
use crate::{
    datapath::DatapathError,
    netlink::{device_index, device_name},
    tables::{Hook, Ifindex, Program},
};

/// The programs there are.
pub(super) const PROGRAMS: [Program; 4] =
    [Program::FromContainer, Program::Unguarded, Program::FromUnderlay, Program::ToUnderlay];

/// Whether a pin is one of a program or a map, whose information would be taken for a link's.
fn is_no_link(pin: &Path) -> bool {
    // The kernel opens any pin as what it is (`BPF_OBJ_GET`); the name of the descriptor tells: `anon_inode:bpf-map`,
    // `bpf-prog`, and `bpf-link` or, in older kernels, `bpf_link`.
    let Ok(opened) = MapData::from_pin(pin) else { return false };
    let name = format!("/proc/self/fd/{}", opened.fd().as_fd().as_raw_fd());
    fs::read_link(name).is_ok_and(|kind| !kind.to_string_lossy().ends_with("link"))
}

/// The hooks that hold, and the kernel's numbers of the programs at them.
pub(super) fn installed(pins: &Pins) -> Result<BTreeMap<Hook, u32>, DatapathError> {
    let mut hooks = BTreeMap::new();
    for (program, device, path) in pinned(pins)? {
        if let Ok(Some((ifindex, id))) = program_at(&path, program, &device) {
            hooks.insert(Hook { program, ifindex }, id);
        }
    }
    Ok(hooks)
}

/// Removes the pins of links that hold nothing: whose device is gone, or is another of the same name, or that were
/// detached. What is no link is set aside.
pub(super) fn sweep(pins: &Pins) -> Result<(), DatapathError> {
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

/// The pins of links: program, name of the device, path.
fn pinned(pins: &Pins) -> Result<Vec<(Program, String, PathBuf)>, DatapathError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(pins.links()).map_err(failed("use the pinned links"))? {
        let path = entry.map_err(failed("use the pinned links"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((program, device)) = name.split_once('@') else { continue };
        let Some(program) = PROGRAMS.into_iter().find(|known| known.name() == program) else { continue };
        found.push((program, device.to_owned(), path));
    }
    Ok(found)
}

/// The device and program id of a pinned link; none where its device is gone, or another has the name.
fn program_at(path: &Path, program: Program, device: &str) -> Result<Option<(Ifindex, u32)>, DatapathError> {
    let Some(ifindex) = device_index(device) else { return Ok(None) };
    let link = FdLink::from(PinnedLink::from_pin(path).map_err(on_link(path))?);
    let id = link.info().map_err(on_link(path))?.program_id();
    let (_, attached) = SchedClassifier::query_tcx(device, side(program)).map_err(on_link(path))?;
    Ok(attached.iter().any(|info| info.id() == id).then_some((ifindex, id)))
}

/// Attaches a pinned program, or swaps the program of a link that is there.
pub(super) fn attach_pinned(pins: &Pins, progs: &Path, hook: Hook) -> Result<(), DatapathError> {
    let device = device_name(hook.ifindex).ok_or(DatapathError::DeviceGone { ifindex: hook.ifindex })?;
    let path = pins.links().join(format!("{}@{device}", hook.program.name()));
    let mut program = SchedClassifier::from_pin(progs.join(hook.program.name())).map_err(attach(hook))?;
    if let Ok(pinned) = PinnedLink::from_pin(&path) {
        let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(attach(hook))?;
        if let Ok(id) = program.attach_to_link(link) {
            // Dropping the link closes it; the pin keeps it.
            drop(program.take_link(id).map_err(attach(hook))?);
            return Ok(());
        }
        // A link whose device was deleted cannot be updated (ENOLINK): a new one takes its place.
        fs::remove_file(&path).map_err(failed("use the pinned links"))?;
    }
    // `unguarded` takes what reaches it, so its guard stands before it, also when it comes back later.
    let order =
        if hook.program == Program::FromContainer { LinkOrder::first() } else { LinkOrder::default() };
    let options = TcAttachOptions::TcxOrder(order);
    let refused = |error: ProgramError| {
        // A program is at a device once: it is there by a link that is not pinned where ours are.
        let there = matches!(&error, ProgramError::SyscallError(call) if call.io_error.kind() == io::ErrorKind::AlreadyExists);
        if there {
            return DatapathError::HeldElsewhere { program: hook.program.name(), device: device.clone() };
        }
        attach(hook)(error)
    };
    let id = program.attach_with_options(&device, side(hook.program), options).map_err(refused)?;
    let link = program.take_link(id).map_err(attach(hook))?;
    let link = FdLink::try_from(link).map_err(attach(hook))?;
    link.pin(&path).map_err(attach(hook))?;
    Ok(())
}

/// Detaches a program. A device that is gone took its link with it.
pub(super) fn detach(pins: &Pins, hook: Hook) -> Result<(), DatapathError> {
    for (program, device, path) in pinned(pins)? {
        if program == hook.program && device_index(&device).is_none_or(|index| index == hook.ifindex) {
            fs::remove_file(&path).map_err(failed("use the pinned links"))?;
        }
    }
    Ok(())
}

/// The side of a device that a program is attached to.
const fn side(program: Program) -> TcAttachType {
    match program {
        Program::FromContainer | Program::Unguarded | Program::FromUnderlay => TcAttachType::Ingress,
        Program::ToUnderlay => TcAttachType::Egress,
    }
}
