//! What decodes the bytes of others, for the fuzz targets of `tests/decoders`, which see only what is public.
//!
//! No part of the product: here with the feature `decoders` only.

use crate::{api, dir_lock, kernel, text_file};

pub use crate::{
    agent::decoders::{bindings, capable},
    cli::decoders::{SCREENS, plain},
    datapath::bpf::decoders as maps,
    gossip::decoders as gossip,
    netlink::decoders as netlink,
};

/// The text of a file, as configuration and cluster are read.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    text_file::decode(bytes.to_vec())
}

/// The holder of a lock, from the text of `/proc/locks`.
pub fn lock_holder(locks: &str) -> Option<u32> {
    dir_lock::holder_in(locks, "00:20:13")
}

/// Whether the text of `/etc/passwd` has all these users.
pub fn users(passwd: &str, users: &[String]) -> bool {
    api::access::resolve_in(passwd, users).is_ok()
}

/// The number of a group, from the text of `/etc/group`.
pub fn group(groups: &str, name: &str) -> Option<u32> {
    api::socket::group_in(groups, name)
}

/// Whether a kernel of this release is old.
pub fn is_old(release: &str) -> bool {
    !kernel::has(release, kernel::OLDEST)
}
