//! Programs at devices by tcx links (Linux 6.6), pinned: a link belongs to its program, outlives its maker, and its
//! program is swapped in one step.

use std::{fs, io, path::Path};

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier,
    links::{FdLink, PinnedLink},
    tc::{SchedClassifierLink, TcAttachOptions},
};

use super::{
    errors::{attach, failed},
    hooks::side,
};
use crate::{
    datapath::DatapathError,
    tables::{Hook, Program},
};

/// Attaches a program by a link pinned at `path`, or swaps the program of the link that is there.
pub(super) fn attach_at(
    path: &Path,
    mut program: SchedClassifier,
    hook: Hook,
    device: &str,
) -> Result<(), DatapathError> {
    if let Ok(pinned) = PinnedLink::from_pin(path) {
        let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(attach(hook))?;
        if let Ok(id) = program.attach_to_link(link) {
            // Dropping the link closes it; the pin keeps it.
            drop(program.take_link(id).map_err(attach(hook))?);
            return Ok(());
        }
        // A link whose device was deleted cannot be updated (ENOLINK): a new one takes its place.
        fs::remove_file(path).map_err(failed("use the pinned links"))?;
    }
    // `unguarded` takes what reaches it, so its guard stands before it, also when it comes back later.
    let order =
        if hook.program == Program::FromContainer { LinkOrder::first() } else { LinkOrder::default() };
    let options = TcAttachOptions::TcxOrder(order);
    let refused = |error: ProgramError| {
        // A program is at a device once: it is there by a link that is not pinned where ours are.
        let there = matches!(&error, ProgramError::SyscallError(call) if call.io_error.kind() == io::ErrorKind::AlreadyExists);
        if there {
            return DatapathError::HeldElsewhere { program: hook.program.name(), device: device.to_owned() };
        }
        attach(hook)(error)
    };
    let id = program.attach_with_options(device, side(hook.program), options).map_err(refused)?;
    let link = program.take_link(id).map_err(attach(hook))?;
    let link = FdLink::try_from(link).map_err(attach(hook))?;
    link.pin(path).map_err(attach(hook))?;
    Ok(())
}
