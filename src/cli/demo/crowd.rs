//! The callers of one environment, imagined: when they call, how long they stay, whether they hang up. Nothing here knows which
//! flow takes a call until the service has said so, and nothing else is made up.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng as _};

use crate::domain::simulate::Callers;

/// The callers of an environment. Times are those of the demonstration, since its start.
#[derive(Debug)]
pub(super) struct Crowd {
    rng: Xoshiro256PlusPlus,
    /// Time between two calls, on average.
    gap: Duration,
    /// When the next one comes.
    next: Duration,
    number: u64,
    /// How callers fare in the version that they have had so far.
    usual: Callers,
    /// How they fare in the version on trial.
    on_trial: Callers,
    /// Those in a flow, by when their calls end.
    inside: BTreeMap<(Duration, u64), Ended>,
    tally: Tally,
}

/// Somebody calls.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) conversation: String,
    number: u64,
    /// Where chance has put this caller: below the share of those who hang up, they do. One draw for both versions, so it is
    /// known what would have become of the call in the other.
    fate: f64,
    /// How long the call lasts, as a multiple of what is usual.
    patience: f64,
}

/// A call has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) conversation: String,
    pub(super) has_hung_up: bool,
    pub(super) at: Duration,
}

/// What became of the callers of the version on trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u64,
    /// Those who hang up and would not have before; less than zero if it is the better version.
    pub(super) harmed: i64,
}

impl Crowd {
    /// So many callers a second of the demonstration's time; the same `seed` makes the same.
    pub(super) fn new(seed: u64, per_second: f64, usual: Callers, on_trial: Callers) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            gap: Duration::from_secs_f64(1.0 / per_second),
            next: Duration::ZERO,
            number: 0,
            usual,
            on_trial,
            inside: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Who has called by `now`, since it was asked last.
    pub(super) fn coming(&mut self, now: Duration) -> Vec<Call> {
        let mut calls = Vec::new();
        while self.next <= now {
            self.number += 1;
            let id: u128 = self.rng.random();
            calls.push(Call {
                conversation: uuid::Builder::from_random_bytes(id.to_be_bytes())
                    .into_uuid()
                    .to_string(),
                number: self.number,
                fate: self.rng.random(),
                patience: exponential(&mut self.rng),
            });
            self.next += self.gap.mul_f64(exponential(&mut self.rng));
        }
        calls
    }

    /// Has `call` go through a version from `now` on.
    pub(super) fn take(&mut self, call: Call, is_on_trial: bool, now: Duration) {
        let callers = match is_on_trial {
            true => self.on_trial,
            false => self.usual,
        };
        let hangs_up = |callers: Callers| call.fate < callers.bad.fraction();
        let has_hung_up = hangs_up(callers);
        if is_on_trial {
            self.tally.calls += 1;
            self.tally.harmed += i64::from(has_hung_up) - i64::from(hangs_up(self.usual));
        }
        let usual = match has_hung_up {
            true => callers.bad_after,
            false => callers.good_after,
        };
        let at = now + usual.mul_f64(call.patience);
        let ended = Ended {
            conversation: call.conversation,
            has_hung_up,
            at,
        };
        self.inside.insert((at, call.number), ended);
    }

    /// Whose calls have ended by `now`, since it was asked last, the first to end first.
    pub(super) fn ended(&mut self, now: Duration) -> Vec<Ended> {
        let later = self.inside.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.inside, later)
            .into_values()
            .collect()
    }

    /// What has become of the callers of the version on trial.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }
}

/// A draw from the exponential distribution with the mean 1.
fn exponential(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let uniform: f64 = rng.random();
    -libm::log1p(-uniform)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rollout::percent::Percent;

    const HOUR: Duration = Duration::from_hours(1);

    fn two_a_second(seed: u64) -> Crowd {
        let callers = |percent| Callers::with_bad(Percent::whole(percent));
        Crowd::new(seed, 2.0, callers(10), callers(30))
    }

    /// Every call of an hour through one version: how many there were, how many hung up, and when the last one ended.
    fn hour(mut crowd: Crowd, is_on_trial: bool) -> (f64, f64, Crowd) {
        let calls = crowd.coming(HOUR);
        let count = calls.len() as f64;
        for call in calls {
            crowd.take(call, is_on_trial, HOUR);
        }
        let ended = crowd.ended(HOUR * 100);
        assert_eq!(ended.len() as f64, count, "every call ends");
        assert!(ended.is_sorted_by_key(|ended| ended.at));
        let hung_up = ended.iter().filter(|ended| ended.has_hung_up).count();
        (count, hung_up as f64, crowd)
    }

    #[test]
    fn callers_come_and_hang_up_as_often_as_they_are_said_to() {
        let (calls, hung_up, crowd) = hour(two_a_second(1), false);
        // Five standard deviations of a Poisson count of 7,200, and of one in ten of them.
        assert!((calls - 7_200.0).abs() < 425.0, "{calls}");
        assert!((hung_up / calls - 0.1).abs() < 0.018, "{hung_up}");
        assert_eq!(crowd.tally(), Tally::default(), "nobody met the other one");

        let (calls, hung_up, crowd) = hour(two_a_second(1), true);
        assert!((hung_up / calls - 0.3).abs() < 0.028, "{hung_up}");
        let Tally { calls, harmed } = crowd.tally();
        assert!((harmed as f64 / calls as f64 - 0.2).abs() < 0.024);
    }

    #[test]
    fn equal_seeds_make_equal_callers_however_often_one_looks() {
        let mut often = two_a_second(7);
        let (mut by_often, mut passed) = (Vec::new(), Duration::ZERO);
        while passed < HOUR {
            passed += Duration::from_secs(6);
            by_often.extend(often.coming(passed));
        }
        assert_eq!(by_often, two_a_second(7).coming(HOUR));
        assert_ne!(by_often, two_a_second(8).coming(HOUR));
    }

    #[test]
    fn a_call_ends_once_and_not_before_its_time() {
        let mut crowd = two_a_second(3);
        for call in crowd.coming(Duration::from_mins(1)) {
            crowd.take(call, false, Duration::from_mins(1));
        }
        assert_eq!(crowd.ended(Duration::from_secs(59)), []);
        let (early, late) = (crowd.ended(Duration::from_mins(3)), crowd.ended(HOUR * 10));
        assert!(!early.is_empty() && !late.is_empty());
        assert!(early.iter().all(|ended| ended.at <= Duration::from_mins(3)));
        assert!(late.iter().all(|ended| ended.at > Duration::from_mins(3)));
    }
}
