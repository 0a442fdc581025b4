//! Whether others use the CPUs.
//!
//! What stalls is no measure here: threads of a load that share a CPU stall each other. Nor is what was not idle:
//! going idle and coming back thousands of times in a second takes a tenth of the time by itself. So it is the CPU time
//! of all other tasks that is counted. What ordinary processes were kept from during a window they catch up with in the
//! pause behind it, which is counted with it.

use std::{
    collections::HashMap,
    fmt, fs, process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// A window is disturbed when others used more than this part of the CPUs' time, or the hypervisor gave as much away.
const LIMIT: f64 = 0.05;
/// How long it is looked whether the machine is quiet.
const LOOK: Duration = Duration::from_millis(200);
/// How long to wait until it is.
const WAIT: Duration = Duration::from_secs(20);
/// The unit of /proc/stat (`USER_HZ`) in seconds.
const TICK: f64 = 0.01;

/// Counts the CPU time of everybody but the load.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The processes of the load, and this one.
    own: Vec<u32>,
    cpus: f64,
}

/// A moment's count.
#[derive(Debug)]
pub(crate) struct Moment {
    time: Instant,
    /// Nanoseconds that each task of others has run.
    tasks: HashMap<u32, u64>,
    /// Seconds that the hypervisor gave to others.
    steal: f64,
}

/// What was used since a moment, as parts of the CPUs' time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Noise {
    /// By other tasks of this machine.
    pub(crate) others: f64,
    /// By others of the hypervisor.
    pub(crate) stolen: f64,
}

impl Noise {
    pub(crate) fn disturbs(self) -> bool {
        self.others.max(self.stolen) > LIMIT
    }

    /// The worse of each.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { others: self.others.max(other.others), stolen: self.stolen.max(other.stolen) }
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (others, stolen) = (self.others * 100.0, self.stolen * 100.0);
        write!(
            f,
            "other tasks with {others:.0} % of the CPUs' time and other virtual machines with {stolen:.0} %"
        )
    }
}

impl Gate {
    /// `load` are the processes whose CPU time is not that of others.
    pub(crate) fn new(mut load: Vec<u32>) -> Self {
        load.push(process::id());
        let cpus = thread::available_parallelism().map_or(1, usize::from) as f64;
        Self { own: load, cpus }
    }

    pub(crate) fn now(&self) -> Result<Moment> {
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let steal = steal(&text).context("/proc/stat is not as expected")?;
        Ok(Moment { time: Instant::now(), tasks: self.tasks()?, steal })
    }

    pub(crate) fn since(&self, before: &Moment) -> Result<Noise> {
        let now = self.now()?;
        let all = now.time.duration_since(before.time).as_secs_f64() * self.cpus;
        let others = ran(&before.tasks, &now.tasks) as f64 / 1e9;
        Ok(Noise { others: others / all, stolen: (now.steal - before.steal) / all })
    }

    /// Waits until others leave the CPUs alone, and tells what they used last.
    pub(crate) fn quiet(&self) -> Result<Noise> {
        let start = Instant::now();
        loop {
            let before = self.now()?;
            thread::sleep(LOOK);
            let noise = self.since(&before)?;
            if !noise.disturbs() || start.elapsed() > WAIT {
                return Ok(noise);
            }
        }
    }

    /// What each task of others has run so far. A task that ends meanwhile is left out.
    fn tasks(&self) -> Result<HashMap<u32, u64>> {
        let mut tasks = HashMap::new();
        for process in fs::read_dir("/proc").context("cannot read /proc")? {
            let process = process?;
            let pid = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            let Some(pid) = pid.filter(|pid| !self.own.contains(pid)) else { continue };
            // The load's softirqs, where they become many.
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            if name.starts_with("ksoftirqd/") {
                continue;
            }
            for task in fs::read_dir(process.path().join("task")).into_iter().flatten().flatten() {
                let number = task.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or(pid);
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let time = text.split_whitespace().next().and_then(|word| word.parse().ok());
                tasks.extend(time.map(|time| (number, time)));
            }
        }
        Ok(tasks)
    }
}

/// What the tasks of `now` have run since `before`; a new one all that it ran.
fn ran(before: &HashMap<u32, u64>, now: &HashMap<u32, u64>) -> u64 {
    now.iter().map(|(task, time)| time.saturating_sub(before.get(task).copied().unwrap_or(0))).sum()
}

/// The eighth number of the first line (`proc_stat(5)`), in seconds.
fn steal(text: &str) -> Option<f64> {
    let ticks: f64 = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().nth(7)?.parse().ok()?;
    Some(ticks * TICK)
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn a_new_task_counts_whole_and_one_that_ended_not() {
        let before = HashMap::from([(1, 100), (2, 50)]);
        assert_eq!(ran(&before, &HashMap::from([(1, 130), (3, 7)])), 37);
    }

    #[test]
    fn steal_is_read() {
        let text = "cpu  10 0 20 300 50 0 4 7 0 0\ncpu0 5 0 10 150 25 0 2 3 0 0\nintr 1\n";
        assert!((steal(text).expect("it is a /proc/stat") - 0.07).abs() < 1e-9);
        assert_eq!(steal("intr 1\n"), None);
    }

    #[test]
    fn a_process_that_uses_a_cpu_is_seen_and_one_of_the_load_is_not() {
        let mut busy = process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh");
        let sees = |load| {
            let gate = Gate::new(load);
            gate.tasks().expect("read").get(&busy.id()).is_some_and(|time| *time > 0)
        };
        thread::sleep(Duration::from_millis(50));
        let (seen, left_out) = (sees(vec![]), !sees(vec![busy.id()]));
        busy.kill().expect("killed");
        busy.wait().expect("waited");
        assert!(seen, "it ran");
        assert!(left_out, "it is of the load");
    }
}
