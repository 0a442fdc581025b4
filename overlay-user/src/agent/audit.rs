//! What the audits found: how much was repaired, of what kind, and what it was.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    api::types::{Audit, Repair},
    plan::Op,
    tables::Tables,
};

/// How many of the last repairs are told one by one.
const RECENT: usize = 20;

/// What the audits of one agent found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    runs: u64,
    last: Option<u64>,
    by_kind: BTreeMap<&'static str, u64>,
    recent: VecDeque<Repair>,
}

impl Findings {
    /// Notes an audit; `now` in seconds since 1970 (UTC).
    pub(super) fn ran(&mut self, now: u64) {
        self.runs += 1;
        self.last = Some(now);
    }

    /// Notes something that was not as the agent left it.
    pub(super) fn repaired(&mut self, kind: &'static str, what: String) {
        tracing::warn!(kind, what, "changed by another; repaired");
        *self.by_kind.entry(kind).or_default() += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Repair { at: self.last, kind: kind.into(), what });
    }

    /// Notes the steps that lead from what was found back to what was installed.
    pub(super) fn altered(&mut self, steps: &[Op], found: &Tables) {
        for step in steps {
            let what = match step.removes() {
                true => "added",
                false if step.is_in(found) => "altered",
                false => "deleted",
            };
            self.repaired(step.table(), format!("{step}: {what}"));
        }
    }

    pub(super) fn report(&self) -> Audit {
        Audit {
            runs: self.runs,
            repaired: self.by_kind.values().sum(),
            last: self.last,
            by_kind: self.by_kind.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
            recent: self.recent.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use overlay_common::{MacAddr, Vni};

    use super::*;
    use crate::{plan, tables::Net};

    #[test]
    fn what_was_done_to_an_entry_is_told() {
        let vni = |number| Vni::new(number).expect("a VNI");
        let mut installed = Tables::default();
        installed.nets.insert(vni(1), Net::default());
        installed.nets.insert(vni(2), Net::default());
        let mut found = Tables::default();
        found.nets.insert(vni(2), Net { encrypted: true, ..Net::default() });
        found.neigh.insert((vni(3), "10.1.0.1".parse().expect("an address")), MacAddr::BROADCAST);
        let mut findings = Findings::default();
        findings.ran(100);
        findings.altered(&plan::diff(&installed, &found), &found);
        let report = findings.report();
        assert_eq!((report.runs, report.repaired, report.last), (1, 3, Some(100)));
        assert_eq!(report.by_kind, BTreeMap::from([("neigh".to_owned(), 1), ("nets".to_owned(), 2)]));
        let told: Vec<_> = report.recent.iter().map(|repair| repair.what.as_str()).collect();
        assert_eq!(told, ["VNI 1: deleted", "VNI 2: altered", "VNI 3 10.1.0.1: added"]);
    }

    #[test]
    fn only_the_last_are_kept_one_by_one() {
        let mut findings = Findings::default();
        for number in 0..100 {
            findings.repaired("fdb", number.to_string());
        }
        let report = findings.report();
        assert_eq!((report.repaired, report.recent.len()), (100, RECENT));
        assert_eq!(report.recent.last().map(|repair| repair.what.as_str()), Some("99"));
    }
}
