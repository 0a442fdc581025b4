//! What a run came to, for people.

use overlay_common::DropReason;
use overlay_tests::aligned;

use crate::{
    differences::{BYTES, DIFFERENCES, PASSED},
    run::Outcome,
};

/// Why a reason cannot be met here; none where it must be.
pub(crate) const fn absent(reason: DropReason) -> Option<&'static str> {
    match reason {
        DropReason::RogueRa | DropReason::RogueDhcp | DropReason::Hairpin | DropReason::TooBig => {
            Some("of a container's frames only")
        }
        DropReason::NoRoute => Some("of frames to a VTEP only"),
        DropReason::VxlanFromContainer => Some("of `to_underlay` only"),
        DropReason::Unguarded => Some("of `unguarded` only, which stands here for the host"),
        DropReason::NoPort => Some("the table CONFIG has its one entry"),
        DropReason::KernelRefused => Some("no helper refuses what the checks let through"),
        DropReason::NoAnchor => Some("of super-frames, and frames for containers that forward, only"),
        DropReason::ForgedAnchor => Some("of `from_anchor` only"),
        DropReason::Malformed
        | DropReason::UnknownVtep
        | DropReason::VtepNotInVni
        | DropReason::UnknownVni
        | DropReason::UnknownMac
        | DropReason::SpoofedMac
        | DropReason::SpoofedIp
        | DropReason::SpoofedArp
        | DropReason::SpoofedNd
        | DropReason::SplitHorizon
        | DropReason::Bum
        | DropReason::UnknownNeigh
        | DropReason::OwnNeigh
        | DropReason::VlanTagged
        | DropReason::NotEncrypted
        | DropReason::CeNotEct
        | DropReason::OuterFragment => None,
    }
}

/// The lines of the report.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let tally = &outcome.tally;
    let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let mut lines = vec!["intended differences: the kernel delivers, our programs do not".to_owned()];
    let mut rows = vec![text(&["frame", "counted", "frames", "why"])];
    for (row, count) in DIFFERENCES.iter().zip(&tally.rows) {
        let counted = if row.counted == PASSED { "(the host's)" } else { row.counted.name() };
        rows.push(text(&[row.name, counted, &count.to_string(), row.why]));
    }
    lines.extend(aligned(&rows));
    lines.push("intended differences: both deliver".to_owned());
    let mut rows = vec![text(&["frame", "frames", "why"])];
    for (row, count) in BYTES.iter().zip(&tally.bytes) {
        rows.push(text(&[row.name, &count.to_string(), row.why]));
    }
    let why = "the kernel drops it: programs do not sum payloads, whose own checksums guard them";
    rows.push(text(&["outer UDP checksum wrong", &tally.unsummed.to_string(), why]));
    lines.extend(aligned(&rows));
    lines.push("reasons of from_underlay".to_owned());
    let mut rows = vec![text(&["reason", "frames", ""])];
    for (reason, count) in &outcome.dropped {
        let count = if absent(*reason).is_some() && *count == 0 { "-".to_owned() } else { count.to_string() };
        rows.push(text(&[reason.name(), &count, absent(*reason).unwrap_or_default()]));
    }
    lines.extend(aligned(&rows));
    let time = outcome.took.as_secs_f64();
    let rate = format!("{:.0}", tally.frames as f64 / time);
    let figure = |what: &str, count: u64| text(&[what, &count.to_string()]);
    lines.extend(aligned(&[
        text(&["frames", ""]),
        figure("tried", tally.frames),
        text(&["a second", &rate]),
        figure("both delivered", tally.delivered),
        figure("taken out of their tunnels by XDP", outcome.by_xdp),
        figure("of the container, delivered by the kernel", tally.sent),
        figure("of the container, dropped by our programs", tally.unsent),
        figure("batches tried again, as one came late", tally.late),
        figure("unexplained differences", outcome.found.len() as u64),
    ]));
    lines
}
