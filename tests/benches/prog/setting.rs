//! All that is measured: our programs over tables, and the reference programs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use aya::programs::SchedClassifier;
use overlay_common::MacAddr;
use overlay_user::datapath::Datapath as _;

use crate::{
    measure,
    paths::{self, Path},
    reference::Reference,
    scene::{self, Installed, LOCAL, station},
};

/// A device that is not there: nothing is sent.
const NO_DEVICE: u32 = 0x7fff_0000;
/// Protocol and ports of the frames that reference programs get, as in `frames::udp_v4`.
const FLOW: (u8, [u8; 4]) = (17, [0x03, 0xe8, 0x07, 0xd0]);

/// Programs over tables of so many endpoints.
pub(crate) struct Tables {
    pub(crate) endpoints: u32,
    installed: Installed,
    programs: BTreeMap<&'static str, SchedClassifier>,
}

/// The programs.
pub(crate) struct Setting {
    pub(crate) tables: Vec<Tables>,
    pub(crate) reference: Reference,
}

impl Setting {
    /// Fills tables of these sizes, and makes sure that every frame goes its way.
    pub(crate) fn new(sizes: &[u32]) -> Result<Self> {
        let tables = sizes.iter().map(|endpoints| Tables::new(*endpoints)).collect::<Result<_>>()?;
        let mut setting = Self { tables, reference: reference()? };
        for tables in &mut setting.tables {
            for path in &paths::OURS {
                tables.verify(path)?;
            }
        }
        for path in &paths::REFERENCE {
            let (verdict, _) =
                measure::run(setting.reference.get(path.program)?, &path.frame(LOCAL), (0, 0))?;
            ensure!(verdict == path.verdict as i32, "{} answered {verdict}", path.title());
        }
        Ok(setting)
    }
}

impl Tables {
    fn new(endpoints: u32) -> Result<Self> {
        let mut installed = Installed::empty(&endpoints.to_string())?;
        installed.install(&scene::tables(&scene::cluster(endpoints))?)?;
        let mut programs = BTreeMap::new();
        for path in &paths::OURS {
            programs.insert(path.program, installed.program(path.program)?);
        }
        Ok(Self { endpoints, installed, programs })
    }

    pub(crate) fn program(&self, name: &str) -> Result<&SchedClassifier> {
        self.programs.get(name).with_context(|| format!("no program {name}"))
    }

    /// Whether a frame moves the counter that its way is known by, and no other.
    fn verify(&mut self, path: &Path) -> Result<()> {
        let before = self.counted()?;
        let (verdict, _) = measure::run(self.program(path.program)?, &path.frame(LOCAL), path.with)?;
        ensure!(
            verdict == path.verdict as i32,
            "{} answered {verdict}, not {:?}",
            path.title(),
            path.verdict
        );
        let after = self.counted()?;
        let moved: Vec<&String> = after
            .iter()
            .filter(|(name, count)| before.get(*name) != Some(count))
            .map(|(name, _)| name)
            .collect();
        let expected: Vec<&str> = path.counted.into_iter().collect();
        ensure!(moved == expected, "{} was counted as {moved:?}, not {expected:?}", path.title());
        Ok(())
    }

    /// Everything that is counted, by its name.
    fn counted(&mut self) -> Result<BTreeMap<String, u64>> {
        let mut counts = self.installed.datapath.counters()?;
        counts.retain(|_, count| *count > 0);
        for drops in self.installed.datapath.drops()? {
            *counts.entry(drops.reason.to_owned()).or_default() += drops.count;
        }
        Ok(counts)
    }
}

/// The reference programs, with entries for the frame that they get.
fn reference() -> Result<Reference> {
    let programs: Vec<&str> = paths::REFERENCE.iter().map(|path| path.program).collect();
    let mut reference = Reference::load(&programs)?;
    let (own, other) = (station(0).v4, station(LOCAL).v4);
    let vtep = scene::vtep_of(LOCAL);
    reference.way_out(other, NO_DEVICE, vtep)?;
    reference.way_in(other, NO_DEVICE, station(LOCAL).mac, MacAddr::new([2, 0, 0, 0, 0, 1]))?;
    reference.tunnel(other, NO_DEVICE, vtep, scene::VNI)?;
    reference.cached((own, other), FLOW, NO_DEVICE, &[0x45; 64])?;
    Ok(reference)
}
