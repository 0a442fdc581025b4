//! Rounds: every figure in every mode, side by side.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use overlay_tests::{interrupt, traffic::Figures};

use crate::{figures::Probe, gate::Noise, lab::Lab, options::Options};

/// The pause behind a window, at least: a real-time process may have 0.95 s of every second, and what others were kept
/// from shows in it.
const PAUSE: Duration = Duration::from_millis(40);
/// The pause as a part of the window.
const PAUSE_PART: u32 = 8;
/// How often a turn is tried until it is not disturbed.
const TRIES: usize = 20;
/// What a window takes besides its load: reading the path's counters, and CPU times.
const AROUND: Duration = Duration::from_millis(30);

/// A window that was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) probe: &'static Probe,
    pub(crate) mode: &'static str,
    /// Which round, and which of the probe's turns in it: samples of one place are compared with each other.
    pub(crate) place: (u32, u32),
    pub(crate) figures: Figures,
    /// What others used.
    pub(crate) noise: Noise,
    /// Whether its turn was disturbed, so that it was measured anew, or taken as it is by `--noisy`.
    pub(crate) disturbed: bool,
    /// Whether the report counts it.
    pub(crate) counts: bool,
}

/// What to do.
pub(crate) struct Rounds {
    count: u32,
    probes: Vec<&'static Probe>,
    noisy: bool,
}

impl Rounds {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        interrupt::catch()?;
        Ok(Self { count: options.rounds, probes: options.probes()?, noisy: options.noisy })
    }

    /// Measures everything.
    pub(crate) fn run(&self, lab: &mut Lab) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let minutes = self.expected(lab).as_secs_f64() / 60.0;
        println!("measuring   rounds: {}, minutes: about {minutes:.1}", self.count);
        for round in 0..self.count {
            let start = Instant::now();
            let mut repeated = 0;
            for probe in &self.probes {
                repeated += self.figure(lab, probe, round, &mut samples)?;
            }
            let time = start.elapsed().as_secs_f64();
            let again =
                if repeated > 0 { format!(", {repeated} windows measured again") } else { String::new() };
            println!("round {} of {}  {time:.0} s{again}", round + 1, self.count);
        }
        Ok(samples)
    }

    /// How long all rounds take on a quiet machine.
    fn expected(&self, lab: &Lab) -> Duration {
        let probe = |probe: &'static Probe| {
            let lanes = lab.with(probe).count() as u32;
            let window = Duration::from_millis(probe.window.millis);
            (window + pause(window) + AROUND) * probe.repeats * lanes
        };
        self.probes.iter().map(|one| probe(one)).sum::<Duration>() * self.count
    }

    /// A round of one figure: each of its turns, again while it is disturbed. How many windows were measured in vain.
    fn figure(
        &self,
        lab: &mut Lab,
        probe: &'static Probe,
        round: u32,
        samples: &mut Vec<Sample>,
    ) -> Result<usize> {
        let mut vain = 0;
        for repeat in 0..probe.repeats {
            let mut tries = 1;
            while let Some(why) = self.turn(lab, probe, (round, repeat), samples)? {
                if tries == TRIES {
                    bail!(
                        "{}: disturbed in each of {TRIES} tries, {why}: end what else runs here, or take the figures as they are with --noisy",
                        probe.name
                    );
                }
                tries += 1;
                vain += lab.with(probe).count();
            }
        }
        Ok(vain)
    }

    /// One window of each mode; says what disturbed them where they do not count.
    fn turn(
        &self,
        lab: &mut Lab,
        probe: &'static Probe,
        place: (u32, u32),
        samples: &mut Vec<Sample>,
    ) -> Result<Option<String>> {
        let before = if self.noisy { Noise::default() } else { lab.gate.quiet()? };
        let mut windows = windows(lab, probe, place)?;
        let noise = windows.iter().fold(before, |worst, sample| worst.max(sample.noise));
        let lossy = windows.iter().find(|sample| probe.lossy(&sample.figures)).map(|sample| sample.mode);
        let disturbed = noise.disturbs() || lossy.is_some();
        let counts = !disturbed || (self.noisy && lossy.is_none());
        for sample in &mut windows {
            (sample.disturbed, sample.counts) = (disturbed, counts);
        }
        samples.extend(&windows);
        Ok((!counts).then(|| match lossy {
            Some(mode) => format!("the last time by datagrams lost in mode {mode}"),
            None => format!("the last time by {noise}"),
        }))
    }
}

/// One window of each mode after another.
fn windows(lab: &mut Lab, probe: &'static Probe, place: (u32, u32)) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let (round, repeat) = place;
    let lanes: Vec<usize> = lab.with(probe).collect();
    for step in 0..lanes.len() {
        interrupt::check()?;
        let turn = (round * probe.repeats + repeat) as usize;
        let lane = &mut lab.lanes[lanes[order(turn, step, lanes.len())]];
        let before = lab.gate.now()?;
        let figures = lane.window(probe);
        // A load that Ctrl-C cut short is no failure of the load.
        interrupt::check()?;
        let figures = figures?;
        thread::sleep(pause(Duration::from_millis(probe.window.millis)));
        samples.push(Sample {
            probe,
            mode: lane.name(),
            place,
            figures,
            noise: lab.gate.since(&before)?,
            disturbed: false,
            counts: true,
        });
    }
    Ok(samples)
}

fn pause(window: Duration) -> Duration {
    PAUSE.max(window / PAUSE_PART)
}

/// Who is measured at `step` of a turn: each turn begins with another, and every other one goes backwards, so that no
/// mode always follows the same.
fn order(turn: usize, step: usize, count: usize) -> usize {
    let step = if turn.is_multiple_of(2) { step } else { count - step };
    (turn + step) % count
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn every_turn_measures_every_mode_once_and_begins_with_another() {
        let mut first = Vec::new();
        for turn in 0..8 {
            let mut modes: Vec<usize> = (0..8).map(|step| order(turn, step, 8)).collect();
            first.push(modes[0]);
            modes.sort_unstable();
            assert_eq!(modes, [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        first.dedup();
        assert_eq!(first.len(), 8, "{first:?}");
    }
}
