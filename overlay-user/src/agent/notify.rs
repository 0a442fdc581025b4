//! What the service manager is told (`sd_notify(3)`). Where none listens, nothing is told.

use std::{io, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The way to the service manager.
pub(super) struct Notify {
    /// What its status line says.
    status: String,
    /// When to say next that the loop runs, where a watchdog waits for it.
    beat: Option<Interval>,
    /// Whether telling failed, so that the log says it once.
    failing: bool,
}

impl Notify {
    /// Takes `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment. Needs a tokio runtime.
    pub(super) fn from_env() -> Self {
        let beat = Self::watchdog_interval().map(|period| {
            let mut beat = interval(period);
            // After a stall one is enough.
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat
        });
        Self { status: String::new(), beat, failing: false }
    }

    /// How often a watchdog wants to hear: twice in its time, as `sd_watchdog_enabled(3)` advises.
    fn watchdog_interval() -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|period| !period.is_zero())
    }

    /// Everything is installed, and the API answers.
    pub(super) fn ready(&mut self) {
        self.send(&[NotifyState::Ready]);
    }

    /// How the node is, in one line; what was told last is not told again.
    pub(super) fn status(&mut self, status: &str) {
        // A line of its own would be another message.
        let line = status.replace(|character: char| character.is_control(), " ");
        if line != self.status {
            self.send(&[NotifyState::Status(&line)]);
            self.status = line;
        }
    }

    /// Waits until `alive` is due: forever where no watchdog waits for it.
    pub(super) async fn due(&mut self) {
        match &mut self.beat {
            Some(beat) => {
                beat.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// The loop runs. Said by the loop itself, or a loop that hangs would not be noticed.
    pub(super) fn alive(&mut self) {
        if self.beat.is_some() {
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// The agent ends because it was asked to.
    pub(super) fn stopping(&mut self) {
        self.send(&[NotifyState::Stopping]);
    }

    fn send(&mut self, state: &[NotifyState<'_>]) {
        let result: io::Result<()> = sd_notify::notify(state);
        if let Err(error) = &result
            && !self.failing
        {
            tracing::warn!(%error, "cannot tell the service manager how the agent is");
        }
        self.failing = result.is_err();
    }
}
