//! `xdp_underlay` at the underlay device, by a pinned XDP link (Linux 5.9): run by the driver, or not at all.

use std::{fs, path::Path};

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};
use aya_obj::programs::XdpAttachType;
use rustix::io::Errno;

use super::errors::{attach, failed};
use crate::{datapath::DatapathError, tables::Hook};

/// Attaches a pinned program by a link pinned at `path`, or swaps the program of the link that is there.
pub(super) fn attach_at(path: &Path, program: &Path, hook: Hook, device: &str) -> Result<(), DatapathError> {
    let mut program = Xdp::from_pin(program, XdpAttachType::Interface).map_err(attach(hook))?;
    if let Ok(pinned) = PinnedLink::from_pin(path) {
        let link = XdpLink::try_from(FdLink::from(pinned)).map_err(attach(hook))?;
        if let Ok(id) = program.attach_to_link(link) {
            // Dropping the link closes it; the pin keeps it.
            drop(program.take_link(id).map_err(attach(hook))?);
            return Ok(());
        }
        // As of tcx: its device is gone.
        fs::remove_file(path).map_err(failed("use the pinned links"))?;
    }
    let refused = |error| refused(error, hook, device);
    let id = program.attach_to_if_index(hook.ifindex.0, XdpMode::Driver).map_err(refused)?;
    let link = program.take_link(id).map_err(attach(hook))?;
    // Where the kernel refuses a link with EINVAL, aya attaches without one, which could not be pinned. Since links
    // came, what refuses the one refuses the other (`dev_xdp_attach`).
    let link = FdLink::try_from(link).map_err(attach(hook))?;
    link.pin(path).map_err(attach(hook))?;
    Ok(())
}

/// Why the kernel refuses the program.
fn refused(error: ProgramError, hook: Hook, device: &str) -> DatapathError {
    let device = device.to_owned();
    let errno = if let ProgramError::SyscallError(call) = &error {
        Errno::from_io_error(&call.io_error)
    } else {
        None
    };
    match errno {
        Some(Errno::OPNOTSUPP) => DatapathError::NoNativeXdp { device },
        // A device runs one XDP program.
        Some(Errno::BUSY) => DatapathError::XdpTaken { device },
        Some(_) | None => attach(hook)(error),
    }
}
