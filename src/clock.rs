//! Time, as an argument.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{Timestamp, Unit};

/// Where time comes from.
pub trait Clock: Debug + Send + Sync {
    /// The time of day, to the millisecond. May jump in either direction.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment in the life of this process. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// The computer's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where ambient time enters"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where ambient time enters"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.round(Unit::Millisecond).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Moves both times ahead.
    ///
    /// # Panics
    /// The end of time is reached, or another user of the clock panicked.
    pub fn advance(&self, by: Duration) {
        let mut times = self.0.lock().expect("no user of the clock panics");
        times.0 = times.0.checked_add(by).expect("before the end of time");
        times.1 += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().expect("no user of the clock panics").0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().expect("no user of the clock panics").1
    }
}
