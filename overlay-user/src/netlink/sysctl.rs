//! Per-device kernel settings (`/proc/sys/net`) of the agent's own namespace.

use std::{fs, io, path::Path};

/// A setting that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {value:?} to {path}: {error}; the agent needs a writable /proc/sys")]
pub struct SysctlError {
    path: String,
    value: &'static str,
    error: io::Error,
}

/// What makes the host's end of a veth deaf: with the programs detached, frames die there.
const DEAF: [(&str, &str, &str); 7] = [
    ("ipv4", "forwarding", "0"),
    // Without these the stack would take what is sent to an address of the host. With any `rp_filter`, also a
    // loose one of `all`, it believes no source on a device that has no address.
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "drop_unicast_in_l2_multicast", "1"),
    // Answer ARP for no address at all, and announce none.
    ("ipv4", "arp_ignore", "8"),
    ("ipv4", "arp_announce", "2"),
    ("ipv4", "accept_local", "0"),
    ("ipv6", "disable_ipv6", "1"),
];

/// Keeps the host's own IP stack off the device: no forwarding, no ARP, no source believed, no IPv6. Tells the
/// settings that were not so, and their values.
pub(super) fn deafen(device: &str) -> Result<Vec<(String, String)>, SysctlError> {
    let mut altered = Vec::new();
    for (family, name, value) in DEAF {
        let settings = format!("/proc/sys/net/{family}/conf/{device}");
        // A kernel without IPv6 has no such directory, and nothing to turn off.
        if family == "ipv6" && !Path::new(&settings).exists() {
            continue;
        }
        let path = format!("{settings}/{name}");
        let present = fs::read_to_string(&path).unwrap_or_default();
        if present.trim() == value {
            continue;
        }
        fs::write(&path, value).map_err(|error| SysctlError { path, value, error })?;
        altered.push((format!("{family} {name}"), present.trim().to_owned()));
    }
    Ok(altered)
}
