//! What a run came to, for people.

use overlay_common::DropReason;
use overlay_tests::{Family, aligned};

use crate::{
    differences::{BYTES, DIFFERENCES, PASSED},
    judge::Tally,
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
    let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let [v4, v6] = Family::ALL.map(Family::word);
    let counts = |count: fn(&Tally) -> u64| outcome.tallies.each_ref().map(|tally| count(tally).to_string());
    let row_counts = |row: usize| outcome.tallies.each_ref().map(|tally| tally.rows[row].to_string());
    let mut lines = vec!["intended differences: the kernel delivers, our programs do not".to_owned()];
    let mut rows = vec![text(&["frame", "counted", v4, v6, "why"])];
    for (number, row) in DIFFERENCES.iter().enumerate() {
        let counted = if row.counted == PASSED { "(the host's)" } else { row.counted.name() };
        let [over_v4, over_v6] = row_counts(number);
        rows.push(text(&[row.name, counted, &over_v4, &over_v6, row.why]));
    }
    lines.extend(aligned(&rows));
    lines.push("intended differences: both deliver".to_owned());
    let mut rows = vec![text(&["frame", v4, v6, "why"])];
    for (number, row) in BYTES.iter().enumerate() {
        let [over_v4, over_v6] = outcome.tallies.each_ref().map(|tally| tally.bytes[number].to_string());
        rows.push(text(&[row.name, &over_v4, &over_v6, row.why]));
    }
    let unsummed = "the kernel drops it: programs do not sum payloads, whose own checksums guard them";
    let unread = "the kernel drops it: programs do not look at options, which no VTEP sends";
    for (name, [over_v4, over_v6], why) in [
        ("outer UDP checksum wrong", counts(|tally| tally.unsummed), unsummed),
        ("outer options refused", counts(|tally| tally.unread), unread),
    ] {
        rows.push(text(&[name, &over_v4, &over_v6, why]));
    }
    lines.extend(aligned(&rows));
    lines.push("reasons of from_underlay".to_owned());
    let mut rows = vec![text(&["reason", v4, v6, ""])];
    for reason in DropReason::ALL {
        let [over_v4, over_v6] = outcome.tallies.each_ref().map(|tally| {
            let count = tally.dropped[reason as usize];
            if absent(reason).is_some() && count == 0 { "-".to_owned() } else { count.to_string() }
        });
        rows.push(text(&[reason.name(), &over_v4, &over_v6, absent(reason).unwrap_or_default()]));
    }
    lines.extend(aligned(&rows));
    lines.extend(totals(outcome));
    lines
}

/// How many frames came to what.
fn totals(outcome: &Outcome) -> Vec<String> {
    let figure = |what: &str, count: fn(&Tally) -> u64| {
        let [v4, v6] = outcome.tallies.each_ref().map(count);
        vec![what.to_owned(), v4.to_string(), v6.to_string(), (v4 + v6).to_string()]
    };
    let [v4, v6] = Family::ALL.map(|family| family.word().to_owned());
    let mut lines = aligned(&[
        vec!["frames".to_owned(), v4, v6, "both".to_owned()],
        figure("tried", |tally| tally.frames),
        figure("both delivered", |tally| tally.delivered),
        figure("of the container, delivered by the kernel", |tally| tally.sent),
        figure("of the container, dropped by our programs", |tally| tally.unsent),
        figure("batches tried again, as one came late", |tally| tally.late),
    ]);
    let tried: u64 = outcome.tallies.iter().map(|tally| tally.frames).sum();
    let rate = format!("{:.0}", tried as f64 / outcome.took.as_secs_f64());
    let one = |what: &str, count: String| vec![what.to_owned(), count];
    lines.extend(aligned(&[
        one("in all", String::new()),
        one("a second", rate),
        one("taken out of their tunnels by XDP", outcome.by_xdp.to_string()),
        one("unexplained differences", outcome.found.len().to_string()),
    ]));
    lines
}
