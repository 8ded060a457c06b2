//! How often Genesys Cloud may be asked, whatever for: one budget for all environments, since the organisation has one limit.
//!
//! It allows 300 requests a minute with one token of client credentials; what comes above is answered 429, with the time to
//! wait in `Retry-After`. Others may use the same client, so the budget is a setting and far below.

use std::collections::VecDeque;
use std::time::Duration;

/// What the budget is counted over.
const MINUTE: Duration = Duration::from_secs(60);
/// The first pause after a refusal that names none; each further one in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause: what is asked for beyond that is more likely a mistake.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// What is left of a minute's requests. All times are monotonic.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    asked: VecDeque<Duration>,
    not_before: Duration,
    refusals: u32,
}

impl Budget {
    /// One of `most` requests in any minute.
    #[must_use]
    pub fn of(most: u32) -> Self {
        Self {
            most: most as usize,
            asked: VecDeque::new(),
            not_before: Duration::ZERO,
            refusals: 0,
        }
    }

    /// Takes one request at `now`, if there is one left.
    pub fn take(&mut self, now: Duration) -> bool {
        let may = self.has_room(now);
        if may {
            self.asked.push_back(now);
        }
        may
    }

    /// Whether there is a request left at `now`.
    pub fn has_room(&mut self, now: Duration) -> bool {
        while self
            .asked
            .front()
            .is_some_and(|asked| now.saturating_sub(*asked) >= MINUTE)
        {
            self.asked.pop_front();
        }
        now >= self.not_before && self.asked.len() < self.most
    }

    /// Takes note of an answer at `now` that too much is asked: nothing is, for as long as it says, or an earlier one has said if
    /// that is longer. Returns how long that is.
    pub fn refused(&mut self, now: Duration, retry_after: Option<Duration>) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.refusals));
        let pause = retry_after.unwrap_or(doubled).min(LONGEST_PAUSE);
        self.refusals = self.refusals.saturating_add(1);
        // Requests go out side by side, so the answers to them may name different times.
        self.not_before = self.not_before.max(now + pause);
        self.not_before - now
    }

    /// Takes note of any other answer.
    pub fn heard(&mut self) {
        self.refusals = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_minute_has_more_requests_than_the_budget() {
        let mut budget = Budget::of(2);
        let taken = [0, 30, 59, 60, 61, 90, 119, 120].map(|at| budget.take(seconds(at)));
        assert_eq!(taken, [true, true, false, true, false, true, false, true]);
    }

    #[test]
    fn a_refusal_is_heeded_for_as_long_as_it_says() {
        let mut budget = Budget::of(100);
        budget.refused(seconds(10), Some(seconds(30)));
        assert!(!budget.take(seconds(39)));
        assert!(budget.take(seconds(40)));
    }

    #[test]
    fn a_refusal_never_cuts_an_earlier_one_short() {
        let mut budget = Budget::of(100);
        assert_eq!(budget.refused(seconds(10), Some(seconds(30))), seconds(30));
        assert_eq!(budget.refused(seconds(12), Some(seconds(3))), seconds(28));
        assert!(!budget.take(seconds(39)));
        assert!(budget.take(seconds(40)));
        assert_eq!(budget.refused(seconds(41), Some(seconds(3))), seconds(3));
    }

    #[test]
    fn refusals_that_say_nothing_are_heeded_for_longer_each_time() {
        let mut budget = Budget::of(100);
        let pauses = [(); 4].map(|()| budget.refused(Duration::ZERO, None));
        assert_eq!(pauses, [2, 4, 8, 16].map(seconds));
        budget.heard();
        assert_eq!(budget.refused(seconds(60), None), seconds(2));
        assert_eq!(
            budget.refused(seconds(60), Some(seconds(1_000_000))),
            LONGEST_PAUSE
        );
    }
}
