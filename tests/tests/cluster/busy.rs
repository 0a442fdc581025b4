//! Hosts whose CPUs have other work: nobody is taken for dead.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use overlay_tests::{figure, full};

use crate::{fleet::Fleet, ring::Ring};

const HOSTS: u8 = 8;

/// Threads that only compute; dropped, they end.
struct Work {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Work {
    /// Twice as many as there are CPUs.
    fn start() -> Self {
        let cpus = thread::available_parallelism().expect("a number").get();
        let end = Arc::new(AtomicBool::new(false));
        let compute = || {
            let end = Arc::clone(&end);
            thread::spawn(move || {
                let mut turns = 0_u64;
                while !end.load(Ordering::Relaxed) {
                    turns = black_box(turns + 1);
                }
                turns
            })
        };
        let threads = (0..2 * cpus).map(|_| compute()).collect();
        Self { end, threads }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let turns = thread.join().expect("it only counts");
            assert!(turns > 0, "the control: it computed");
        }
    }
}

#[test]
fn busy_hosts_are_not_taken_for_dead() {
    let mut fleet = Fleet::new("busy", HOSTS);
    fleet.populate();
    let (mark, all) = (fleet.mark(), fleet.all().collect::<Vec<_>>());
    let ring = Ring::start(&fleet, &all);
    let work = Work::start();
    thread::sleep(Duration::from_secs(if full() { 300 } else { 30 }));
    drop(work);
    let carried = ring.stop();
    let events: Vec<_> = fleet.all().flat_map(|host| fleet.since(&mark, host)).collect();
    let of = |state: &str| events.iter().filter(|(_, what)| what == state).count();
    figure("false_deaths", "lost, all CPUs busy", carried.figure());
    figure("false_deaths", "dead, agent_down", format!("{}, {}", of("dead"), of("agent_down")));
    assert!(events.iter().all(|(_, what)| what == "known"), "nobody was away: {events:?}");
    assert!(carried.lost <= carried.machine_lost(), "{carried:?}");
}
