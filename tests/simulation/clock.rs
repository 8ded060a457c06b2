//! Clocks of simulated processes: the time of the simulation, and a time of day that may be off and jump.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use traffic_cop::clock::Clock;

/// The time of one machine.
#[derive(Debug)]
pub(crate) struct SimulatedClock {
    started: Instant,
    off_by: Mutex<SignedDuration>,
}

impl SimulatedClock {
    /// The right time. Needs a runtime.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            off_by: Mutex::default(),
        }
    }

    /// Sets the time of day.
    pub(crate) fn set_off_by(&self, off_by: SignedDuration) {
        *self.off_by.lock().expect("no holder panics") = off_by;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a time");
        let elapsed = u64::try_from(self.monotonic().as_millis()).expect("a short simulation");
        start + Duration::from_millis(elapsed) + *self.off_by.lock().expect("no holder panics")
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
