//! What a heartbeat says of shares: how many calls a replica has decided to each slot since it shares them out as it does now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::EnvironmentName;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;

/// The tallies of one replica by environment; only where there were calls. A deployment has at most 256 environments, so this is
/// at most some 60 KB, and a hundred bytes each for most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tallies(BTreeMap<EnvironmentName, Tally>);

/// Calls decided under one share. Those of several replicas may be added up if the share is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The slot that takes new calls by default.
    pub active: Slot,
    /// The other one's share of them.
    pub weight: Weight,
    /// Since when they are counted: seconds since 1970.
    since: i64,
    /// All of them, by slot.
    pub calls: BySlot<u64>,
    /// Those of them that were drawn by the weight.
    pub drawn: BySlot<u64>,
}

impl Tallies {
    /// Takes in the tally of an environment, if there is something in it.
    pub fn take(&mut self, environment: &EnvironmentName, tally: Tally) {
        if tally.calls != BySlot::default() {
            self.0.insert(environment.clone(), tally);
        }
    }

    /// What is told of `environment`; `None` where there were no calls.
    #[must_use]
    pub fn of(&self, environment: &EnvironmentName) -> Option<&Tally> {
        self.0.get(environment)
    }
}

impl Tally {
    /// No calls since `since`.
    #[must_use]
    pub fn new(active: Slot, weight: Weight, since: Timestamp) -> Self {
        Self {
            active,
            weight,
            since: since.as_second(),
            calls: BySlot::default(),
            drawn: BySlot::default(),
        }
    }

    /// Since when calls are counted, to the second.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        Timestamp::from_second(self.since).unwrap_or(Timestamp::MAX)
    }

    /// Adds the calls of another replica. Returns whether they were decided under the same share; otherwise nothing is added.
    #[must_use]
    pub fn add(&mut self, other: &Self) -> bool {
        let is_alike = (self.active, self.weight) == (other.active, other.weight);
        if is_alike {
            self.since = self.since.min(other.since);
            for slot in Slot::BOTH {
                let sum =
                    |one: BySlot<u64>, other: BySlot<u64>| one[slot].saturating_add(other[slot]);
                self.calls[slot] = sum(self.calls, other.calls);
                self.drawn[slot] = sum(self.drawn, other.drawn);
            }
        }
        is_alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(weight: &str, since: i64, blue: u64, green: u64) -> Tally {
        let since = Timestamp::from_second(since).expect("a time");
        let weight = weight.parse().expect("a weight");
        Tally {
            calls: BySlot { blue, green },
            drawn: BySlot { blue: 0, green },
            ..Tally::new(Slot::Blue, weight, since)
        }
    }

    fn main() -> EnvironmentName {
        "Main_IVR".parse().expect("a name")
    }

    #[test]
    fn only_calls_decided_under_one_share_are_added_up() {
        let mut sum = tally("12.5", 200, 7, 1);
        assert!(sum.add(&tally("12.5", 100, 70, 10)));
        assert_eq!(sum, tally("12.5", 100, 77, 11));
        assert!(!sum.add(&tally("12", 1, 1, 1)));
        let swapped = Tally {
            active: Slot::Green,
            ..sum
        };
        assert!(!sum.add(&swapped));
        assert_eq!(sum, tally("12.5", 100, 77, 11));
    }

    #[test]
    fn what_every_environment_has_to_tell_fits_into_an_item_beside_the_rest() {
        let mut tallies = Tallies::default();
        for number in 0..256 {
            let name = format!("{number:0>64}").parse().expect("a name");
            tallies.take(&name, tally("12.34", 1_767_600_000, 1 << 30, 1 << 30));
        }
        let bytes = serde_json::to_string(&tallies).expect("JSON").len();
        assert!(bytes < 70_000, "{bytes} of the 400 KB of an item");
    }

    #[test]
    fn it_is_told_compactly_and_read_back_and_what_a_newer_one_adds_is_passed_over() {
        let mut tallies = Tallies::default();
        tallies.take(&main(), tally("12.5", 100, 7, 1));
        tallies.take(&"Other".parse().expect("a name"), tally("0", 100, 0, 0));
        let text = serde_json::to_string(&tallies).expect("JSON");
        assert_eq!(
            text,
            r#"{"Main_IVR":{"active":"blue","weight":12.5,"since":100,"calls":{"blue":7,"green":1},"drawn":{"blue":0,"green":1}}}"#
        );
        let newer = text.replace("\"since\"", "\"new\":[1],\"since\"");
        for text in [text, newer] {
            let read: Tallies = serde_json::from_str(&text).expect("tallies");
            assert_eq!(read, tallies, "{text}");
        }
    }
}
