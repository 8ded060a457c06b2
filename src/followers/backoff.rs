//! Pauses between attempts that fail.

use std::time::Duration;

/// The first pause at the most; each further failure in a row doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

/// When to try again. All times are monotonic.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    failures: u32,
    not_before: Duration,
}

impl Backoff {
    /// Whether it is time to try at `now`.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }

    /// Takes note of a failure at `now`. The other side may have asked for a pause of `asked`; `draw`, from 0 to 1, spreads those
    /// who fail at once over the upper half of the pause.
    pub(super) fn failed(&mut self, now: Duration, asked: Option<Duration>, draw: f64) {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures));
        let pause = doubled.min(LONGEST).mul_f64(0.5 + draw / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause.max(asked.unwrap_or_default().min(LONGEST));
    }

    /// Takes note of a success: the next attempt need not wait.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(failures: usize, asked: Option<Duration>, draw: f64) -> Vec<f64> {
        let mut backoff = Backoff::default();
        let mut pause = || {
            let now = backoff.not_before;
            assert!(backoff.is_due(now));
            backoff.failed(now, asked, draw);
            assert!(!backoff.is_due(now));
            (backoff.not_before - now).as_secs_f64()
        };
        (0..failures).map(|_| pause()).collect()
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_are_spread_over_their_upper_half() {
        let longest = [
            1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0,
        ];
        assert_eq!(pauses(11, None, 1.0), longest);
        assert_eq!(pauses(11, None, 0.0), longest.map(|pause| pause / 2.0));
        assert_eq!(pauses(100, None, 1.0).last(), Some(&300.0));
    }

    #[test]
    fn a_pause_that_is_asked_for_is_granted_up_to_five_minutes() {
        let asked = |seconds| pauses(3, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(1), [1.0, 1.0, 2.0]);
        assert_eq!(asked(1_000_000), [300.0; 3]);
    }

    #[test]
    fn after_a_success_it_begins_anew() {
        let mut backoff = Backoff::default();
        backoff.failed(Duration::ZERO, None, 1.0);
        backoff.succeeded();
        assert!(backoff.is_due(Duration::ZERO));
    }
}
