//! The tables by themselves: filled by the agent's code, without an agent.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use serde::Serialize;

use crate::{
    change,
    measure::{self, Subject},
    paths, scene,
    scene::Installed,
};

/// Rounds of a look-up's figure, and frames of each.
const ROUNDS: usize = 15;
const FRAMES: usize = 1000;

/// What was measured. Times are in milliseconds where they do not say otherwise, memory is in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Alone {
    /// From the text of cluster.toml to the desired tables.
    pub(crate) desired_ms: f64,
    /// From empty maps to filled ones: the plan, and each of its steps.
    pub(crate) install_ms: f64,
    pub(crate) steps: usize,
    /// Each map as the kernel accounts it.
    pub(crate) memory: BTreeMap<String, u64>,
    pub(crate) memory_total: u64,
    /// Out to a VTEP, the least time, of the same endpoint always.
    pub(crate) hot_ns: u64,
    /// The median of the same, and of another endpoint each time.
    pub(crate) hot_median_ns: u64,
    pub(crate) random_median_ns: u64,
    /// One endpoint added or removed, until the next frame goes by it: the plan's steps, median and 99th percentile.
    pub(crate) change_us: f64,
    pub(crate) change_p99_us: f64,
}

pub(crate) fn measure(endpoints: u32) -> Result<Alone> {
    measure::stay()?;
    let text = scene::cluster(endpoints);
    let start = Instant::now();
    let desired = scene::tables(&text)?;
    let desired_ms = millis(start);
    let mut installed = Installed::empty(&format!("scale-{endpoints}"))?;
    let start = Instant::now();
    let steps = installed.install(&desired)?;
    let install_ms = millis(start);
    let memory = memory(&installed.dir.0.join("maps"))?;
    let program = installed.program("from_container")?;
    let subject = |random| Subject { path: &paths::OURS[0], program: &program, endpoints, random };
    let times = measure::measure(&[subject(false), subject(true)], ROUNDS, FRAMES)?;
    let (change_us, change_p99_us) = change::measure(&mut installed, &desired)?;
    Ok(Alone {
        desired_ms,
        install_ms,
        steps,
        memory_total: memory.values().sum(),
        memory,
        hot_ns: times[0].min(),
        hot_median_ns: times[0].median(),
        random_median_ns: times[1].median(),
        change_us,
        change_p99_us,
    })
}

pub(crate) fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

/// The memory of pinned maps, from `memlock` of their descriptors: since Linux 6.4 what a map holds (`map_mem_usage`),
/// also where entries are allocated one by one.
fn memory(dir: &Path) -> Result<BTreeMap<String, u64>> {
    let mut sizes = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let pin = entry?.path();
        let map = MapData::from_pin(&pin).with_context(|| format!("cannot open {}", pin.display()))?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd()))?;
        let bytes = info.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok());
        let name = pin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sizes.insert(name, bytes.context("a map's fdinfo tells no memlock")?);
    }
    Ok(sizes)
}
