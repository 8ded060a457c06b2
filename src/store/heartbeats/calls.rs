//! What a heartbeat says of calls: how many were decided to each slot lately, and when the last one was.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::EnvironmentName;
use crate::domain::slot::{BySlot, Slot};

/// Minutes that are told one by one, the present one included.
pub const MINUTES: u16 = 60;
/// How long the last call of a slot is told. No drain time is longer (`--drain-minutes`).
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The calls that one replica has decided, by environment and slot; only where there were any. A deployment has at most 256
/// environments, so this is at most some 100 KB, and a few hundred bytes for most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calls(BTreeMap<EnvironmentName, BTreeMap<Slot, SlotCalls>>);

/// The calls decided to one slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCalls {
    /// When the last one was, at the latest: seconds since 1970.
    last: i64,
    /// The minute since 1970 that the first count is of.
    minute: i64,
    /// Calls in that minute and in those before it, the newest first; at most [`MINUTES`].
    counts: Vec<u64>,
}

impl Calls {
    /// Counts `calls` decided to `slot` of `environment` until `now`.
    pub fn record(
        &mut self,
        environment: &EnvironmentName,
        slot: Slot,
        calls: u64,
        now: Timestamp,
    ) {
        if calls == 0 {
            return;
        }
        let slots = self.0.entry(environment.clone()).or_default();
        let minute = minute_of(now);
        let known = slots.entry(slot).or_insert(SlotCalls {
            last: now.as_second(),
            minute,
            counts: vec![0],
        });
        known.go_on_to(minute);
        // A clock that was set back finds the newest minute in its future: that one counts.
        known.counts[0] += calls;
        known.last = known.last.max(now.as_second());
    }

    /// Forgets what is too old to be told at `now`.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, slots| {
            slots.retain(|_, calls| now.duration_since(calls.last()) < TOLD_FOR);
            !slots.is_empty()
        });
    }

    /// What is known of the slots of `environment`.
    #[must_use]
    pub fn of(&self, environment: &EnvironmentName) -> BySlot<Option<&SlotCalls>> {
        let slots = self.0.get(environment);
        BySlot::from_fn(|slot| slots?.get(&slot))
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SlotCalls {
    /// When the last call was, at the latest.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        Timestamp::from_second(self.last).unwrap_or(Timestamp::MAX)
    }

    /// Calls in the last `minutes` before `now`, the present minute included.
    #[must_use]
    pub fn within(&self, minutes: u16, now: Timestamp) -> u64 {
        let first = minute_of(now) - i64::from(minutes) + 1;
        let minutes = (0..).map(|age| self.minute - age);
        let counts = self.counts.iter().zip(minutes);
        counts
            .filter(|(_, minute)| *minute >= first)
            .map(|(count, _)| count)
            .sum()
    }

    /// Calls of each minute that is told of, and how many minutes ago at `now` that one began; less than [`MINUTES`].
    pub fn by_minute(&self, now: Timestamp) -> impl Iterator<Item = (u16, u64)> {
        let newest = (minute_of(now) - self.minute).max(0);
        let ages = (newest..).map_while(|age| u16::try_from(age).ok());
        let counts = ages.zip(self.counts.iter().copied());
        counts.filter(|(age, _)| *age < MINUTES)
    }

    /// Makes `minute` the newest, unless it is past.
    fn go_on_to(&mut self, minute: i64) {
        let new = usize::try_from(minute - self.minute).unwrap_or_default();
        if new > 0 {
            let new = new.min(MINUTES.into());
            self.counts.splice(0..0, std::iter::repeat_n(0, new));
            self.counts.truncate(MINUTES.into());
            self.minute = minute;
        }
    }
}

fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_600_000 + seconds).expect("a time")
    }

    fn main() -> EnvironmentName {
        "Main_IVR".parse().expect("a name")
    }

    fn within(calls: &Calls, minutes: u16, seconds: i64) -> u64 {
        let blue = calls.of(&main()).blue.expect("calls");
        blue.within(minutes, at(seconds))
    }

    #[test]
    fn calls_are_counted_by_the_minute_and_the_last_one_is_known() {
        let mut calls = Calls::default();
        calls.record(&main(), Slot::Blue, 3, at(0));
        calls.record(&main(), Slot::Blue, 4, at(59));
        calls.record(&main(), Slot::Blue, 0, at(61));
        calls.record(&main(), Slot::Blue, 5, at(180));
        assert_eq!(within(&calls, 1, 180), 5);
        assert_eq!(within(&calls, 3, 180), 5);
        assert_eq!(within(&calls, 4, 180), 12);
        assert_eq!(within(&calls, 1, 240), 0);
        assert_eq!(within(&calls, 60, 180 + 59 * 60), 5);
        assert_eq!(within(&calls, 60, 180 + 60 * 60), 0);
        let known = calls.of(&main());
        assert_eq!(known.blue.expect("calls").last(), at(180));
        assert_eq!(known.green, None, "nothing is told of what had none");
        let by_minute = |seconds| {
            let counts = known.blue.expect("calls").by_minute(at(seconds));
            counts.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        };
        assert_eq!(by_minute(180), [(0, 5), (3, 7)]);
        assert_eq!(by_minute(180 + 58 * 60), [(58, 5)]);
        assert_eq!(by_minute(0), [(0, 5), (3, 7)], "a clock that was set back");
    }

    #[test]
    fn at_most_an_hour_is_kept_and_the_last_call_for_a_day() {
        let mut calls = Calls::default();
        for minute in 0..500 {
            calls.record(&main(), Slot::Blue, 1, at(60 * minute));
        }
        let last = 60 * 499;
        assert_eq!(within(&calls, u16::MAX, last), u64::from(MINUTES));
        calls.forget(at(last + 24 * 3600 - 1));
        assert!(!calls.is_empty());
        calls.forget(at(last + 24 * 3600));
        assert!(calls.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_loses_no_call_and_no_time() {
        let mut calls = Calls::default();
        calls.record(&main(), Slot::Blue, 1, at(600));
        calls.record(&main(), Slot::Blue, 2, at(0));
        assert_eq!(within(&calls, 1, 600), 3);
        assert_eq!(calls.of(&main()).blue.expect("calls").last(), at(600));
    }

    #[test]
    fn it_is_told_compactly_and_read_back() {
        let mut calls = Calls::default();
        calls.record(&main(), Slot::Green, 7, at(0));
        calls.record(&main(), Slot::Green, 2, at(120));
        let text = serde_json::to_string(&calls).expect("JSON");
        assert_eq!(
            text,
            r#"{"Main_IVR":{"green":{"last":1767600120,"minute":29460002,"counts":[2,0,7]}}}"#
        );
        assert_eq!(serde_json::from_str::<Calls>(&text).expect("calls"), calls);
    }

    #[test]
    fn what_every_environment_has_to_tell_fits_into_an_item() {
        let mut calls = Calls::default();
        for number in 0..256 {
            let name = format!("{number:0>64}").parse().expect("a name");
            for slot in Slot::BOTH {
                for minute in 0..60 {
                    calls.record(&name, slot, 9_999, at(60 * minute));
                }
            }
        }
        let bytes = serde_json::to_string(&calls).expect("JSON").len();
        assert!(bytes < 300_000, "{bytes} of the 400 KB of an item");
    }
}
