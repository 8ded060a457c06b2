//! How the admin API shows freeze windows.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::freeze::{Freeze, Freezes, Frozen, Place};
use crate::domain::ids::{FreezeNumber, Reason};

/// A freeze window.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct FreezeView {
    /// Its number.
    number: FreezeNumber,
    /// When it begins.
    start: Timestamp,
    /// When it ends: the first moment that is free again.
    end: Timestamp,
    /// Why it was set.
    reason: Reason,
    /// Whether it has begun, and not ended.
    status: FreezeStatus,
}

/// Whether a window is in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FreezeStatus {
    /// It is to come.
    Scheduled,
    /// It is.
    InForce,
    /// Not any more. The next change takes it along.
    Ended,
}

impl FreezeView {
    /// `freezes` as they are at `now`, the last added last.
    pub(in crate::http::admin) fn all(freezes: &Freezes, now: Timestamp) -> Vec<Self> {
        let views = freezes.iter().map(|(number, freeze)| Self {
            number,
            start: freeze.start,
            end: freeze.end,
            reason: freeze.reason.clone(),
            status: FreezeStatus::of(freeze, now),
        });
        views.collect()
    }
}

impl FreezeStatus {
    fn of(freeze: &Freeze, now: Timestamp) -> Self {
        if freeze.is_in_force(now) {
            Self::InForce
        } else if freeze.end <= now {
            Self::Ended
        } else {
            Self::Scheduled
        }
    }
}

/// The freeze window in force that ends last.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct FrozenView {
    /// Whether it is the environment's or the deployment's.
    place: Place,
    /// Its number.
    number: FreezeNumber,
    /// When it ends.
    until: Timestamp,
    /// Why it was set.
    reason: Reason,
}

impl From<Frozen> for FrozenView {
    fn from(frozen: Frozen) -> Self {
        Self {
            place: frozen.place,
            number: frozen.number,
            until: frozen.until,
            reason: frozen.reason,
        }
    }
}
