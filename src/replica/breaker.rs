//! Whether the store is known to be away, so that no call waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

/// While the breaker is open, the store is tried for the sake of calls at most this often. Short against the time between
/// two polls, so that calls are validated again before most of them notice; long against the time that a store takes to say
/// no, so that a store which comes back is not met by a flood.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
/// Stands for a breaker that is closed. As a time, half a million years.
const CLOSED: u64 = u64::MAX;

/// Open after a try of the store that failed, closed after one that did not. One atomic number: a call looks at it and takes
/// no lock.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Monotonic time, in microseconds, of the last try while the breaker is open; [`CLOSED`] otherwise.
    tried_at: AtomicU64,
    gauge: Gauge,
}

impl Breaker {
    /// A closed breaker, which shows on `gauge` whether it is open.
    pub(super) fn closed(gauge: Gauge) -> Self {
        Self {
            tried_at: AtomicU64::new(CLOSED),
            gauge,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.tried_at.load(Ordering::SeqCst) != CLOSED
    }

    /// The store was tried in vain, until `now`.
    pub(super) fn open(&self, now: Duration) {
        if self.tried_at.swap(micros(now), Ordering::SeqCst) == CLOSED {
            tracing::debug!("the store is away: calls do not wait for it");
            self.gauge.set(1);
        }
    }

    /// The store has answered.
    pub(super) fn close(&self) {
        if self.tried_at.swap(CLOSED, Ordering::SeqCst) != CLOSED {
            tracing::debug!("the store answers again: calls may wait for it");
            self.gauge.set(0);
        }
    }

    /// Whether whoever asks should have the store tried again, though not wait for it. Of all who ask in one interval, one
    /// should.
    pub(super) fn takes_probe(&self, now: Duration) -> bool {
        let now = micros(now);
        let interval = micros(PROBE_INTERVAL);
        let is_due = |tried_at: u64| tried_at != CLOSED && now.saturating_sub(tried_at) >= interval;
        let claim = |tried_at| is_due(tried_at).then_some(now);
        self.tried_at
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, claim)
            .is_ok()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(CLOSED - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG_AGO: Duration = Duration::from_secs(7);

    fn opened(at: Duration) -> Breaker {
        let breaker = Breaker::closed(Gauge::default());
        breaker.open(at);
        breaker
    }

    #[test]
    fn a_failure_opens_it_and_a_success_closes_it() {
        let gauge = Gauge::default();
        let breaker = Breaker::closed(gauge.clone());
        assert!(!breaker.is_open());
        for _ in 0..2 {
            breaker.open(LONG_AGO);
            assert_eq!((breaker.is_open(), gauge.get()), (true, 1));
        }
        for _ in 0..2 {
            breaker.close();
            assert_eq!((breaker.is_open(), gauge.get()), (false, 0));
        }
    }

    #[test]
    fn a_closed_one_takes_no_probes() {
        let breaker = Breaker::closed(Gauge::default());
        assert!(!breaker.takes_probe(LONG_AGO));
        breaker.open(Duration::ZERO);
        breaker.close();
        assert!(!breaker.takes_probe(LONG_AGO));
        assert!(!breaker.is_open());
    }

    #[test]
    fn an_open_one_takes_one_probe_in_each_interval() {
        let breaker = opened(LONG_AGO);
        let just_before = LONG_AGO + PROBE_INTERVAL - Duration::from_micros(1);
        assert!(!breaker.takes_probe(LONG_AGO));
        assert!(!breaker.takes_probe(just_before));
        let mut now = LONG_AGO;
        for _ in 0..3 {
            now += PROBE_INTERVAL;
            assert!(breaker.takes_probe(now));
            assert!(!breaker.takes_probe(now));
            assert!(breaker.is_open(), "a probe is no success");
        }
    }

    #[test]
    fn a_probe_that_fails_starts_the_interval_again() {
        let breaker = opened(LONG_AGO);
        let failed_at = LONG_AGO + 2 * PROBE_INTERVAL;
        assert!(breaker.takes_probe(LONG_AGO + PROBE_INTERVAL));
        breaker.open(failed_at);
        assert!(!breaker.takes_probe(failed_at + PROBE_INTERVAL / 2));
        assert!(breaker.takes_probe(failed_at + PROBE_INTERVAL));
    }
}
