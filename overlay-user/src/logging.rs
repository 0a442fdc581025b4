//! The log: to standard error, as text or JSON, with a limit on how often one place may speak.

mod limit;
#[cfg(test)]
mod tests;

use std::{io::IsTerminal as _, sync::Arc, thread, time::Instant};

use tracing::Level;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::limit::{Limit, Limited, Suppressed, WINDOW};
use crate::config::LogFormat;

/// Starts the log. `RUST_LOG` chooses what is logged, `info` is the default. A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let limit = Arc::new(Limit::new(Instant::now));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter).with(Limited(Arc::clone(&limit)));
    let started = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            registry.with(lines).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(lines).try_init()
        }
    };
    if started.is_ok() {
        // Without it the log has no counts of what was left out, and is a log all the same.
        let _thread = thread::Builder::new().name("log".into()).spawn(move || tell(&limit));
    }
}

/// Tells what was left out, as long as the process lives.
fn tell(limit: &Limit) {
    loop {
        thread::sleep(WINDOW);
        for Suppressed { level, message, count } in limit.due() {
            let what = "more of this were left out of the log";
            // A level is a constant of its place.
            if level <= Level::WARN {
                tracing::warn!(count, like = message, "{what}");
            } else {
                tracing::info!(count, like = message, "{what}");
            }
        }
    }
}
