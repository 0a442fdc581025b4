//! Time-outs on machines that are slow, such as emulated ones.

use std::time::Duration;

/// A limit, as many times as long as `OVERLAY_TEST_PATIENCE` says.
pub fn patient(limit: Duration) -> Duration {
    let times = std::env::var("OVERLAY_TEST_PATIENCE").ok().and_then(|times| times.parse::<u32>().ok());
    limit * times.unwrap_or(1)
}
