//! Whether tests run with their full figures.

/// Whether `OVERLAY_TEST_FULL` is set, as `cargo xtask test --full` does.
pub fn full() -> bool {
    std::env::var_os("OVERLAY_TEST_FULL").is_some()
}
