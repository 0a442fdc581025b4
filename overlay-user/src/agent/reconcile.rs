//! Keeps a data plane at the desired tables, and counts what it had to repair.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{
    api::types::Audit,
    datapath::{Datapath, DatapathError},
    plan::{self, Op},
    tables::Tables,
};

/// A data plane and what is known to be installed in it.
pub(super) struct Reconciler<D> {
    pub(super) datapath: D,
    installed: Tables,
    audit: Audit,
    error: Option<String>,
}

impl<D: Datapath> Reconciler<D> {
    /// Reads what is installed.
    pub(super) fn new(mut datapath: D) -> Result<Self, DatapathError> {
        let installed = datapath.read()?;
        Ok(Self { datapath, installed, audit: Audit::default(), error: None })
    }

    /// Brings the data plane to the desired tables. A step that fails is left for the next time, and those after
    /// it are still tried; the first error is given back.
    pub(super) fn sync(&mut self, desired: &Tables) -> Result<(), DatapathError> {
        let mut failed = None;
        let staged = self.datapath.is_staged();
        for op in plan::diff(desired, &self.installed) {
            if staged && failed.is_some() && matches!(op, Op::Attach(_)) {
                // Tables with gaps must not come into force; those that are go on.
                continue;
            }
            match self.datapath.apply(&op) {
                Ok(()) => op.apply_to(&mut self.installed),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        if staged && failed.is_none() {
            failed = self.datapath.settle(desired).err();
        }
        let text = failed.as_ref().map(ToString::to_string);
        if let Some(error) = &text
            && self.error != text
        {
            tracing::error!("{error}");
        }
        self.error = text;
        failed.map_or(Ok(()), Err)
    }

    /// Compares the data plane itself with what was installed in it, and repairs it.
    pub(super) fn audit(&mut self, desired: Option<&Tables>) -> Result<(), DatapathError> {
        let found = self.datapath.read()?;
        let altered = plan::diff(&self.installed, &found);
        for op in &altered {
            tracing::warn!(?op, "the kernel's tables were changed by another; repairing");
        }
        self.audit.runs += 1;
        self.audit.repaired += altered.len() as u64;
        self.audit.last = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        self.installed = found;
        desired.map_or(Ok(()), |desired| self.sync(desired))
    }

    /// What is known to be installed.
    pub(super) fn installed(&self) -> &Tables {
        &self.installed
    }

    /// What the last bringing-up failed with.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// What the audits found.
    pub(super) fn audited(&self) -> Audit {
        self.audit
    }
}

#[cfg(test)]
mod tests {
    use overlay_common::Vni;

    use super::*;
    use crate::{datapath::fake::Fake, tables::Net};

    fn desired() -> Tables {
        let nets = [1, 2, 3].map(|vni| (Vni::new(vni).expect("a VNI"), Net { encrypted: false }));
        Tables { nets: nets.into(), ..Tables::default() }
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
        assert_eq!((reconciler.audited().runs, reconciler.audited().repaired), (1, 0));
        reconciler.datapath.tables.nets.pop_first();
        reconciler.datapath.tables.nets.insert(Vni::new(9).expect("a VNI"), Net { encrypted: true });
        reconciler.audit(Some(&desired())).expect("audited");
        assert_eq!((reconciler.audited().runs, reconciler.audited().repaired), (2, 2));
        assert_eq!(reconciler.datapath.tables, desired());
    }
}
