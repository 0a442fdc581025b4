//! Where things are, and how cargo is called.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    // A relative path is one from where cargo was called, which for an alias is where xtask runs too.
    let named = env::var_os("CARGO_TARGET_DIR").map(|dir| env::current_dir().unwrap_or_default().join(dir));
    named.unwrap_or_else(|| root().join("target"))
}

/// The `overlay` binary of a profile.
pub(crate) fn overlay(release: bool) -> PathBuf {
    target_dir().join(if release { "release" } else { "debug" }).join("overlay")
}

/// A cargo command at the root of the workspace, which finds what `cargo install` installed.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root()).env("PATH", search_path());
    command.env("CARGO_TARGET_DIR", target_dir());
    command
}

/// The directory of the file `name` that a command of that name would run.
pub(crate) fn find_command(name: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// PATH, cargo's own directory, and those that only root's PATH has.
pub(crate) fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    let more = [cargo_home().join("bin"), "/usr/sbin".into(), "/sbin".into()];
    dirs.extend(more);
    env::join_paths(dirs).unwrap_or(path)
}

/// Where cargo keeps its own files.
pub(crate) fn cargo_home() -> PathBuf {
    home("CARGO_HOME", ".cargo")
}

/// Where rustup keeps its toolchains.
pub(crate) fn rustup_home() -> PathBuf {
    home("RUSTUP_HOME", ".rustup")
}

fn home(variable: &str, default: &str) -> PathBuf {
    let named = env::var_os(variable).map(PathBuf::from);
    named.unwrap_or_else(|| env::home_dir().unwrap_or_default().join(default))
}
