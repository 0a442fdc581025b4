//! What reaches the log of what repeats.

use std::{
    cell::Cell,
    io,
    sync::{Arc, Mutex},
    time::Instant,
};

use tracing::Level;
use tracing_subscriber::{fmt, layer::SubscriberExt as _};

use super::limit::{Limit, Limited, Suppressed, WINDOW};

thread_local! {
    static NOW: Cell<Instant> = Cell::new(Instant::now());
}

fn pass(part: u32, parts: u32) {
    NOW.set(NOW.get() + WINDOW * part / parts);
}

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The lines since the last call.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().expect("nobody panicked"));
        String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}

/// Runs `f` with a limited log.
fn logged(f: impl FnOnce(&Written, &Limit)) {
    let limit = Arc::new(Limit::new(|| NOW.get()));
    let written = Written::default();
    let writer = written.clone();
    let lines = fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(Limited(Arc::clone(&limit))).with(lines);
    tracing::subscriber::with_default(subscriber, || f(&written, &limit));
}

fn repeat(count: u32) {
    for number in 0..count {
        tracing::warn!(number, "the link {number} is gone");
    }
}

#[test]
fn what_repeats_is_logged_ten_times_and_then_counted() {
    logged(|written, limit| {
        repeat(1000);
        tracing::info!("something else");
        let lines = written.take();
        assert_eq!(lines.len(), 11);
        assert!(lines[9].contains("the link 9 is gone"), "{}", lines[9]);
        assert!(lines[10].contains("something else"), "{}", lines[10]);
        pass(1, 2);
        assert_eq!(limit.due(), [], "the window is not over");
        repeat(1);
        assert!(written.take().is_empty());
        pass(1, 2);
        let told = Suppressed { level: Level::WARN, message: "the link 10 is gone".into(), count: 991 };
        assert_eq!(limit.due(), [told]);
        assert_eq!(limit.due(), [], "it is told once");
        repeat(2);
        assert_eq!(written.take().len(), 2, "the place may log again");
    });
}

#[test]
fn what_stays_below_the_limit_is_all_logged() {
    logged(|written, limit| {
        for _ in 0..20 {
            repeat(10);
            pass(1, 1);
        }
        assert_eq!(written.take().len(), 200);
        assert_eq!(limit.due(), []);
    });
}

#[test]
fn a_window_that_nobody_told_of_does_not_lose_its_count() {
    logged(|written, limit| {
        repeat(15);
        pass(3, 1);
        repeat(5);
        assert_eq!(written.take().len(), 10);
        assert_eq!(limit.due()[0].count, 10);
    });
}

#[test]
fn the_trace_is_not_limited_and_places_in_the_log_crate_are_told_apart() {
    logged(|written, limit| {
        let record = |target: &str, line| {
            let record = log::Record::builder()
                .args(format_args!("hello"))
                .level(log::Level::Info)
                .target(target)
                .file(Some("x.rs"))
                .line(Some(line))
                .build();
            tracing_log::format_trace(&record).expect("formatted");
        };
        for _ in 0..50 {
            record("overlay_ebpf::trace", 1);
            record("rtnetlink", 2);
            record("rtnetlink", 3);
        }
        assert_eq!(written.take().len(), 50 + 10 + 10);
        pass(1, 1);
        assert_eq!(limit.due().iter().map(|told| told.count).collect::<Vec<_>>(), [40, 40]);
    });
}

#[test]
fn a_line_of_json_is_an_object_with_the_fields_beside_the_message() {
    logged(|written, _| {
        tracing::info!(uid = 7, path = "/v1/\n\"x\"", "an administrator asks");
        let line: serde_json::Value = serde_json::from_str(&written.take()[0]).expect("JSON");
        assert_eq!(line["message"], "an administrator asks");
        assert_eq!((&line["uid"], &line["path"]), (&7.into(), &"/v1/\n\"x\"".into()));
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].is_string(), "{line}");
    });
}
