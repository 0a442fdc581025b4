//! Compiles the kernel programs and leaves the object in `OUT_DIR`, from where the library embeds it.
//!
//! Not by `aya-build`: that takes compilers from rustup only, and the BPF target needs one whose `core` comes as
//! source. Debian's `rustc-web` with `rust-web-src` is such a compiler; a rustup nightly with `rust-src` another.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian's `rust-web-src` puts the source of `core`.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The linker may read unaligned packet and map memory in whole words: byte by byte, the programs would be
/// twice as long. x86-64 and arm64 kernels allow it (`CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS`).
const UNALIGNED: &str = "-Clink-arg=--cpu-features=+allows-misaligned-mem-access";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for watched in ["overlay-ebpf", "overlay-common/src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo:rerun-if-changed={DEBIAN_SOURCE}");
    let target = out.join("ebpf");
    let mut objects = vec![("overlay-ebpf", "overlay.o", "")];
    if env::var_os("CARGO_FEATURE_REFERENCE").is_some() {
        objects.push(("reference", "reference.o", ""));
    }
    if env::var_os("CARGO_FEATURE_BROKEN").is_some() {
        objects.push(("overlay-ebpf", "broken.o", "broken"));
    }
    for (binary, object, features) in objects {
        compile(&root, &target, binary, features)?;
        fs::copy(target.join("bpfel-unknown-none/release").join(binary), out.join(object))?;
    }
    Ok(())
}

/// Runs cargo for the BPF target.
fn compile(root: &Path, target: &Path, binary: &str, features: &str) -> Result<(), Box<dyn Error>> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let flags =
        [&format!("--cfg=bpf_target_arch=\"{arch}\""), "-Cdebuginfo=2", "-Clink-arg=--btf", UNALIGNED];
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--release", "--package", "overlay-ebpf", "--bin", binary, "-Zbuild-std=core"])
        .args(["--target", "bpfel-unknown-none", "--target-dir"])
        .arg(target)
        .arg(format!("--features={features}"))
        .args(env::var_os("CARGO_FEATURE_ABI_NEXT").map(|_| "--features=abi-next"))
        // What cargo tells a build script about its own compiler must not reach this one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", compiler()?);
    let output = cargo.output()?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "the kernel programs do not compile; is bpf-linker installed (`cargo xtask build` does)?\n{log}"
        )
        .into());
    }
    Ok(())
}

/// A compiler that has the source of `core`.
fn compiler() -> Result<PathBuf, Box<dyn Error>> {
    if Path::new(DEBIAN_SOURCE).exists() {
        return Ok(DEBIAN_RUSTC.into());
    }
    let found = Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]).output();
    if let Ok(found) = found
        && found.status.success()
    {
        let rustc = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        let source =
            rustc.parent().and_then(Path::parent).map(|root| root.join("lib/rustlib/src/rust/library/core"));
        if source.is_some_and(|source| source.exists()) {
            return Ok(rustc);
        }
    }
    Err("no Rust compiler with the source of `core` is installed, which the BPF target needs; run `cargo xtask build`, \
         or install Debian's rustc-web and rust-web-src, or `rustup component add rust-src --toolchain nightly`"
        .into())
}
