//! Programs at devices by tcx links (Linux 6.6), pinned: a link belongs to its program, outlives its maker, and its
//! program is swapped in one step.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
};

use aya::{
    maps::MapData,
    programs::{
        LinkOrder, ProgramError, SchedClassifier,
        links::{FdLink, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
};

use super::{
    errors::{attach, failed},
    hooks::side,
};
use crate::{
    datapath::DatapathError,
    tables::{Hook, Ifindex, Program},
};

/// The kernel's number of the program of a pinned link; none where it is at that device no more, or is no link.
///
/// Asked of the link itself, by its entry in `/proc/self/fdinfo` (`bpf_tcx_link_fdinfo`): to ask the device, and then
/// for the programs it names, takes `CAP_SYS_ADMIN` (`bpf_prog_get_fd_by_id`).
pub(super) fn program_at(path: &Path, ifindex: Ifindex) -> Option<u32> {
    // The kernel opens any pin as what it is (`BPF_OBJ_GET`).
    let opened = MapData::from_pin(path).ok()?;
    let entry = format!("/proc/self/fdinfo/{}", opened.fd().as_fd().as_raw_fd());
    let (device, program) = told(&fs::read_to_string(entry).ok()?)?;
    // A link that was detached, or whose device is gone, is at device 0.
    (device == ifindex.0).then_some(program)
}

/// The device and the program of a tcx link, from the text of its entry.
fn told(fdinfo: &str) -> Option<(u32, u32)> {
    let value = |key: &str| {
        let line = fdinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()
    };
    (value("link_type")? == "tcx").then_some(())?;
    Some((value("ifindex")?.parse().ok()?, value("prog_id")?.parse().ok()?))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_tells_where_it_is_and_others_tell_nothing() {
        let link = "pos:\t0\nlink_type:\ttcx\nlink_id:\t7\nprog_tag:\tf9ca\nprog_id:\t42\nifindex:\t3\nattach_type:\t46 (ingress)\n";
        assert_eq!(told(link), Some((3, 42)));
        assert_eq!(told(&link.replace("tcx", "xdp")), None);
        assert_eq!(told("map_type:\t1\nmap_id:\t3\n"), None);
        assert_eq!(told("prog_type:\t3\nprog_id:\t3\n"), None);
    }
}
