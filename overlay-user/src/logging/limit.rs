//! A limit on how often one place in the code may log, so that what repeats cannot flood the journal.
//!
//! By place and not by text: what floods mostly differs in a number or an address.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{Layer, layer::Context};

/// How often one place may log within `WINDOW`.
const MOST: u64 = 10;
/// The time that a limit is for.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// How much of a message tells what was left out.
const LONGEST: usize = 200;
/// Where the kernel programs' trace comes from: its sample rate is its limit, set by who reads it.
const TRACE: &str = "overlay_ebpf";

/// The places that logged lately.
pub(super) struct Limit {
    now: fn() -> Instant,
    places: Mutex<HashMap<u64, Place>>,
}

/// A place, from the first event of a window on.
struct Place {
    began: Instant,
    events: u64,
    level: Level,
    /// The first that was left out.
    message: String,
}

/// What was left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) count: u64,
}

impl Limit {
    pub(super) fn new(now: fn() -> Instant) -> Self {
        Self { now, places: Mutex::default() }
    }

    /// Whether this event may be logged.
    fn admit(&self, event: &Event<'_>) -> bool {
        let normal = event.normalized_metadata();
        let metadata = normal.as_ref().unwrap_or(event.metadata());
        if metadata.target().starts_with(TRACE) {
            return true;
        }
        let now = (self.now)();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Place { began: now, events: 0, level: *metadata.level(), message: String::new() };
        let place = places.entry(key(metadata)).or_insert_with(fresh);
        // What was left out in a window that is over is told first.
        if place.is_over(now) && place.events <= MOST {
            *place = fresh();
        }
        place.events += 1;
        if place.events == MOST + 1 {
            event.record(&mut Message(&mut place.message));
        }
        place.events <= MOST
    }

    /// What was left out in windows that are over; their places may log again.
    pub(super) fn due(&self) -> Vec<Suppressed> {
        let now = (self.now)();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let over = places.extract_if(|_, place| place.is_over(now)).map(|(_, place)| place);
        let suppressed = over.filter(|place| place.events > MOST).map(|place| Suppressed {
            level: place.level,
            message: place.message,
            count: place.events - MOST,
        });
        suppressed.collect()
    }
}

impl Place {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= WINDOW
    }
}

/// A place in the code. Records of the `log` crate all have one callsite, but places of their own.
fn key(metadata: &Metadata<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (metadata.file().unwrap_or(metadata.target()), metadata.line()).hash(&mut hasher);
    hasher.finish()
}

/// Takes the message of an event, cut to a bearable length.
struct Message<'m>(&'m mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}").chars().take(LONGEST).collect();
        }
    }
}

/// The limit as a layer of a subscriber.
pub(super) struct Limited(pub(super) Arc<Limit>);

impl<S: Subscriber> Layer<S> for Limited {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.admit(event)
    }
}
