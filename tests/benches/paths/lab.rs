//! All modes that are measured, up and with their load.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};
use overlay_tests::traffic::{Figures, Pair};

use crate::{
    figures::{Place, Probe},
    gate::Gate,
    generator::Generator,
    modes::{self, Ends, Mode},
    options::Load,
};

/// A mode and its load.
pub(crate) struct Lane {
    // Before the mode: the load ends before its namespaces do.
    across: Pair,
    local: Option<Pair>,
    mode: Box<dyn Mode>,
    /// In place of the client's datagrams.
    generator: Option<Generator>,
    load: Load,
}

/// The modes, in the order of the report.
pub(crate) struct Lab {
    pub(crate) lanes: Vec<Lane>,
    /// Takes what no lane's load uses for that of others.
    pub(crate) gate: Gate,
}

impl Lab {
    pub(crate) fn start(names: &[&'static str], load: Load) -> Result<Self> {
        let program = std::env::current_exe().context("this binary cannot find itself")?;
        let mut lanes = Vec::new();
        for name in names {
            let start = Instant::now();
            let lane = Lane::start(&program, name, load);
            lanes.push(lane.with_context(|| format!("the mode {name} does not start"))?);
            println!("started     {name}  {:.1} s", start.elapsed().as_secs_f64());
        }
        let pairs = lanes.iter().flat_map(|lane: &Lane| [Some(&lane.across), lane.local.as_ref()]);
        let load = pairs.flatten().flat_map(Pair::processes).collect();
        Ok(Self { lanes, gate: Gate::new(load) })
    }

    /// The lanes that a probe measures.
    pub(crate) fn with(&self, probe: &'static Probe) -> impl Iterator<Item = usize> {
        (0..self.lanes.len()).filter(|lane| self.lanes[*lane].has(probe))
    }
}

impl Lane {
    fn start(program: &Path, name: &str, load: Load) -> Result<Self> {
        let mode = modes::start(name)?;
        let pair = |ends: Ends| Pair::start(program, &ends.client, &ends.server, ends.to);
        let mut across = pair(mode.across())?;
        let local = mode.local().map(pair).transpose()?;
        let generator = match load {
            Load::Socket => None,
            Load::Xdp => Generator::new(&*mode, &mut across).context("--load xdp")?,
        };
        Ok(Self { across, local, mode, generator, load })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.mode.name()
    }

    pub(crate) fn path(&self) -> String {
        self.mode.path()
    }

    /// Whether the mode has the place of a probe.
    pub(crate) fn has(&self, probe: &Probe) -> bool {
        match self.load {
            Load::Socket => probe.place == Place::Across || self.local.is_some(),
            Load::Xdp => self.generator.is_some(),
        }
    }

    /// A window of load; an error where it did not go by the path that the mode is named for.
    pub(crate) fn window(&mut self, probe: &Probe) -> Result<Figures> {
        let name = self.name();
        let fails = || format!("{}, mode {name}", probe.name);
        let before = self.mode.passed().with_context(fails)?;
        let pair = match probe.place {
            Place::Across => &mut self.across,
            Place::Local => self.local.as_mut().context("the mode has no two containers on a host")?,
        };
        let figures = match &mut self.generator {
            Some(generator) => generator.window(pair, probe.window),
            None => pair.window(probe.window),
        };
        let figures = figures.with_context(fails)?;
        let passed = self.mode.passed().with_context(fails)?.saturating_sub(before);
        if probe.place == Place::Across {
            proof(passed, probe.least_passed(&figures), &self.path()).with_context(fails)?;
        }
        Ok(figures)
    }
}

/// An error where the counters of a path did not move as they must have.
fn proof(passed: u64, least: u64, path: &str) -> Result<()> {
    if passed < least {
        bail!(
            "the traffic did not go the named way ({path}): {passed} packets counted there, at least {least} were sent"
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn traffic_that_went_another_way_is_an_error() {
        assert!(proof(10, 10, "eth0 - eth0").is_ok());
        let error = proof(9, 10, "eth0 - eth0").expect_err("one is missing");
        assert!(error.to_string().contains("did not go the named way (eth0 - eth0)"), "{error}");
    }
}
