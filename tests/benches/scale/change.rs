//! How soon a frame goes by a change.

use std::time::Instant;

use anyhow::{Result, ensure};
use overlay_user::{
    datapath::Datapath as _,
    plan::{self, Op},
    tables::Tables,
};

use crate::{
    measure, paths,
    paths::Verdict,
    scene::{Installed, LOCAL, station},
};

/// How often an endpoint is removed and added again.
const TIMES: usize = 500;

/// Removes an endpoint and adds it again, many times; from before the first step of either to the end of the frame
/// that shows it, median and 99th percentile in microseconds.
pub(crate) fn measure(installed: &mut Installed, desired: &Tables) -> Result<(f64, f64)> {
    let program = installed.program("from_container")?;
    let frame = paths::OURS[0].frame(LOCAL);
    let without = without_first(desired);
    let remove = plan::diff(&without, desired);
    let add = plan::diff(desired, &without);
    ensure!(!remove.is_empty() && !add.is_empty(), "an endpoint is no step");
    let mut times = Vec::with_capacity(2 * TIMES);
    let mut change = |steps: &[Op], expected: Verdict| -> Result<()> {
        let start = Instant::now();
        for step in steps {
            installed.datapath.apply(step)?;
        }
        let (verdict, _) = measure::run(&program, &frame, (0, 0))?;
        times.push(start.elapsed());
        ensure!(verdict == expected as i32, "the next frame was answered {verdict}, not {expected:?}");
        Ok(())
    };
    for _ in 0..TIMES {
        change(&remove, Verdict::Drop)?;
        change(&add, Verdict::Redirect)?;
    }
    times.sort_unstable();
    let micros = |place: usize| times[place].as_secs_f64() * 1e6;
    Ok((micros(times.len() / 2), micros(times.len() * 99 / 100)))
}

/// The tables without the first endpoint of another node.
fn without_first(tables: &Tables) -> Tables {
    let mac = station(LOCAL).mac;
    let mut without = tables.clone();
    without.fdb.retain(|(_, this), _| *this != mac);
    without.neigh.retain(|_, this| *this != mac);
    without
}
