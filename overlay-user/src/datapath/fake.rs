//! A data path in memory that can be told to fail.

use std::io;

use super::{Datapath, DatapathError, DropCount, ProgramInfo};
use crate::{plan::Op, tables::Tables};

/// Tables in memory instead of a kernel.
#[derive(Debug, Default)]
pub struct Fake {
    /// What is installed; a test may change it behind the agent's back.
    pub tables: Tables,
    /// The steps that were carried out.
    pub applied: Vec<Op>,
    /// What `drops` answers.
    pub counts: Vec<DropCount>,
    failing: Option<usize>,
}

impl Fake {
    /// A data path that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the n-th step from now fail once, the next one being 0.
    pub fn fail_after(&mut self, steps: usize) {
        self.failing = Some(steps);
    }
}

impl Datapath for Fake {
    fn read(&mut self) -> Result<Tables, DatapathError> {
        Ok(self.tables.clone())
    }

    fn apply(&mut self, op: &Op) -> Result<(), DatapathError> {
        if let Some(left) = self.failing {
            self.failing = left.checked_sub(1);
            if left == 0 {
                let source = io::Error::other("told to fail");
                return Err(DatapathError::Kernel { action: format!("carry out {op:?}"), source });
            }
        }
        op.apply_to(&mut self.tables);
        self.applied.push(op.clone());
        Ok(())
    }

    fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError> {
        Ok(self.counts.clone())
    }

    fn programs(&mut self) -> Result<Vec<ProgramInfo>, DatapathError> {
        let hooks = self.tables.hooks.iter().zip(1..);
        Ok(hooks
            .map(|(hook, id)| ProgramInfo {
                name: hook.program.name().to_owned(),
                id,
                device: hook.ifindex,
                hook: hook.program.side().to_owned(),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use overlay_common::Vni;

    use super::*;
    use crate::{plan::diff, tables::Net};

    #[test]
    fn it_fails_the_step_it_was_told_to_and_recovers() {
        let nets = [1, 2, 3].map(|n| (Vni::new(n).expect("a VNI"), Net::default()));
        let desired = Tables { nets: nets.into(), ..Tables::default() };
        let mut fake = Fake::new();
        fake.fail_after(1);
        let ops = diff(&desired, &fake.read().expect("tables"));
        let results: Vec<bool> = ops.iter().map(|op| fake.apply(op).is_ok()).collect();
        assert_eq!(results, [true, false, true]);
        for op in diff(&desired, &fake.read().expect("tables")) {
            fake.apply(&op).expect("it failed once");
        }
        assert_eq!(fake.read().expect("tables"), desired);
        assert_eq!(fake.applied.len(), 3);
    }
}
