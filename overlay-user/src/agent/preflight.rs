//! What the kernel and the process must have before anything is changed.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use rustix::{
    fs::statfs,
    mount::{MountFlags, mount},
};

use crate::{config::Hooks, datapath::bpf::By, kernel};

/// `BPF_FS_MAGIC`.
const BPFFS: i64 = 0xcafe_4a11;
/// Where the BPF file system belongs.
const MOUNT_POINT: &str = "/sys/fs/bpf";
/// Capabilities that are needed, and their numbers (`linux/capability.h`).
const CAPABILITIES: [(&str, u32); 3] = [("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

/// Checks kernel, capabilities and BPF file system, which is mounted if need be.
pub(super) fn check(pin_dir: &Path) -> anyhow::Result<()> {
    check_kernel(&kernel::release())?;
    let status = fs::read_to_string("/proc/self/status")
        .context("cannot read /proc/self/status; is /proc mounted?")?;
    check_capabilities(&status)?;
    check_bpffs(pin_dir)
}

/// By what programs are attached on this kernel.
pub(super) fn by(hooks: Hooks) -> anyhow::Result<By> {
    choose(hooks, &kernel::release())
}

fn choose(hooks: Hooks, release: &str) -> anyhow::Result<By> {
    match hooks {
        Hooks::Auto | Hooks::Tcx if kernel::has(release, kernel::TCX) => Ok(By::Tcx),
        Hooks::Auto | Hooks::Clsact => Ok(By::Clsact),
        Hooks::Tcx => bail!(
            "kernel {release} has no tcx links, which came with Linux {}.{}; set node.hooks = \"auto\"",
            kernel::TCX.0,
            kernel::TCX.1
        ),
    }
}

/// Refuses a kernel that is too old.
fn check_kernel(release: &str) -> anyhow::Result<()> {
    if !kernel::has(release, kernel::OLDEST) {
        let (major, minor) = kernel::OLDEST;
        bail!("kernel {release} is too old; Linux {major}.{minor} or newer is needed");
    }
    Ok(())
}

/// Refuses a process without the capabilities, from the text of `/proc/self/status`.
pub(super) fn check_capabilities(status: &str) -> anyhow::Result<()> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(mask) = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else {
        return Ok(());
    };
    let missing: Vec<_> =
        CAPABILITIES.iter().filter(|(_, bit)| mask >> bit & 1 == 0).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        bail!("the agent has no {}; run it as root, or give it these capabilities", missing.join(", "));
    }
    Ok(())
}

/// Makes sure that pins can be made: the nearest directory there is must be on a BPF file system.
fn check_bpffs(pin_dir: &Path) -> anyhow::Result<()> {
    if is_bpffs(pin_dir)? {
        return Ok(());
    }
    if !pin_dir.starts_with(MOUNT_POINT) {
        bail!(
            "{} is not on a BPF file system; mount one there: mount -t bpf bpf {}",
            pin_dir.display(),
            pin_dir.display()
        );
    }
    mount("bpf", MOUNT_POINT, "bpf", MountFlags::empty(), None)
        .with_context(|| format!("no BPF file system is mounted; mount one: mount -t bpf bpf {MOUNT_POINT}"))
}

fn is_bpffs(path: &Path) -> anyhow::Result<bool> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let found = statfs(there).with_context(|| format!("cannot look at {}", there.display()))?;
    Ok(found.f_type == BPFFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_named_with_the_version_needed() {
        let error = check_kernel("5.15.0-31-generic").expect_err("too old").to_string();
        assert_eq!(error, "kernel 5.15.0-31-generic is too old; Linux 6.1 or newer is needed");
        check_kernel("6.1.0-31-cloud-amd64").expect("new enough");
        check_kernel("7.0-rc1").expect("new enough");
        check_kernel("unknown").expect("no number");
    }

    #[test]
    fn programs_are_attached_by_what_the_kernel_has() {
        let by = |hooks, release| choose(hooks, release).map_err(|error| error.to_string());
        assert_eq!(by(Hooks::Auto, "6.6.1"), Ok(By::Tcx));
        assert_eq!(by(Hooks::Auto, "6.5.13-generic"), Ok(By::Clsact));
        assert_eq!(by(Hooks::Clsact, "6.18.0"), Ok(By::Clsact));
        assert!(by(Hooks::Tcx, "6.5.13").is_err_and(|error| error.contains("node.hooks = \"auto\"")));
    }

    #[test]
    fn missing_capabilities_are_named() {
        let error =
            check_capabilities("CapEff:\t0000000000001000\n").expect_err("two are missing").to_string();
        assert!(error.contains("CAP_PERFMON, CAP_BPF") && !error.contains("NET_ADMIN"), "{error}");
        check_capabilities("CapEff:\t000001ffffffffff\n").expect("all there");
    }
}
