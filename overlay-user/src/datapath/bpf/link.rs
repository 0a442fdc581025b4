//! What a pinned link tells of itself.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
};

use aya::maps::MapData;

use crate::tables::Ifindex;

/// The kernel's number of the program of a pinned link of a kind; none where it is at that device no more, or is no such
/// link.
///
/// Asked of the link itself, by its entry in `/proc/self/fdinfo` (`bpf_tcx_link_fdinfo`, `bpf_xdp_link_show_fdinfo`): to
/// ask the device, and then for the programs it names, takes `CAP_SYS_ADMIN` (`bpf_prog_get_fd_by_id`).
pub(super) fn program_at(path: &Path, kind: &str, ifindex: Ifindex) -> Option<u32> {
    // The kernel opens any pin as what it is (`BPF_OBJ_GET`).
    let opened = MapData::from_pin(path).ok()?;
    let entry = format!("/proc/self/fdinfo/{}", opened.fd().as_fd().as_raw_fd());
    let (device, program) = told(&fs::read_to_string(entry).ok()?, kind)?;
    // A link that was detached, or whose device is gone, is at device 0.
    (device == ifindex.0).then_some(program)
}

/// The device and the program of a link of a kind, from the text of its entry.
pub(super) fn told(fdinfo: &str, kind: &str) -> Option<(u32, u32)> {
    let value = |key: &str| {
        let line = fdinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()
    };
    (value("link_type")? == kind).then_some(())?;
    Some((value("ifindex")?.parse().ok()?, value("prog_id")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_tells_where_it_is_and_others_tell_nothing() {
        let tcx = "pos:\t0\nlink_type:\ttcx\nlink_id:\t7\nprog_tag:\tf9ca\nprog_id:\t42\nifindex:\t3\nattach_type:\t46 (ingress)\n";
        let xdp = "pos:\t0\nlink_type:\txdp\nlink_id:\t8\nprog_tag:\tf9ca\nprog_id:\t43\nifindex:\t3\n";
        assert_eq!(told(tcx, "tcx"), Some((3, 42)));
        assert_eq!(told(xdp, "xdp"), Some((3, 43)));
        assert_eq!((told(tcx, "xdp"), told(xdp, "tcx")), (None, None));
        assert_eq!(told("map_type:\t1\nmap_id:\t3\n", "tcx"), None);
        assert_eq!(told("prog_type:\t3\nprog_id:\t3\n", "tcx"), None);
    }
}
