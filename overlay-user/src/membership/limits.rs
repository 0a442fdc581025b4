//! How large a cluster may be.

use overlay_common::map::{MAX_ENDPOINTS, MAX_NETS};

/// The most that a cluster may have.
///
/// A change that goes beyond is refused where it is asked for. Where two sides of a split together go beyond, the latest
/// claims do not hold (`resolve::Why::Full`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints.
    pub endpoints: usize,
    /// Networks.
    pub networks: usize,
}

impl Limits {
    /// What every node can publish to every other within seconds.
    pub const GOSSIP: Self = Self { endpoints: 16_384, networks: 1_024 };
}

impl Default for Limits {
    /// What the kernel's maps hold.
    fn default() -> Self {
        Self { endpoints: MAX_ENDPOINTS as usize, networks: MAX_NETS as usize }
    }
}
