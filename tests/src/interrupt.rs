//! Ctrl-C as a question that the work asks between its steps, so that everything is taken down in order.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The work was ended by Ctrl-C or a signal like it.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on Ctrl-C only sets the flag.
pub fn catch() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED)).context("cannot catch Ctrl-C")?;
    }
    Ok(())
}

/// Whether Ctrl-C came.
pub fn came() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// An error once Ctrl-C came.
pub fn check() -> Result<()> {
    if came() { Err(Interrupted.into()) } else { Ok(()) }
}

/// Returns when Ctrl-C comes.
pub fn wait() {
    while !came() {
        thread::sleep(Duration::from_millis(100));
    }
}
