//! Freeze windows: times in which no caller is moved towards a candidate, such as the days before a holiday.
//!
//! They never stop a rollback, an abort or a pause: what takes callers back is always allowed.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::command::AddFreeze;
use super::ids::{FreezeNumber, Reason};
use super::refusal::Refusal;

/// How many freeze windows one place holds at most, those to come included.
pub const MAX_FREEZES: usize = 16;

/// A freeze window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends: the first moment that is free again.
    pub end: Timestamp,
    /// Why, in the words of whoever set it.
    pub reason: Reason,
}

impl Freeze {
    /// The window that `add`, given at `now`, makes.
    #[must_use]
    pub fn of(add: &AddFreeze, now: Timestamp) -> Self {
        Self {
            start: add.start.unwrap_or(now),
            end: add.end,
            reason: add.reason.clone(),
        }
    }

    /// Whether it is in force at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }
}

/// The freeze windows of one place. Some may have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Freezes(BTreeMap<FreezeNumber, Freeze>);

impl Freezes {
    /// The windows in the order of their numbers, which is that in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FreezeNumber, &Freeze)> {
        self.0.iter().map(|(number, freeze)| (*number, freeze))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The window in force at `now`: of several, the one that ends last.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Option<(FreezeNumber, &Freeze)> {
        let in_force = self.iter().filter(|(_, freeze)| freeze.is_in_force(now));
        in_force.max_by_key(|(_, freeze)| freeze.end)
    }

    /// Adds a window.
    ///
    /// # Errors
    /// It has no length or is over by `now`, or there are as many as there may be.
    pub fn add(
        &mut self,
        number: FreezeNumber,
        freeze: Freeze,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if freeze.end <= freeze.start || freeze.end <= now {
            return Err(Refusal::FreezeSpan);
        }
        if self.0.len() >= MAX_FREEZES {
            return Err(Refusal::TooManyFreezes);
        }
        self.0.insert(number, freeze);
        Ok(())
    }

    /// Removes a window. Returns whether it was there.
    pub fn remove(&mut self, number: FreezeNumber) -> bool {
        self.0.remove(&number).is_some()
    }

    /// Forgets the windows that are over by `now`.
    pub fn drop_ended(&mut self, now: Timestamp) {
        self.0.retain(|_, freeze| freeze.end > now);
    }

    /// What is wrong with them, if anything is: for a state read from outside. Commands keep it.
    #[must_use]
    pub fn inconsistency(&self) -> Option<&'static str> {
        if self.0.len() > MAX_FREEZES {
            return Some("too many freeze windows");
        }
        if self.0.values().any(|freeze| freeze.end <= freeze.start) {
            return Some("a freeze window ends before it starts");
        }
        None
    }
}

impl FromIterator<(FreezeNumber, Freeze)> for Freezes {
    fn from_iter<I: IntoIterator<Item = (FreezeNumber, Freeze)>>(freezes: I) -> Self {
        Self(freezes.into_iter().collect())
    }
}

/// Where a freeze window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In one environment.
    Environment,
    /// In all of them.
    Deployment,
}

/// A freeze window in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Whether it is the environment's or the deployment's.
    pub place: Place,
    /// Its number.
    pub number: FreezeNumber,
    /// When it ends.
    pub until: Timestamp,
    /// Why it was set.
    pub reason: Reason,
}

impl Frozen {
    /// What of `freezes`, those of `place`, is in force at `now`.
    #[must_use]
    pub fn of(freezes: &Freezes, place: Place, now: Timestamp) -> Option<Self> {
        let (number, freeze) = freezes.in_force(now)?;
        Some(Self {
            place,
            number,
            until: freeze.end,
            reason: freeze.reason.clone(),
        })
    }
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            number,
            until,
            reason,
        } = self;
        let whose = match place {
            Place::Environment => "",
            Place::Deployment => " of the deployment",
        };
        write!(f, "freeze window {number}{whose} until {until} ({reason})")
    }
}
