//! Traffic in a ring: from every container to the next, so that each sends and receives.

use std::time::Instant;

use overlay_tests::{Container, Flow, Losses};

use crate::fleet::Fleet;

/// Datagrams in a second of each flow.
const RATE: u32 = 500;

/// Flows from each of some containers to the next, over IPv4 and IPv6 by turns; dropped, they end.
pub(crate) struct Ring {
    flows: Vec<(String, Flow)>,
    losses: Vec<Losses>,
    started: Instant,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// Of each flow that lost something, how much.
    by_flow: Vec<String>,
    /// What the machine lost outside of the data path.
    machine: Vec<String>,
    machine_lost: u64,
    seconds: f64,
}

impl Ring {
    /// Starts them between the first containers of these hosts.
    pub(crate) fn start(fleet: &Fleet, hosts: &[usize]) -> Self {
        let of_host = |host: &usize| fleet.lab.containers.iter().find(|container| container.host == *host);
        let containers: Vec<&Container> =
            hosts.iter().map(|host| of_host(host).expect("a container on every host")).collect();
        let losses = containers.iter().map(|container| Losses::open(&container.netns).expect("counters"));
        let losses = losses.collect();
        let next = containers.iter().cycle().skip(1);
        let flows = containers.iter().zip(next).enumerate().map(|(place, (from, to))| {
            let v6 = place % 2 == 1;
            let (source, target) = (from.ip(v6).expect("an address"), to.ip(v6).expect("an address"));
            let flow = Flow::start((&from.netns, source), (&to.netns, target), RATE).expect("a flow");
            (format!("{} to {}", from.name, to.name), flow)
        });
        Self { flows: flows.collect(), losses, started: Instant::now() }
    }

    /// Ends them, and counts.
    pub(crate) fn stop(self) -> Carried {
        let Self { flows, losses, started } = self;
        let seconds = started.elapsed().as_secs_f64();
        let mut carried =
            Carried { sent: 0, lost: 0, by_flow: Vec::new(), machine: Vec::new(), machine_lost: 0, seconds };
        for (name, flow) in flows {
            let report = flow.stop().expect("counted");
            assert!(report.sent > 0, "{name}: nothing was sent: {:?}", report.refusal);
            carried.sent += report.sent;
            carried.lost += report.lost();
            if report.lost() > 0 {
                carried.by_flow.push(format!("{name}: {} of {} lost", report.lost(), report.sent));
            }
        }
        carried.machine = losses.iter().flat_map(|losses| losses.since().expect("counters")).collect();
        carried.machine_lost = losses.iter().map(|losses| losses.count().expect("counters")).sum();
        carried
    }
}

impl Carried {
    /// Panics unless every datagram has arrived, and enough were sent to say so.
    #[track_caller]
    pub(crate) fn assert_whole(&self, what: &str) {
        assert!(
            self.machine.is_empty(),
            "{what}: the run is invalid, for the machine lost packets: {self:?}"
        );
        assert!(
            self.sent as f64 > self.seconds * f64::from(RATE) / 2.0,
            "{what}: too few were sent: {self:?}"
        );
        assert_eq!(self.lost, 0, "{what}: {self:?}");
    }

    /// How much the machine lost outside of the data path, of these flows or of others.
    pub(crate) fn machine_lost(&self) -> u64 {
        self.machine_lost
    }

    /// How many were lost, for people.
    pub(crate) fn figure(&self) -> String {
        format!("{} of {} in {:.0} s", self.lost, self.sent, self.seconds)
    }
}
