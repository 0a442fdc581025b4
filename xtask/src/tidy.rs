//! House rules that no other tool checks.

mod drops;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::project;

/// The files that may hold `unsafe`, and why each must.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("overlay-common/src/header.rs", "marks the types that any bytes of a packet are valid for"),
    ("overlay-common/src/map.rs", "marks the types that maps may hold"),
    ("overlay-ebpf/src/bin/reference.rs", "calls helpers and reads packets, for benches only"),
    ("overlay-ebpf/src/helpers.rs", "calls the kernel's helpers"),
    ("overlay-ebpf/src/main.rs", "exports the programs and the licence by name"),
    ("overlay-ebpf/src/maps.rs", "reads and writes what maps point to"),
    ("overlay-ebpf/src/packet.rs", "reads and writes packets through checked pointers"),
    ("overlay-ebpf/src/packet/family.rs", "exports flags by name"),
    ("overlay-ebpf/src/packet/xdp.rs", "the same before there is a socket buffer"),
    ("overlay-ebpf/src/trace.rs", "exports the sample rate by name"),
    ("overlay-user/src/datapath/bpf/batch.rs", "calls the kernel for many entries of a map"),
    ("overlay-user/src/datapath/bpf/slots.rs", "maps an array of the kernel into memory"),
    ("overlay-user/src/netlink/ethtool.rs", "hands the kernel an ioctl with a pointer in it"),
    ("overlay-user/src/netlink/socket.rs", "makes a netlink socket of a received descriptor"),
    ("tests/benches/fuzz/wire.rs", "binds packet sockets to devices"),
];

/// Lines of a file.
const FILE_LINES: usize = 400;
/// Lines of a function that hold code.
const FUNCTION_LINES: usize = 80;

/// Checks the rules; `fix` writes what can be generated.
pub(crate) fn check(fix: bool) -> Result<()> {
    let mut faults = Vec::new();
    for path in sources(project::root())? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(project::root()).unwrap_or(&path).to_string_lossy().into_owned();
        faults.extend(file_faults(&name, &text)?);
    }
    faults.extend(drops::faults(project::root(), fix)?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// What is wrong with one source file.
fn file_faults(name: &str, text: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        faults.push(format!("{name}: {lines} lines: split it, {FILE_LINES} is the limit"));
    }
    let file = source::read(text).with_context(|| format!("{name} is no Rust"))?;
    for function in file.functions.iter().filter(|function| function.lines > FUNCTION_LINES) {
        let source::Function { name: function, line, lines } = function;
        faults.push(format!(
            "{name}:{line}: `{function}` has {lines} lines of code: {FUNCTION_LINES} is the limit"
        ));
    }
    if !UNSAFE_FILES.iter().any(|(allowed, _)| *allowed == name) {
        let places = file.unsafe_lines.iter();
        faults.extend(
            places.map(|line| {
                format!("{name}:{line}: `unsafe` is kept to the files listed in xtask/src/tidy.rs")
            }),
        );
    }
    Ok(faults)
}

/// Every Rust file of the workspace.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for member in ["overlay-common", "overlay-ebpf", "overlay-user", "tests", "xtask"] {
        files.extend(rust_files(&root.join(member))?);
    }
    files.sort();
    Ok(files)
}

/// Every Rust file below a directory.
fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_outside_the_list_is_told_with_its_line() {
        let text = "fn f() {\n    unsafe { g() }\n}\n";
        let faults = file_faults("overlay-user/src/agent.rs", text).expect("it is Rust");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("overlay-user/src/agent.rs:2: `unsafe`"), "{faults:?}");
        assert!(file_faults("overlay-ebpf/src/maps.rs", text).expect("it is Rust").is_empty());
    }

    #[test]
    fn long_functions_and_files_are_told() {
        let long = format!("fn f() {{\n{}}}\n", "    g();\n".repeat(FUNCTION_LINES));
        assert_eq!(file_faults("x.rs", &long).expect("it is Rust").len(), 1);
        let file = "// a line\n".repeat(FILE_LINES + 1);
        assert_eq!(file_faults("x.rs", &file).expect("it is Rust").len(), 1);
    }
}
