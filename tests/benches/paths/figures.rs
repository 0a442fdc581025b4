//! What is measured.

use overlay_tests::traffic::{Figures, Kind, Window};

/// The share of datagrams that may be missing of those sent "without loss".
const LOSS: f64 = 0.001;
/// Bytes in a second of the stream beside which latency is measured: 2 Gbit/s.
const BESIDE: u64 = 250_000_000;
/// Bytes in a second at which CPU time is measured: 4 Gbit/s, a work that every mode can do.
const EQUAL_BYTES: u64 = 500_000_000;
/// Datagrams in a second at which CPU time is measured.
const EQUAL_PACKETS: u64 = 50_000;

/// Where a load goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between two hosts.
    Across,
    /// Between two containers of one host.
    Local,
}

/// A kind of window, and what is read off it.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Its word on the command line and in files.
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) window: Window,
    /// Windows of each mode in a round.
    pub(crate) repeats: u32,
    pub(crate) figures: &'static [Figure],
}

/// One number of a window.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its word in files, and in the list of targets.
    pub(crate) name: &'static str,
    /// Its name and unit in tables.
    pub(crate) title: &'static str,
    /// Digits behind the point.
    pub(crate) digits: usize,
    /// Whether less is better.
    pub(crate) lower: bool,
    pub(crate) value: fn(&Figures) -> f64,
}

const fn figure(
    name: &'static str,
    title: &'static str,
    digits: usize,
    value: fn(&Figures) -> f64,
) -> Figure {
    Figure { name, title, digits, lower: false, value }
}

const fn cost(name: &'static str, title: &'static str, digits: usize, value: fn(&Figures) -> f64) -> Figure {
    Figure { name, title, digits, lower: true, value }
}

const fn window(kind: Kind, millis: u64, rate: u64, flows: usize) -> Window {
    Window { kind, millis, rate, flows }
}

fn gbits(figures: &Figures) -> f64 {
    figures.bytes as f64 * 8.0 / 1e9 / figures.seconds
}

fn per_second(figures: &Figures) -> f64 {
    figures.count as f64 / figures.seconds
}

