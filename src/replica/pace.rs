//! How closely rounds of validation may follow each other.
//!
//! Rounds that follow each other without a pause would have a busy replica read the store as often as the network allows,
//! hundreds of times a second, and pay several times for the reads what it pays for the calls. So only a few may: after them
//! the next waits, and all calls that come meanwhile share it.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two rounds for as long as calls keep coming. What a read costs, as much as ten decisions, is then a small part
/// of what thousands of calls a second cost; and a call's budget has room for the pause and the read.
const INTERVAL: Duration = Duration::from_millis(12);
/// So many rounds may follow each other without a pause after a rest. Calls that come less often than one in [`INTERVAL`], on
/// average, seldom come more closely together than that, so each has a round of its own at once.
const AT_ONCE: u32 = 8;

/// Keeps rounds apart: the generic cell rate algorithm (ITU-T I.371), which is a bucket of [`AT_ONCE`] tokens with one number to
/// remember.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Pace {
    /// A full bucket at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// How long a round that could begin at `now` has to wait. It counts as begun then.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let until_full = self.full_at.saturating_duration_since(now);
        self.full_at = now + until_full + INTERVAL;
        until_full.saturating_sub(INTERVAL * (AT_ONCE - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_follow_each_other_at_once_and_the_rest_at_intervals() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(now), Duration::ZERO);
        }
        for _ in 0..100 {
            assert_eq!(pace.wait(now), INTERVAL);
            now += INTERVAL;
        }
        // A round that was slow is not made to wait for its own time as well.
        let half = INTERVAL / 2;
        assert_eq!(pace.wait(now + half), half);
    }

    #[test]
    fn rounds_no_more_often_than_the_interval_never_wait() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for number in 0..1_000 {
            assert_eq!(pace.wait(start + INTERVAL * number), Duration::ZERO);
        }
    }

    #[test]
    fn a_rest_makes_up_for_what_was_taken() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..AT_ONCE {
            pace.wait(start);
        }
        let rested = start + INTERVAL * AT_ONCE;
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(rested), Duration::ZERO);
        }
        assert_eq!(pace.wait(rested), INTERVAL);
    }
}
