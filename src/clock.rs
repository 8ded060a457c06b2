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

    /// How many seconds of the time of day go by in one of monotonic time: 1, but in a demonstration.
    fn speed(&self) -> u32 {
        1
    }

    /// Monotonic time as callers and plans live by it: it goes by as fast as the time of day. Bake times and the ages of calls
    /// are measured by it; what processes expect of each other, by [`Self::monotonic`].
    fn plan_time(&self) -> Duration {
        self.monotonic() * self.speed()
    }
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

/// The computer's clocks, and a time of day that goes by faster from the moment this is made: two hours of a rollout in two
/// minutes, for a demonstration. Heartbeats, leases and time limits are measured by monotonic time, which nothing hurries.
#[derive(Debug)]
pub struct FastClock {
    clock: SystemClock,
    began: Timestamp,
    speed: u32,
}

impl FastClock {
    /// A clock that begins now, and whose time of day goes by `speed` times as fast.
    #[must_use]
    pub fn start(speed: u32) -> Self {
        let clock = SystemClock::start();
        Self {
            began: clock.now(),
            clock,
            speed,
        }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.plan_time().as_millis()).unwrap_or(u64::MAX);
        self.began
            .saturating_add(Duration::from_millis(passed))
            .unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn speed(&self) -> u32 {
        self.speed
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_hurries_the_time_of_day_and_plans_and_nothing_else() {
        let clock = FastClock::start(1_000);
        let (began, before) = (clock.began, clock.monotonic());
        let (plans, now) = (clock.plan_time(), clock.now());
        let after = clock.monotonic();
        assert!(before * 1_000 <= plans && plans <= after * 1_000);
        let passed = Duration::try_from(now.duration_since(began)).expect("it goes on");
        // The time of day is told to the millisecond.
        assert!(passed + Duration::from_millis(1) > plans && passed <= after * 1_000);
    }

    #[test]
    fn plans_live_by_the_monotonic_time_of_every_other_clock() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(7));
        assert_eq!((clock.plan_time(), clock.speed()), (clock.monotonic(), 1));
    }
}
