//! Debian's kernels, as packages unpacked below `target/vm`, never installed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use overlay_tests::{output_within, remove_dir, run};

use crate::{project, setup, ui::Progress};

/// Series of kernels that the tier runs on, as they stand in the names of packages: the oldest that is supported, with
/// clsact, and one with tcx links.
pub(crate) const SERIES: [&str; 2] = ["6.1", "6.12"];

/// An unpacked kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As in `6.1`.
    pub(super) series: &'static str,
    /// Holds `boot` and `lib` of its package.
    dir: PathBuf,
    /// As in `6.1.0-31-cloud-amd64`.
    pub(super) release: String,
}

impl Kernel {
    /// That of a series: the one that is here, or else the newest that Debian has; none where it has none.
    pub(super) fn of(series: &'static str) -> Result<Option<Self>> {
        let dir = project::target_dir().join("vm").join(series);
        if !dir.is_dir() {
            let mut package = newest(series)?;
            if package.is_none() {
                setup::update_lists()?;
                package = newest(series)?;
            }
            let Some(package) = package else { return Ok(None) };
            unpack(&package, &dir)?;
        }
        let modules = dir.join("lib/modules");
        let entry = fs::read_dir(&modules)
            .ok()
            .and_then(|mut entries| entries.next())
            .with_context(|| format!("no modules in {}: remove {}", modules.display(), dir.display()))??;
        let release = entry.file_name().to_string_lossy().into_owned();
        Ok(Some(Self { series, dir, release }))
    }

    /// What boots.
    pub(super) fn vmlinuz(&self) -> PathBuf {
        self.dir.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Contents of the modules of these names and of those they need, each after those it needs; what is built in is
    /// none.
    pub(super) fn modules(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let tree = self.dir.join("lib/modules").join(&self.release);
        let mut files = BTreeMap::new();
        find(&tree.join("kernel"), &mut files)?;
        let built_in = fs::read_to_string(tree.join("modules.builtin"))?;
        let built_in = built_in.lines().filter_map(|line| module_name(Path::new(line))).collect::<Vec<_>>();
        let mut found = Vec::new();
        for name in names {
            add(name, &files, &built_in, &mut found)
                .with_context(|| format!("module {name} of {}", self.release))?;
        }
        Ok(found)
    }
}

/// The newest package of a series that apt knows.
fn newest(series: &str) -> Result<Option<String>> {
    let names = run(Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{series}.")]))?;
    let images = names.lines().filter(|name| name.ends_with("-cloud-amd64"));
    Ok(images.max_by_key(|name| numbers(name)).map(str::to_owned))
}

/// The numbers in a name, which order versions as their letters do not.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Downloads a package and unpacks it into `dir`, whole or not at all.
fn unpack(package: &str, dir: &Path) -> Result<()> {
    let progress = Progress::start(format!("unpacking   {package} (apt, not installed)"));
    let part = dir.with_extension("part");
    remove_dir(&part)?;
    fs::create_dir_all(&part)?;
    let download = || {
        let mut command = Command::new("apt-get");
        command.args(["-q", "download", package]).current_dir(&part);
        output_within(&mut command, std::time::Duration::from_mins(5))
    };
    if !download()?.status.success() {
        // What the lists name may be gone from the mirror.
        setup::update_lists()?;
        let output = download()?;
        if !output.status.success() {
            bail!("cannot download {package}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    let entries = fs::read_dir(&part)?.flatten().map(|entry| entry.path());
    let file = entries.into_iter().next().with_context(|| format!("apt-get downloaded no {package}"))?;
    run(Command::new("dpkg").arg("-x").arg(&file).arg(&part))?;
    fs::remove_file(&file)?;
    fs::rename(&part, dir)?;
    progress.finish();
    Ok(())
}

/// The module of a file, as in `udp_tunnel` of `udp_tunnel.ko.xz`: names have underscores, files may have dashes.
fn module_name(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// The files of all modules below a directory.
fn find(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// Adds a module behind those it needs.
fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    built_in: &[String],
    found: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    if built_in.iter().any(|module| module == name) || found.iter().any(|(module, _)| module == name) {
        return Ok(());
    }
    let path = files.get(name).with_context(|| format!("there is no {name}"))?;
    let module = if path.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new("xz").arg("-dc").arg(path).output().context("cannot start xz")?;
        if !output.status.success() {
            bail!("cannot unpack {}", path.display());
        }
        output.stdout
    } else {
        fs::read(path)?
    };
    for needed in needed(&module) {
        add(&needed, files, built_in, found)?;
    }
    found.push((name.to_owned(), module));
    Ok(())
}

/// The modules that one needs, from its own description (`MODULE_INFO(depends, ...)`).
fn needed(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_by_numbers_not_by_letters() {
        let mut names = ["6.1.0-9-cloud", "6.1.0-56-cloud", "6.1.0-7-cloud"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names[2], "6.1.0-56-cloud");
        assert!(numbers("6.12.117+deb12") > numbers("6.12.99+deb12"));
    }

    #[test]
    fn a_module_tells_what_it_needs() {
        let module = b"\x7fELF\0license=GPL\0depends=udp_tunnel,ip6-udp-tunnel\0retpoline=Y\0";
        assert_eq!(needed(module), ["udp_tunnel", "ip6_udp_tunnel"]);
        assert!(needed(b"license=GPL\0depends=\0retpoline=Y").is_empty());
        assert_eq!(module_name(Path::new("a/ip6-udp-tunnel.ko.xz")).as_deref(), Some("ip6_udp_tunnel"));
    }
}
