//! The running kernel, by its release.

/// The oldest kernel that is supported: the oldest that is tested.
pub(crate) const OLDEST: (u32, u32) = (6, 1);
/// `bpf_skb_adjust_room` can be told the inner family (`BPF_F_ADJ_ROOM_DECAP_L3_IPV4`).
pub(crate) const TELLS_FAMILY: (u32, u32) = (6, 3);
/// tcx links (commit e420bed02507).
pub(crate) const TCX: (u32, u32) = (6, 6);

/// The release, as in `6.1.0-31-cloud-amd64`.
pub(crate) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Whether a kernel of this release has what came with a version. One whose release is no number is taken for a new
/// one: the loader will tell.
pub(crate) fn has(release: &str, since: (u32, u32)) -> bool {
    version(release).is_none_or(|version| version >= since)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_has_what_came_with_its_version_or_before() {
        assert!(has("6.6.1", TCX) && has("7.0-rc1", TCX) && has("6.12.117+deb12-cloud-amd64", TCX));
        assert!(!has("6.5.13-generic", TCX) && !has("6.1.0-31-cloud-amd64", TELLS_FAMILY));
        assert!(has("unknown", TCX), "no number");
    }
}
