//! The two sides of the comparison.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::slot::Slot;

/// Which version a call was drawn to. Which slot that is stays the same while a rollout lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// The version that callers already have.
    Active,
    /// The version under trial.
    Candidate,
}

impl Arm {
    /// Both arms, the active one first.
    pub const BOTH: [Self; 2] = [Self::Active, Self::Candidate];

    /// The arm of a call that `slot` took, `candidate` being the slot under trial.
    #[must_use]
    pub fn of(slot: Slot, candidate: Slot) -> Self {
        if slot == candidate {
            Self::Candidate
        } else {
            Self::Active
        }
    }

    /// The slot of this arm, `candidate` being the slot under trial.
    #[must_use]
    pub fn slot(self, candidate: Slot) -> Slot {
        match self {
            Self::Active => candidate.other(),
            Self::Candidate => candidate,
        }
    }
}

/// One value per arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ByArm<T> {
    /// The value of the version that callers already have.
    pub active: T,
    /// The value of the version under trial.
    pub candidate: T,
}

impl<T> ByArm<T> {
    /// Both values with their arms, the active one first.
    pub fn iter(&self) -> impl Iterator<Item = (Arm, &T)> {
        Arm::BOTH.into_iter().map(|arm| (arm, &self[arm]))
    }
}

impl<T> Index<Arm> for ByArm<T> {
    type Output = T;

    fn index(&self, arm: Arm) -> &T {
        match arm {
            Arm::Active => &self.active,
            Arm::Candidate => &self.candidate,
        }
    }
}

impl<T> IndexMut<Arm> for ByArm<T> {
    fn index_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Active => &mut self.active,
            Arm::Candidate => &mut self.candidate,
        }
    }
}

/// Calls, and how many of them ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// All calls.
    pub calls: u64,
    /// The bad ones among them.
    pub bad: u64,
}

impl Tally {
    /// One call.
    #[must_use]
    pub fn one(is_bad: bool) -> Self {
        Self {
            calls: 1,
            bad: u64::from(is_bad),
        }
    }

    /// The calls that did not end badly.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.calls.saturating_sub(self.bad)
    }

    /// Share of bad calls, 0 to 1; `None` without calls.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.bad as f64 / self.calls as f64)
    }

    /// Counts `more` in.
    pub fn add(&mut self, more: Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.bad = self.bad.saturating_add(more.bad);
    }
}
