//! Smoke-test overrides: calls of a tester that go to one slot, whatever the rest of the environment says.

use jiff::{SignedDuration, Timestamp};

use super::commands::{Applied, later};
use super::{Environment, Override};
use crate::domain::command::{AddOverride, RemoveOverride};
use crate::domain::refusal::Refusal;
use crate::domain::{Change, Unchanged};

/// How many overrides an environment holds at most.
pub const MAX_OVERRIDES: usize = 32;
/// The longest life of an override in minutes: a day.
pub const MAX_OVERRIDE_MINUTES: u16 = 1440;

impl Environment {
    /// Adds an override, in the place of one for the same calls.
    pub(super) fn add_override(mut self, add: &AddOverride, now: Timestamp) -> Applied {
        if !(1..=MAX_OVERRIDE_MINUTES).contains(&add.expires_in_minutes) {
            return Err(Refusal::OverrideLength);
        }
        self.known_version(add.to, now)?;
        self.overrides.retain(|other| other.calls != add.calls);
        if self.overrides.len() >= MAX_OVERRIDES {
            return Err(Refusal::TooManyOverrides);
        }
        self.overrides.push(Override {
            calls: add.calls,
            to: add.to,
            owner: add.owner.clone(),
            expires_at: later(
                now,
                SignedDuration::from_mins(i64::from(add.expires_in_minutes)),
            ),
        });
        Ok(Change::To(Some(self)))
    }

    pub(super) fn remove_override(mut self, remove: &RemoveOverride) -> Applied {
        let before = self.overrides.len();
        self.overrides.retain(|other| other.calls != remove.calls);
        if self.overrides.len() == before {
            return Ok(Change::Nothing(Unchanged::NoSuchOverride));
        }
        Ok(Change::To(Some(self)))
    }
}
