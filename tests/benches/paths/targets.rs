//! What the figures ought to be.

/// The modes that ours is compared with in the printed table, and what that says.
pub(crate) const REFERENCES: [&str; 4] = ["redirect", "hosts", "docker", "cilium"];

/// The targets of a figure: ours as a multiple of each of `REFERENCES`. At most that where less is better, at least
/// that elsewhere.
const TARGETS: [(&str, [f64; 4]); 6] = [
    ("stream", [0.95, 0.97, 1.30, 1.20]),
    ("rr", [0.95, 0.95, 1.30, 1.20]),
    ("crr", [0.92, 0.88, 1.80, 1.30]),
    ("udp_rr", [0.94, 0.95, 1.30, 1.20]),
    ("udp", [0.92, 0.90, 1.80, 1.50]),
    ("cpu_gb", [1.06, 1.05, 0.80, 0.88]),
];

/// The target of a figure beside a mode.
pub(crate) fn target(figure: &str, mode: &str) -> Option<f64> {
    let place = REFERENCES.iter().position(|reference| *reference == mode)?;
    let (_, targets) = TARGETS.iter().find(|(name, _)| *name == figure)?;
    targets.get(place).copied()
}

/// Whether a ratio meets a target.
pub(crate) fn met(ratio: f64, target: f64, lower: bool) -> bool {
    if lower { ratio <= target } else { ratio >= target }
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;
    use crate::figures;

    #[test]
    fn every_target_is_that_of_a_figure() {
        for (name, _) in TARGETS {
            assert!(figures::all().any(|(_, figure)| figure.name == name), "{name}");
        }
    }

    #[test]
    fn less_is_better_for_costs() {
        assert_eq!(target("cpu_gb", "docker"), Some(0.80));
        assert_eq!(target("stream", "routed"), None);
        assert_eq!(target("p99", "hosts"), None);
        assert!(met(0.95, 0.95, false) && !met(0.94, 0.95, false));
        assert!(met(1.06, 1.06, true) && !met(1.07, 1.06, true));
    }
}
