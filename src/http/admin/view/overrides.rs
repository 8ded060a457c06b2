//! How the admin API shows smoke-test overrides.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::environment::{Environment, Override};
use crate::domain::ids::Owner;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;

/// A smoke-test override.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http::admin) struct OverrideView {
    /// The calls that it is for.
    calls: TestCalls,
    /// The slot that takes them.
    to: Slot,
    /// Who answers for it.
    owner: Owner,
    /// When it ends.
    expires_at: Timestamp,
    /// Whether it takes its calls.
    status: OverrideStatus,
}

/// Whether an override takes its calls.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OverrideStatus {
    /// It does.
    InForce,
    /// Not while its slot is claimed, holds something unknown or nothing.
    Paused,
    /// Not any more. The next change of the environment takes it along.
    Expired,
}

impl OverrideView {
    /// The overrides of `environment` as they are at `now`, the last added last.
    pub(super) fn all(environment: &Environment, now: Timestamp) -> Vec<Self> {
        let overrides = environment.overrides.iter();
        overrides
            .map(|one| Self {
                calls: one.calls,
                to: one.to,
                owner: one.owner.clone(),
                expires_at: one.expires_at,
                status: OverrideStatus::of(one, environment, now),
            })
            .collect()
    }
}

impl OverrideStatus {
    fn of(one: &Override, environment: &Environment, now: Timestamp) -> Self {
        if one.expires_at <= now {
            Self::Expired
        } else if environment.slots[one.to].bars_test_calls().is_some() {
            Self::Paused
        } else {
            Self::InForce
        }
    }
}
