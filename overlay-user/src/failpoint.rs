//! Points at which a test has the process end as a crash does, or a step fail.

/// Ends the process, if it was built for such tests and `OVERLAY_KILL_AT` names this point.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    if std::env::var_os("OVERLAY_KILL_AT").is_some_and(|point| point == name) {
        // No code of ours runs after this signal, whatever it answers.
        let _unread = kill_process(getpid(), Signal::KILL);
    }
}

/// Does nothing: this is no build for tests.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn failpoint(_name: &str) {}

/// Whether the step that is named so is to fail: the process was built for such tests, and `OVERLAY_FAIL_AT` names it.
pub(crate) fn fails(name: &str) -> bool {
    cfg!(feature = "failpoints") && std::env::var_os("OVERLAY_FAIL_AT").is_some_and(|point| point == name)
}
