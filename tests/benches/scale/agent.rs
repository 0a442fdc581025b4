//! A real agent over a cluster of many endpoints.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    maps::{Map, MapData, PerCpuHashMap},
    programs::SchedClassifier,
};
use overlay_common::{DropReason, map::DropKey};
use overlay_tests::{Lab, Options};
use serde::Serialize;

use crate::{
    frames, measure,
    scene::{self, LOCAL, VNI, station, vtep_of},
    tables::millis,
};

/// How long the agent may take for anything.
const LIMIT: Duration = Duration::from_mins(5);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(1);
/// How often one endpoint is removed or added.
const CHANGES: usize = 4;

/// What was measured; memory is in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Agent {
    /// From its start to the last endpoint in the tables of attached programs.
    pub(crate) start_ms: f64,
    /// Resident, once all is installed, and at most.
    pub(crate) rss: u64,
    pub(crate) rss_peak: u64,
    /// From a new cluster.toml with one endpoint more or less to the tables that have it: the median.
    pub(crate) change_ms: f64,
}

pub(crate) fn measure(endpoints: u32) -> Result<Agent> {
    let mut lab = Lab::new(&Options::of_environment("ovb-scale".to_owned(), 1)?)?;
    let less = scene::cluster(endpoints - 1);
    let all = format!("{less}{}", scene::endpoint(endpoints - 1));
    lab.write_cluster_text(&all)?;
    let start = Instant::now();
    let file = lab.cluster_file();
    let host = &mut lab.hosts[0];
    host.write_config(&file)?;
    host.spawn_agent()?;
    let mut probe = wait(|| Ok(Probe::open(&host.pin_dir).ok())).context("the agent pins no programs")?;
    // Of the last in the file, and of the last in the table.
    for number in [endpoints - 1, LOCAL] {
        wait(|| Ok(probe.knows(number)?.then_some(())))
            .with_context(|| format!("the agent does not install its endpoints:\n{}", host.log_tail()))?;
    }
    let start_ms = millis(start);
    let pid = host.agent_pid().context("the agent has ended")?;
    let mut changes = Vec::new();
    for turn in 0..CHANGES {
        let (text, known) = if turn % 2 == 0 { (&less, false) } else { (&all, true) };
        let next = file.with_extension("next");
        fs::write(&next, text)?;
        let start = Instant::now();
        fs::rename(&next, &file)?;
        wait(|| Ok((probe.knows(endpoints - 1)? == known).then_some(())))
            .context("the agent does not follow its file")?;
        changes.push(millis(start));
    }
    changes.sort_unstable_by(f64::total_cmp);
    Ok(Agent {
        start_ms,
        rss: status(pid, "VmRSS:")?,
        rss_peak: status(pid, "VmHWM:")?,
        change_ms: changes[changes.len() / 2],
    })
}

/// Asks until there is an answer.
fn wait<T>(mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        thread::sleep(POLL);
    }
    bail!("not within {} s", LIMIT.as_secs())
}

/// A line of the process's status, in bytes.
fn status(pid: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no {name} in the agent's status"))? * 1024)
}

/// Asks the pinned programs what the tables hold: a frame from a VTEP for an endpoint of another node is one that must
/// not come back (`split_horizon`), for one that is not there one for nobody (`unknown_mac`).
struct Probe {
    program: SchedClassifier,
    drops: PerCpuHashMap<MapData, DropKey, u64>,
}

impl Probe {
    fn open(pins: &Path) -> Result<Self> {
        let program = SchedClassifier::from_pin(pins.join("progs/from_underlay"))?;
        let drops = PerCpuHashMap::try_from(Map::PerCpuHashMap(MapData::from_pin(pins.join("maps/DROPS"))?))?;
        Ok(Self { program, drops })
    }

    fn knows(&mut self, number: u32) -> Result<bool> {
        let before = self.counted(DropReason::SplitHorizon)?;
        let inner = frames::udp_v4(&station(LOCAL), &station(number));
        let (verdict, _) = measure::run(&self.program, &frames::vxlan(vtep_of(LOCAL), &inner), (0, 0))?;
        ensure!(verdict != 7, "a frame for another node was delivered here");
        Ok(self.counted(DropReason::SplitHorizon)? > before)
    }

    fn counted(&self, reason: DropReason) -> Result<u64> {
        let key = DropKey { vni: VNI, reason: reason as u32 };
        match self.drops.get(&key, 0) {
            Ok(values) => Ok(values.iter().sum()),
            Err(aya::maps::MapError::KeyNotFound) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
