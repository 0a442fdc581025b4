//! The screen of `overlay status`.

use super::table::fields;
use crate::api::types::{Audit, GossipStatus, Health, Program, SourceStatus, Status, StatusNode};
use std::{collections::BTreeMap, io::IsTerminal as _, time::SystemTime};

/// Beyond this many, the devices of a program are counted and not named.
const NAMED_DEVICES: usize = 4;

pub(super) fn screen(status: &Status) -> String {
    // https://no-color.org: set and not empty means no colour.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    render(status, std::io::stdout().is_terminal() && !plain, SystemTime::now())
}

fn render(status: &Status, colour: bool, now: SystemTime) -> String {
    let (state, code) = match status.state {
        Health::Healthy => ("healthy", 32),
        Health::Degraded => ("degraded", 31),
    };
    let counts = &status.counts;
    let lines = [
        ("state", state.to_owned()),
        ("node", node(&status.node)),
        ("source", source(&status.source)),
        ("gossip", status.gossip.as_ref().map_or_else(String::new, gossip)),
        (
            "cluster",
            format!("{} nodes, {} networks, {} endpoints", counts.nodes, counts.networks, counts.endpoints),
        ),
        ("ports", format!("{} attached here", counts.ports)),
        ("programs", programs(&status.programs)),
        ("frames", frames(&status.forwarded)),
        ("audit", audit(&status.audit, now)),
        ("problems", problems(status)),
        ("version", format!("{}, ABI {}", status.version, status.abi)),
    ];
    // Not every engine has it.
    let body = fields(lines.into_iter().filter(|(name, _)| *name != "gossip" || status.gossip.is_some()));
    // The cells are clean by now, and only the first line is coloured, so no width is wrong.
    if colour { body.replacen(state, &format!("\u{1b}[{code}m{state}\u{1b}[0m"), 1) } else { body }
}

/// What became of frames, in words: `to_underlay` is "to underlay".
fn frames(forwarded: &BTreeMap<String, u64>) -> String {
    let counts: Vec<_> =
        forwarded.iter().map(|(what, count)| format!("{count} {}", what.replace('_', " "))).collect();
    counts.join(", ")
}

fn node(node: &StatusNode) -> String {
    let vtep = if node.vteps.is_empty() { "(no VTEP yet)".to_owned() } else { node.vteps.join(", ") };
    let underlay = node.underlay.as_deref().unwrap_or("(no underlay yet)");
    let mtu = node.mtu.map(|mtu| format!(", endpoint mtu {mtu}")).unwrap_or_default();
    format!("{}, vtep {vtep} on {underlay}{mtu}", node.name)
}

fn source(source: &SourceStatus) -> String {
    if source.ok {
        return format!("{}: ok", source.engine);
    }
    let error = source.error.as_deref().unwrap_or("failed");
    let place = match (source.line, source.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    format!("{}: {place}{error} (the last good state holds)", source.engine)
}

fn gossip(gossip: &GossipStatus) -> String {
    let sealed = if gossip.sealed { "sealed" } else { "in clear" };
    let count = |name: &str| gossip.counters.get(name).copied().unwrap_or_default();
    let refused: u64 = ["unknown_key", "forged", "malformed", "replayed", "other_session", "no_room"]
        .map(count)
        .iter()
        .sum();
    format!(
        "at {}, {sealed}, {} peers heard, {} datagrams in, {} out, {refused} refused",
        gossip.address,
        gossip.peers,
        count("received"),
        count("sent"),
    )
}

fn programs(programs: &[Program]) -> String {
    let mut grouped: BTreeMap<(&str, u32, &str), Vec<&str>> = BTreeMap::new();
    for program in programs {
        grouped.entry((&program.name, program.id, &program.hook)).or_default().push(&program.device);
    }
    if grouped.is_empty() {
        return "none".to_owned();
    }
    let line = |((name, id, hook), devices): (&(&str, u32, &str), &Vec<&str>)| {
        let devices = if devices.len() > NAMED_DEVICES {
            format!("{} devices", devices.len())
        } else {
            devices.join(", ")
        };
        format!("{name} (id {id}), {hook} of {devices}")
    };
    grouped.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn audit(audit: &Audit, now: SystemTime) -> String {
    let Some(last) = audit.last else { return "not run yet".to_owned() };
    // In seconds: a time beyond what `SystemTime` holds would panic.
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let ago = now.saturating_sub(last);
    let kinds: Vec<_> = audit.by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("{} runs, {} repaired{kinds}, last {ago} s ago", audit.runs, audit.repaired)
}

fn problems(status: &Status) -> String {
    if status.problems.is_empty() {
        return "none".to_owned();
    }
    let lines = status
        .problems
        .iter()
        .map(|problem| format!("{}: {}\n  fix: {}", problem.code, problem.message, problem.fix));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{Counts, Problem};
    use std::time::Duration;

    fn status() -> Status {
        let program = |device: &str| Program {
            name: "from_container".into(),
            id: 7,
            device: device.into(),
            hook: "tcx ingress".into(),
        };
        Status {
            state: Health::Degraded,
            node: StatusNode {
                name: "h1".into(),
                vtep: Some("10.88.0.1".into()),
                vteps: vec!["10.88.0.1".into()],
                underlay: Some("eth0".into()),
                mtu: Some(1450),
            },
            problems: vec![Problem {
                code: "source".into(),
                message: "the file is broken".into(),
                fix: "mend it".into(),
            }],
            programs: vec![program("ova"), program("ovb")],
            forwarded: BTreeMap::from([("to_local".to_owned(), 3)]),
            audit: Audit {
                runs: 3,
                repaired: 3,
                last: Some(100),
                by_kind: BTreeMap::from([("fdb".to_owned(), 2), ("link".to_owned(), 1)]),
                recent: Vec::new(),
            },
            source: SourceStatus {
                engine: "file".into(),
                ok: false,
                error: Some("unknown key \"mak\"".into()),
                line: Some(12),
                column: Some(1),
            },
            gossip: None,
            counts: Counts { nodes: 3, networks: 2, endpoints: 6, ports: 2 },
            version: "0.1.0".into(),
            abi: 1,
        }
    }

    #[test]
    fn the_screen_says_what_is_wrong_and_what_to_do() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(104);
        let expected = "\
state     degraded
node      h1, vtep 10.88.0.1 on eth0, endpoint mtu 1450
source    file: line 12, column 1: unknown key \"mak\" (the last good state holds)
cluster   3 nodes, 2 networks, 6 endpoints
ports     2 attached here
programs  from_container (id 7), tcx ingress of ova, ovb
frames    3 to local
audit     3 runs, 3 repaired (2 fdb, 1 link), last 4 s ago
problems  source: the file is broken
            fix: mend it
version   0.1.0, ABI 1
";
        assert_eq!(render(&status(), false, now), expected);
        assert!(render(&status(), true, now).starts_with("state     \u{1b}[31mdegraded\u{1b}[0m\n"));
    }

    #[test]
    fn a_time_that_no_clock_shows_is_no_panic() {
        let mut status = status();
        status.audit.last = Some(u64::MAX);
        assert!(render(&status, false, SystemTime::UNIX_EPOCH).contains("last 0 s ago"));
    }
}
