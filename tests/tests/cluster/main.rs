//! The `cluster` tier: real agents that have the cluster from each other, over a real underlay.
//!
//! Run by `cargo xtask test cluster`, as root, one test at a time. What is asserted holds on any machine, but for the
//! limits that the engine promises: those are as many times as long as `OVERLAY_TEST_PATIENCE` says.

mod busy;
mod churn;
mod death;
mod fleet;
mod full;
mod hostile;
mod join;
mod killed;
mod partition;
mod ring;
mod rotation;
mod upgrade;
mod visible;
