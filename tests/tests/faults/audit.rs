//! What the audit says that it repaired.

use std::collections::BTreeMap;

use overlay_tests::Host;
use serde_json::Value;

/// The audit's counts in a status.
pub(crate) fn audit(host: &Host) -> Value {
    host.status().expect("an answer")["audit"].clone()
}

fn repaired(audit: &Value) -> u64 {
    audit["repaired"].as_u64().expect("a number")
}

/// Panics unless the audit counted exactly these since `before`: in all, and by what they were.
pub(crate) fn assert_counted(host: &Host, before: &Value, expected: &[(&str, u64)]) {
    let now = audit(host);
    let kinds = || {
        let kinds = now["by_kind"].as_object().into_iter().flatten();
        let moved = kinds.map(|(kind, count)| {
            let before = before["by_kind"][kind].as_u64().unwrap_or_default();
            (kind.clone(), count.as_u64().expect("a number") - before)
        });
        moved.filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>()
    };
    let all: u64 = expected.iter().map(|(_, count)| count).sum();
    let counted = repaired(&now) - repaired(before);
    assert_eq!(counted, all, "repaired, of {expected:?}; by kind: {:?}", kinds());
    let expected = expected.iter().filter(|(_, count)| *count > 0);
    let expected = expected.map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    assert_eq!(kinds(), expected, "by kind, in: {now}");
}
