//! The initramfs of a machine: busybox, modules, the tools that tests call, the tests, and the libraries of all.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use overlay_tests::{remove_dir, run};

use super::kernel::Kernel;
use crate::project;

const INIT: &str = include_str!("init");
/// Modules that labs need, besides those that these need.
const MODULES: [&str; 7] = ["vxlan", "veth", "bridge", "sch_ingress", "cls_bpf", "virtio_pci", "virtio_net"];
/// Programs that tests call and whose namesakes of busybox will not do.
const TOOLS: [&str; 6] = ["ip", "tc", "bridge", "ping", "nsenter", "bpftool"];
const DIRECTORIES: [&str; 8] = ["bin", "dev", "modules", "proc", "run", "sys", "tests", "tmp"];

/// Makes the image for a kernel: `tests` are executables by the name they get, `script` is what runs them.
pub(super) fn make(kernel: &Kernel, tests: &[(&str, PathBuf)], script: &str) -> Result<PathBuf> {
    let dir = project::target_dir().join("vm");
    let root = dir.join(format!("{}.root", kernel.series));
    remove_dir(&root)?;
    for name in DIRECTORIES {
        fs::create_dir_all(root.join(name))?;
    }
    executable(&root.join("init"), INIT.as_bytes())?;
    fs::write(root.join("tests/run"), script)?;
    fs::copy(found("busybox")?, root.join("bin/busybox"))?;
    for (place, (name, module)) in kernel.modules(&MODULES)?.iter().enumerate() {
        fs::write(root.join(format!("modules/{place:02}-{name}.ko")), module)?;
    }
    for tool in TOOLS {
        copy_with_libraries(&found(tool)?, &root.join("tools").join(tool), &root)?;
    }
    for (name, path) in tests {
        let copy = root.join("tests").join(name);
        copy_with_libraries(path, &copy, &root)?;
        run(Command::new("strip").arg("--strip-debug").arg(&copy))?;
    }
    let image = dir.join(format!("{}.cpio", kernel.series));
    archive(&root, &image)?;
    remove_dir(&root)?;
    Ok(image)
}

fn found(name: &str) -> Result<PathBuf> {
    project::find_command(name).with_context(|| format!("there is no {name}"))
}

fn executable(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Copies a program, and the libraries it is linked with to where it looks for them.
fn copy_with_libraries(program: &Path, copy: &Path, root: &Path) -> Result<()> {
    place(program, copy)?;
    let listed = run(Command::new("ldd").arg(program))?;
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(library.trim_start_matches('/'));
        if !copy.exists() {
            place(Path::new(library), &copy)?;
        }
    }
    Ok(())
}

fn place(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("no directory")?)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Packs a directory as the kernel unpacks it.
fn archive(root: &Path, image: &Path) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", "find . | busybox cpio -o -H newc"])
        .current_dir(root)
        .env("PATH", project::search_path())
        .stdout(File::create(image)?)
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("cannot pack {}", image.display());
    }
    Ok(())
}
