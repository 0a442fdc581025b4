//! The `faults` tier: what becomes of the traffic when agents die, tables are altered and files break.
//!
//! Run by `cargo xtask test faults`, as root, one test at a time. Every test adds rows to one table, which the last
//! of them prints. A test that fails tells the seed of its random numbers; `OVERLAY_TEST_SEED` runs it again.

mod agents;
mod audit;
mod child;
mod control;
mod devices;
mod figures;
mod garbage;
mod gone;
mod kill;
mod pins;
mod repair;
mod second;
mod snapshot;
mod state;
#[path = "../netns/support.rs"]
#[expect(dead_code, reason = "the tier netns uses the rest")]
mod support;
mod uninstall;
mod upgrade;
mod zz_table;
