//! Programs at devices by filters of the clsact qdisc, for kernels without tcx.
//!
//! A filter has no pin. Its priority and handle are fixed, so that any agent finds it again and puts its own program
//! in its place in one step (`cls_bpf_change`). In `links/` a symbolic link that leads nowhere notes it; what it leads
//! to says whether the qdisc is of our making, and goes with the last filter.

use std::{
    fs, io, mem,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact},
};

use super::{
    errors::{attach, failed},
    hooks::side,
};
use crate::{
    datapath::DatapathError,
    netlink::tc,
    tables::{Hook, Ifindex, Program},
};

/// "ov": a number that nobody else has for a filter.
const HANDLE: u32 = 0x6f76;
/// What a note leads to where the qdisc was there before.
const FOUND: &str = "clsact";
/// What a note leads to where the qdisc was made.
const MADE: &str = "clsact-made";

/// The place in the order of filters.
const fn priority(program: Program) -> u16 {
    match program {
        Program::FromContainer
        | Program::FromUnderlay
        | Program::FromAnchor
        | Program::ToUnderlay
        | Program::XdpUnderlay => 100,
        // Behind its guard.
        Program::Unguarded => 101,
    }
}

/// Whether a pin is a note of a filter.
pub(super) fn is_note(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new(FOUND) || target == Path::new(MADE))
}

/// The kernel's number of the program of a filter; none where there is no such filter.
pub(super) fn program_at(program: Program, ifindex: Ifindex) -> Result<Option<u32>, DatapathError> {
    let filters = tc::filters(ifindex, is_egress(program)).map_err(failed("read the filters of a device"))?;
    let ours = |filter: &&tc::Filter| filter.handle == HANDLE && filter.priority == priority(program);
    Ok(filters.iter().find(ours).and_then(|filter| filter.program))
}

/// Attaches a program by a filter, or puts it in the place of the one that is there; notes it at `path`.
pub(super) fn attach_at(
    path: &Path,
    mut program: SchedClassifier,
    hook: Hook,
    device: &str,
) -> Result<(), DatapathError> {
    let made = match qdisc_add_clsact(device) {
        Ok(()) => true,
        // It is there already; where it is not, the filter is refused.
        Err(_) => siblings(path, device).iter().any(|note| is_made(note)),
    };
    let (priority, handle, side) = (priority(hook.program), TcHandle::from(HANDLE), side(hook.program));
    let id = if program_at(hook.program, hook.ifindex)?.is_some() {
        let link = SchedClassifierLink::attached(device, side, priority, handle, None)
            .map_err(failed("use the filters of a device"))?;
        program.attach_to_link(link).map_err(attach(hook))?
    } else {
        let options = TcAttachOptions::Netlink(NlOptions { priority, handle, classid: None });
        program.attach_with_options(device, side, options).map_err(attach(hook))?
    };
    // Dropped, it would detach the filter.
    mem::forget(program.take_link(id).map_err(attach(hook))?);
    if !is_note(path) {
        symlink(if made { MADE } else { FOUND }, path).map_err(failed("note a filter"))?;
    }
    Ok(())
}

/// Removes a filter and its note, and the qdisc if it was made for filters of ours and has none any more.
pub(super) fn detach_at(
    path: &Path,
    program: Program,
    ifindex: Ifindex,
    device: &str,
) -> Result<(), DatapathError> {
    if program_at(program, ifindex)?.is_some() {
        let (priority, handle) = (priority(program), TcHandle::from(HANDLE));
        let link = SchedClassifierLink::attached(device, side(program), priority, handle, None)
            .map_err(failed("use the filters of a device"))?;
        // Detaches.
        drop(link);
    }
    let made = is_made(path);
    fs::remove_file(path).map_err(failed("use the pinned links"))?;
    let read = |egress| tc::filters(ifindex, egress).map_err(failed("read the filters of a device"));
    if made && read(false)?.is_empty() && read(true)?.is_empty() {
        tc::remove_clsact(ifindex).map_err(failed("remove the clsact qdisc"))?;
    }
    Ok(())
}

fn is_made(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new(MADE))
}

/// The notes of a device.
fn siblings(path: &Path, device: &str) -> Vec<PathBuf> {
    let entries = path.parent().map(fs::read_dir).and_then(io::Result::ok);
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.to_string_lossy().ends_with(&format!("@{device}"))).collect()
}

fn is_egress(program: Program) -> bool {
    match side(program) {
        TcAttachType::Egress => true,
        TcAttachType::Ingress | TcAttachType::Custom(_) => false,
    }
}