/// Everything, in the order of the report.
///
/// A round of nine modes takes about 190 s. Of what spreads most many windows are taken.
pub(crate) static PROBES: [Probe; 12] = [
    Probe {
        name: "stream",
        place: Place::Across,
        window: window(Kind::Stream, 150, 0, 1),
        repeats: 8,
        figures: &[figure("stream", "TCP stream, Gbit/s", 1, gbits)],
    },
    Probe {
        name: "stream8",
        place: Place::Across,
        window: window(Kind::Stream, 150, 0, 8),
        repeats: 4,
        figures: &[figure("stream8", "TCP stream, 8 flows, Gbit/s", 1, gbits)],
    },
    Probe {
        name: "rr",
        place: Place::Across,
        window: window(Kind::Rr, 250, 0, 1),
        repeats: 6,
        figures: &[
            figure("rr", "TCP request/response, 1/s", 0, per_second),
            cost("p50", "latency p50, us", 1, |figures| figures.p50_us),
            cost("p99", "latency p99, us", 1, |figures| figures.p99_us),
        ],
    },
    Probe {
        name: "loaded-rr",
        place: Place::Across,
        window: window(Kind::LoadedRr, 250, BESIDE, 1),
        repeats: 2,
        figures: &[
            cost("loaded_p50", "latency p50 beside 2 Gbit/s, us", 1, |figures| figures.p50_us),
            cost("loaded_p99", "latency p99 beside 2 Gbit/s, us", 1, |figures| figures.p99_us),
        ],
    },
    Probe {
        name: "crr",
        place: Place::Across,
        window: window(Kind::Crr, 250, 0, 1),
        repeats: 6,
        figures: &[figure("crr", "TCP connect/request/close, 1/s", 0, per_second)],
    },
    Probe {
        name: "udp-rr",
        place: Place::Across,
        window: window(Kind::UdpRr, 250, 0, 1),
        repeats: 6,
        figures: &[figure("udp_rr", "UDP request/response, 1/s", 0, per_second)],
    },
    Probe {
        name: "udp",
        place: Place::Across,
        window: window(Kind::Udp, 250, 0, 1),
        repeats: 8,
        figures: &[figure("udp", "UDP 64 B received, 1/s", 0, per_second)],
    },
    Probe {
        name: "udp-segment",
        place: Place::Across,
        window: window(Kind::UdpSegment, 50, 0, 1),
        repeats: 1,
        figures: &[figure("udp_segment", "UDP_SEGMENT, received of sent", 3, |figures| {
            figures.count as f64 / figures.sent as f64
        })],
    },
    Probe {
        name: "cpu-gb",
        place: Place::Across,
        window: window(Kind::Stream, 900, EQUAL_BYTES, 1),
        repeats: 3,
        figures: &[cost("cpu_gb", "CPU per GB, s", 3, |figures| {
            figures.cpu_seconds / (figures.bytes as f64 / 1e9)
        })],
    },
    Probe {
        name: "cpu-packets",
        place: Place::Across,
        window: window(Kind::Udp, 900, EQUAL_PACKETS, 1),
        repeats: 3,
        figures: &[cost("cpu_packets", "CPU per million packets, s", 2, |figures| {
            figures.cpu_seconds / (figures.count as f64 / 1e6)
        })],
    },
    Probe {
        name: "local-stream",
        place: Place::Local,
        window: window(Kind::Stream, 150, 0, 1),
        repeats: 4,
        figures: &[figure("local_stream", "same host, TCP stream, Gbit/s", 1, gbits)],
    },
    Probe {
        name: "local-rr",
        place: Place::Local,
        window: window(Kind::Rr, 250, 0, 1),
        repeats: 2,
        figures: &[figure("local_rr", "same host, TCP request/response, 1/s", 0, per_second)],
    },
];

/// Every figure, in the order of the report.
pub(crate) fn all() -> impl Iterator<Item = (&'static Probe, &'static Figure)> {
    PROBES.iter().flat_map(|probe| probe.figures.iter().map(move |figure| (probe, figure)))
}

impl Probe {
    /// Why a window does not count, whatever the machine did: datagrams were lost on the way.
    pub(crate) fn lossy(&self, figures: &Figures) -> bool {
        let lost = figures.sent.saturating_sub(figures.count) as f64;
        self.window.kind == Kind::Udp && lost > LOSS * figures.sent as f64
    }

    /// The least that a counter of the path must have moved: packets of which one at least was needed for each
    /// transaction or datagram, and for every two super-frames' worth of bytes.
    pub(crate) fn least_passed(&self, figures: &Figures) -> u64 {
        match self.window.kind {
            Kind::Stream | Kind::LoadedRr => figures.bytes / (2 * 65_536) + figures.count,
            Kind::Rr | Kind::Crr | Kind::UdpRr | Kind::Udp | Kind::Foreign => figures.count,
            // A super-frame carries up to 128 of them (`UDP_MAX_SEGMENTS`).
            Kind::UdpSegment => figures.count / 128,
        }
    }
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn a_window_with_loss_does_not_count() {
        let udp = PROBES.iter().find(|probe| probe.name == "udp").expect("it is measured");
        let figures = |count| Figures { count, sent: 10_000, ..Figures::default() };
        assert!(!udp.lossy(&figures(10_000)) && !udp.lossy(&figures(9_990)));
        assert!(udp.lossy(&figures(9_989)));
        let segments = PROBES.iter().find(|probe| probe.name == "udp-segment").expect("it is measured");
        assert!(!segments.lossy(&figures(0)), "of these the loss is the figure");
    }

    #[test]
    fn names_are_not_used_twice() {
        let mut names: Vec<&str> = all().map(|(_, figure)| figure.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
