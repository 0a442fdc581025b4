//! What each command needs of the machine, and what of it is missing.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::project;

/// A purpose; a command names those it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Compiling the agent and the kernel programs.
    Build,
    /// Hosts and containers as namespaces.
    Lab,
    /// Captures and frames that are not ours.
    Test,
    /// The fuzz targets, whose libFuzzer is C++.
    Decoders,
    /// Machines with other kernels.
    Vm,
    /// The ways of others, which the benchmark measures beside ours.
    Bench,
    /// The audit of the dependencies.
    Check,
}

/// Debian packages whose commands the project calls.
const PACKAGES: &[(Group, &str, &[&str])] = &[
    (Group::Lab, "bpftool", &["bpftool"]),
    (Group::Lab, "iproute2", &["ip"]),
    (Group::Lab, "iputils-ping", &["ping"]),
    (Group::Lab, "util-linux", &["nsenter", "chrt", "setpriv", "unshare"]),
    (Group::Test, "ethtool", &["ethtool"]),
    (Group::Test, "nftables", &["nft"]),
    (Group::Test, "socat", &["socat"]),
    (Group::Test, "tcpdump", &["tcpdump"]),
    (Group::Test, "tshark", &["tshark"]),
    (Group::Decoders, "g++", &["c++"]),
    (Group::Vm, "bpftool", &["bpftool"]),
    (Group::Vm, "busybox-static", &["busybox"]),
    (Group::Vm, "qemu-system-x86", &["qemu-system-x86_64"]),
    (Group::Vm, "xz-utils", &["xz"]),
    (Group::Bench, "busybox-static", &["busybox"]),
    (Group::Bench, "containerd", &["containerd"]),
    (Group::Bench, "docker.io", &["docker", "dockerd"]),
    (Group::Bench, "iptables", &["iptables"]),
    (Group::Bench, "runc", &["runc"]),
];

/// The compiler of the kernel programs: with the sources of `core`, of the same version.
const EBPF_COMPILER: [&str; 2] = ["rustc-web", "rust-web-src"];
/// What bpf-linker is built against.
const LLVM: &str = "llvm-22-dev";

/// A program that `cargo install` builds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CargoTool {
    /// Crate and command.
    pub(crate) name: &'static str,
    /// The version that is known to work.
    pub(crate) version: &'static str,
    /// Further arguments of `cargo install`.
    pub(crate) args: &'static [&'static str],
    /// Variables for its build.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// How long to expect, on two cores.
    pub(crate) takes: &'static str,
}

const BPF_LINKER: CargoTool = CargoTool {
    name: "bpf-linker",
    version: "0.13.0",
    args: &["--no-default-features", "--features", "llvm-22"],
    // Both: llvm-sys reads the first, bpf-linker's own build script the second and else any llvm-config in PATH.
    env: &[("LLVM_SYS_221_PREFIX", "/usr/lib/llvm-22"), ("LLVM_PREFIX", "/usr/lib/llvm-22")],
    takes: "about 3 minutes",
};

const CARGO_DENY: CargoTool = CargoTool {
    name: "cargo-deny",
    version: "0.20.2",
    args: &[],
    // Without optimisation it builds in half the time, and still answers within a second or two.
    env: &[
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256"),
    ],
    takes: "about 2 minutes",
};

/// What has to be installed.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Debian packages.
    pub(crate) packages: Vec<&'static str>,
    /// Programs to build; they may need the packages.
    pub(crate) cargo: Vec<CargoTool>,
}

impl Missing {
    /// Whether nothing is missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.cargo.is_empty()
    }

    /// Everything that is missing, in one line.
    pub(crate) fn names(&self) -> String {
        let tools = self.cargo.iter().map(|tool| tool.name);
        self.packages.iter().copied().chain(tools).collect::<Vec<_>>().join(", ")
    }

    /// The other way to a compiler for the kernel programs, where Debian's is what is missing.
    pub(crate) fn hint(&self) -> &'static str {
        if self.packages.iter().any(|package| EBPF_COMPILER.contains(package)) {
            "; instead of rustc-web and rust-web-src this also serves: rustup toolchain install nightly --component rust-src"
        } else {
            ""
        }
    }
}

/// What the groups need and the machine lacks.
pub(crate) fn missing(groups: &[Group]) -> Result<Missing> {
    let lacks_any = |commands: &[&str]| commands.iter().any(|name| project::find_command(name).is_none());
    let mut missing = Missing::default();
    for (group, package, commands) in PACKAGES {
        if groups.contains(group) && lacks_any(commands) {
            missing.packages.push(*package);
        }
    }
    // A package may serve two purposes.
    missing.packages.sort_unstable();
    missing.packages.dedup();
    if groups.contains(&Group::Build) {
        if !nightly_has_core_sources(&project::rustup_home()) {
            missing.packages.extend(not_installed(&EBPF_COMPILER)?);
        }
        if !answers(BPF_LINKER.name, "--version") {
            missing.packages.extend(not_installed(&[LLVM])?);
            missing.cargo.push(BPF_LINKER);
        }
    }
    if groups.contains(&Group::Check) && project::find_command(CARGO_DENY.name).is_none() {
        missing.cargo.push(CARGO_DENY);
    }
    Ok(missing)
}

/// Whether a program is there and runs: it may be there without the libraries it was linked with.
fn answers(name: &str, arg: &str) -> bool {
    let Some(path) = project::find_command(name) else { return false };
    let status = Command::new(path).arg(arg).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Those of the packages that dpkg does not know as installed; all of them where there is no dpkg.
fn not_installed(packages: &[&'static str]) -> Result<Vec<&'static str>> {
    if project::find_command("dpkg-query").is_none() {
        return Ok(packages.to_vec());
    }
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()
        .context("cannot start dpkg-query")?;
    // Its exit status only says that it does not know one of them.
    let known = String::from_utf8_lossy(&output.stdout).into_owned();
    let installed = |package: &str| known.lines().any(|line| line == format!("{package} installed"));
    Ok(packages.iter().copied().filter(|package| !installed(package)).collect())
}

/// Whether rustup has a nightly toolchain with the sources of `core`.
fn nightly_has_core_sources(rustup_home: &Path) -> bool {
    let Ok(toolchains) = fs::read_dir(rustup_home.join("toolchains")) else { return false };
    toolchains.flatten().any(|toolchain| {
        toolchain.file_name().to_string_lossy().starts_with("nightly")
            && toolchain.path().join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_nobody_has_is_missing() {
        let all = ["overlay-has-no-such-package"];
        assert_eq!(not_installed(&all).expect("dpkg-query runs"), all);
    }

    #[test]
    fn what_is_missing_is_told_in_one_line() {
        let missing = Missing { packages: vec!["llvm-22-dev"], cargo: vec![BPF_LINKER] };
        assert_eq!(missing.names(), "llvm-22-dev, bpf-linker");
        assert_eq!(missing.hint(), "");
        assert!(Missing { packages: vec!["rustc-web"], cargo: vec![] }.hint().contains("nightly"));
    }
}
