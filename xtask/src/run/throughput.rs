//! TCP between containers on two hosts, beside TCP between the same hosts without overlay.
//!
//! Rounds are interleaved and their order rotates, so that a noisy neighbour meets both; the client stays on
//! CPU 0 and the server on CPU 1; what is told is the median, and as a ratio.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};
use overlay_tests::{
    Lab,
    traffic::{Awake, Kind, Pair, Window},
};
use serde_json::{Value, json};

use super::grid::{self, BLUE};
use crate::{
    interrupt,
    ui::{self, Progress},
};

/// Rounds; each measures every mode once. Shared CPUs give single windows that are off by half.
const ROUNDS: usize = 15;
/// How long a window is.
const MILLIS: u64 = 300;
/// The pause between two windows: a real-time process may have 0.95 s of every second.
const PAUSE: Duration = Duration::from_millis(150);
/// Above this share of stalled time (`some avg10` of /proc/pressure/cpu) others use the CPUs.
const BUSY_PERCENT: f64 = 2.0;

/// The figures of every mode, one for each round.
#[derive(Default)]
pub(crate) struct Throughput {
    host_stream: Vec<f64>,
    overlay_stream: Vec<f64>,
    host_rr: Vec<f64>,
    overlay_rr: Vec<f64>,
    /// How much other processes used the CPUs before the first round, in percent.
    pressure: Option<f64>,
}

impl Throughput {
    /// Measures between the first two hosts; nothing in a lab of one.
    pub(crate) fn measure(lab: &Lab) -> Result<Self> {
        let mut figures = Self { pressure: pressure(), ..Self::default() };
        let _awake = Awake::hold();
        let Some(mut pairs) = pairs(lab)? else { return Ok(figures) };
        let modes = [(0, Kind::Stream), (1, Kind::Stream), (0, Kind::Rr), (1, Kind::Rr)];
        let progress =
            Progress::start(format!("measuring   {ROUNDS} rounds of TCP with and without overlay"));
        for round in 0..ROUNDS {
            for step in 0..modes.len() {
                interrupt::check()?;
                let mode = (round + step) % modes.len();
                let (pair, kind) = modes[mode];
                let figure = window(&mut pairs[pair], kind);
                // A load cut short by Ctrl-C is no failure of the load.
                interrupt::check()?;
                figures.of(mode).push(figure?);
                thread::sleep(PAUSE);
            }
        }
        progress.finish();
        Ok(figures)
    }

    fn of(&mut self, mode: usize) -> &mut Vec<f64> {
        match mode {
            0 => &mut self.host_stream,
            1 => &mut self.overlay_stream,
            2 => &mut self.host_rr,
            _ => &mut self.overlay_rr,
        }
    }

    /// The containers' stream as a share of the hosts'.
    pub(crate) fn stream_ratio(&self) -> Option<f64> {
        ratio(&self.overlay_stream, &self.host_stream)
    }

    /// The containers' requests and responses as a share of the hosts'.
    pub(crate) fn rr_ratio(&self) -> Option<f64> {
        ratio(&self.overlay_rr, &self.host_rr)
    }

    /// Medians and every round.
    pub(crate) fn json(&self) -> Value {
        let mode = |rounds: &[f64]| json!({"median": median(rounds), "rounds": rounds});
        json!({
            "tcp_stream_gbit": {"host": mode(&self.host_stream), "overlay": mode(&self.overlay_stream)},
            "tcp_rr_per_second": {"host": mode(&self.host_rr), "overlay": mode(&self.overlay_rr)},
            "cpu_pressure_before": self.pressure,
        })
    }

    /// Prints medians and ratios.
    pub(crate) fn print(&self) {
        println!("\n{}", ui::heading(&format!("Throughput h1 to h2, median of {ROUNDS} interleaved rounds")));
        if self.host_stream.is_empty() {
            println!("  needs two hosts");
            return;
        }
        let mut rows =
            vec![["", "hosts", "containers", "ratio", "spread of the ratio"].map(str::to_owned).to_vec()];
        let modes = [
            ("TCP stream, Gbit/s", &self.host_stream, &self.overlay_stream, 2),
            ("TCP request/response, 1/s", &self.host_rr, &self.overlay_rr, 0),
        ];
        for (name, host, overlay, digits) in modes {
            let cell = |figure: Option<f64>, digits: usize| {
                figure.map_or("-".to_owned(), |f| format!("{f:.digits$}"))
            };
            let rounds: Vec<f64> = overlay.iter().zip(host).map(|(overlay, host)| overlay / host).collect();
            let (low, high) =
                (rounds.iter().copied().reduce(f64::min), rounds.iter().copied().reduce(f64::max));
            rows.push(vec![
                name.to_owned(),
                cell(median(host), digits),
                cell(median(overlay), digits),
                cell(ratio(overlay, host), 2),
                format!("{} to {}", cell(low, 2), cell(high, 2)),
            ]);
        }
        ui::table(&rows);
        if let Some(percent) = self.pressure.filter(|percent| *percent > BUSY_PERCENT) {
            println!("  other processes use the CPUs (pressure {percent:.0} %): the ratios may be off");
        }
    }
}

/// Between the first two hosts, and between the first blue container of each.
fn pairs(lab: &Lab) -> Result<Option<[Pair; 2]>> {
    let [first, second, ..] = lab.hosts.as_slice() else { return Ok(None) };
    let blue = grid::members(lab, BLUE);
    let on = |host: usize| blue.iter().copied().find(move |container| container.host == host);
    let Some((client, server)) = on(0).zip(on(1)) else { return Ok(None) };
    let Some(to) = server.ip(false) else { return Ok(None) };
    let xtask = std::env::current_exe().context("xtask cannot find itself")?;
    let hosts = Pair::start(&xtask, &first.netns.path(), &second.netns.path(), second.vtep)?;
    Ok(Some([hosts, Pair::start(&xtask, &client.netns.path(), &server.netns.path(), to)?]))
}

/// One window of load: Gbit/s of a stream, transactions per second of requests and responses.
fn window(pair: &mut Pair, kind: Kind) -> Result<f64> {
    let figures = pair.window(Window::new(kind, MILLIS))?;
    let amount = if kind == Kind::Stream { figures.bytes as f64 * 8.0 / 1e9 } else { figures.count as f64 };
    Ok(amount / figures.seconds)
}

/// The share of the last ten seconds in which a process waited for a CPU, in percent.
fn pressure() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.split_once("avg10=")?.1.split_whitespace().next()?.parse().ok()
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn ratio(overlay: &[f64], host: &[f64]) -> Option<f64> {
    Some(median(overlay)? / median(host)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_an_outlier() {
        assert_eq!(median(&[3.0, 1.0, 100.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(median(&[]), None);
        assert_eq!(ratio(&[9.0], &[10.0]), Some(0.9));
    }
}
