//! Keeps a data plane at the desired tables, and counts what it had to repair.

use std::{
    mem,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::audit::Findings;
use crate::{
    datapath::{Datapath, DatapathError},
    plan,
    tables::Tables,
};

/// Beyond so many entries the FDB and NEIGH are large.
const LARGE: usize = 20_000;
/// Within so much time the large ones are read too.
const FULL: Duration = Duration::from_secs(55);

/// A data plane and what is known to be installed in it.
pub(super) struct Reconciler<D> {
    pub(super) datapath: D,
    installed: Tables,
    pub(super) findings: Findings,
    /// When all tables were last read.
    read_at: Instant,
    error: Option<String>,
}

impl<D: Datapath> Reconciler<D> {
    /// Reads what is installed.
    pub(super) fn new(mut datapath: D) -> Result<Self, DatapathError> {
        let installed = datapath.read()?;
        Ok(Self { datapath, installed, findings: Findings::default(), read_at: Instant::now(), error: None })
    }

    /// Brings the data plane to the desired tables. A step that fails is left for the next time, and those after
    /// it are still tried; the first error is given back.
    pub(super) fn sync(&mut self, desired: &Tables) -> Result<(), DatapathError> {
        let result = self.datapath.bring(desired, &mut self.installed).map(drop);
        self.note(result.as_ref().err().map(ToString::to_string));
        result
    }

    /// Brings those entries to what is desired that have been, or are to be, another part of the tables. What failed
    /// before stays an error: another may be left to do.
    pub(super) fn sync_part(&mut self, before: &Tables, after: &Tables) -> Result<(), DatapathError> {
        let installed = self.installed.where_in(&[before, after]);
        let ops = plan::diff(after, &installed);
        let result = self.datapath.carry_out(&ops, &mut self.installed);
        if let Err(error) = &result {
            self.note(Some(error.to_string()));
        }
        result
    }

    /// Notes what a bringing-up failed with.
    fn note(&mut self, error: Option<String>) {
        if let Some(text) = &error
            && self.error != error
        {
            tracing::error!("{text}");
        }
        self.error = error;
    }

    /// Compares the data plane itself with what was installed in it, and repairs it. Tables that are large are read
    /// once in `FULL`.
    pub(super) fn audit(&mut self, desired: Option<&Tables>) -> Result<(), DatapathError> {
        let large = self.installed.fdb.len() + self.installed.neigh.len() > LARGE;
        let small = if large && self.read_at.elapsed() < FULL { self.datapath.read_small()? } else { None };
        let now = seconds();
        self.findings.ran(now);
        let (mut found, unread) = if let Some(small) = small {
            (small, Some((mem::take(&mut self.installed.fdb), mem::take(&mut self.installed.neigh))))
        } else {
            self.read_at = Instant::now();
            (self.datapath.read()?, None)
        };
        let steps = plan::diff(&self.installed, &found);
        self.findings.altered(&steps, &found);
        if let Some((fdb, neigh)) = unread {
            (found.fdb, found.neigh) = (fdb, neigh);
        }
        self.installed = found;
        let Some(desired) = desired else { return Ok(()) };
        self.sync(desired)?;
        for (table, entry) in self.datapath.remove_unreadable()? {
            self.findings.repaired(table, format!("{entry}: added, and no agent's"));
        }
        Ok(())
    }

    /// What is known to be installed.
    pub(super) fn installed(&self) -> &Tables {
        &self.installed
    }

    /// What the last bringing-up failed with.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

/// The time, in seconds since 1970 (UTC).
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use overlay_common::Vni;

    use super::*;
    use crate::{datapath::fake::Fake, tables::Net};

    fn desired() -> Tables {
        let nets = [1, 2, 3].map(|vni| (Vni::new(vni).expect("a VNI"), Net::default()));
        Tables { nets: nets.into(), ..Tables::default() }
    }

    fn counts(reconciler: &Reconciler<Fake>) -> (u64, u64) {
        let report = reconciler.findings.report();
        (report.runs, report.repaired)
    }

    #[test]
    fn a_failed_step_is_made_up_for() {
        let mut reconciler = Reconciler::new(Fake::new()).expect("reads");
        reconciler.datapath.fail_after(1);
        reconciler.sync(&desired()).expect_err("one step failed");
        assert!(reconciler.error().is_some());
        reconciler.sync(&desired()).expect("made up for");
        assert_eq!(reconciler.datapath.tables, desired());
        assert_eq!(reconciler.error(), None);
    }

    #[test]
    fn what_another_changed_is_repaired_and_counted() {
        let mut reconciler = Reconciler::new(Fake::new()).expect("reads");
        reconciler.sync(&desired()).expect("installed");
        reconciler.audit(Some(&desired())).expect("audited");
        assert_eq!(counts(&reconciler), (1, 0));
        reconciler.datapath.tables.nets.pop_first();
        reconciler
            .datapath
            .tables
            .nets
            .insert(Vni::new(9).expect("a VNI"), Net { encrypted: true, ..Net::default() });
        reconciler.audit(Some(&desired())).expect("audited");
        assert_eq!(counts(&reconciler), (2, 2));
        assert_eq!(reconciler.datapath.tables, desired());
    }
}
