//! Whether others use the CPUs.
//!
//! What stalls is no measure here: load that runs above ordinary processes stalls them by itself. So it is the CPU time
//! that is counted: all that was not idle, less that of the load. What ordinary processes were kept from during a
//! window they catch up with in the pause behind it, which is counted with it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// A window is disturbed when others used more than this part of the CPUs' time.
pub(crate) const LIMIT: f64 = 0.05;
/// How long it is looked whether the machine is quiet.
const LOOK: Duration = Duration::from_millis(200);
/// How long to wait until it is.
const WAIT: Duration = Duration::from_secs(20);
/// The unit of /proc/stat (`USER_HZ`) in seconds.
const TICK: f64 = 0.01;

/// A moment's count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    time: Instant,
    cpus: f64,
    /// Seconds in which a CPU was idle, all CPUs together. The kernel counts them by its clock, not by ticks, where it
    /// stops the tick of an idle CPU (`CONFIG_NO_HZ_IDLE`).
    idle: f64,
    /// Seconds that the hypervisor gave to others.
    steal: f64,
}

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let mut moment = read(&text).context("/proc/stat is not as expected")?;
        moment.time = Instant::now();
        Ok(moment)
    }

    /// The part of the CPUs' time since then that others used, where the load used `own` seconds.
    pub(crate) fn others(&self, own: f64) -> Result<f64> {
        let now = Self::now()?;
        let all = now.time.duration_since(self.time).as_secs_f64() * now.cpus;
        Ok(others(all, now.idle - self.idle, own))
    }

    /// The part of the CPUs' time since then that the hypervisor gave to others.
    pub(crate) fn stolen(&self) -> Result<f64> {
        let now = Self::now()?;
        let all = now.time.duration_since(self.time).as_secs_f64() * now.cpus;
        Ok((now.steal - self.steal) / all)
    }
}

fn others(all: f64, idle: f64, own: f64) -> f64 {
    ((all - idle - own) / all).max(0.0)
}

fn read(text: &str) -> Option<Moment> {
    let mut lines = text.lines();
    let total = lines.next()?.strip_prefix("cpu ")?;
    let fields: Vec<f64> = total.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect();
    let cpus = lines.take_while(|line| line.starts_with("cpu")).count() as f64;
    // Fields 3 and 4: idle, and idle with I/O under way; 7: steal (proc_stat(5)).
    let idle = (fields.get(3)? + fields.get(4)?) * TICK;
    Some(Moment { time: Instant::now(), cpus, idle, steal: fields.get(7)? * TICK })
}

/// Waits until others leave the CPUs alone, and tells the part they used last.
pub(crate) fn quiet() -> Result<f64> {
    let start = Instant::now();
    loop {
        let before = Moment::now()?;
        thread::sleep(LOOK);
        let others = before.others(0.0)?;
        if others <= LIMIT || start.elapsed() > WAIT {
            return Ok(others);
        }
    }
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_idle_nor_of_the_load_is_of_others() {
        assert!((others(2.0, 0.5, 1.0) - 0.25).abs() < 1e-9);
        assert!(others(2.0, 0.5, 1.6).abs() < 1e-9, "clocks that differ make nothing negative");
    }

    #[test]
    fn idle_time_and_cpus_are_read() {
        let text = "cpu  10 0 20 300 50 0 4 7 0 0\ncpu0 5 0 10 150 25 0 2 3 0 0\ncpu1 5 0 10 150 25 0 2 4 0 0\nintr 1\n";
        let moment = read(text).expect("it is a /proc/stat");
        assert!((moment.cpus - 2.0).abs() < 1e-9);
        assert!((moment.idle - 3.5).abs() < 1e-9 && (moment.steal - 0.07).abs() < 1e-9);
        assert!(read("intr 1\n").is_none());
    }
}
