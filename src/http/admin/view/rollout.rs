//! How the admin API shows a rollout under way, where the environment is what is looked at.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::environment::Environment;
use crate::domain::rollout::Status;

/// A rollout under way, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolloutGlance {
    /// The step it is in, from 1.
    step: usize,
    /// How many steps it has.
    steps: usize,
    /// Why it is paused, in words; null if it is not.
    paused: Option<String>,
}

impl RolloutGlance {
    /// The rollout of `environment`, if one is under way.
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        let rollout = environment.rollout_under_way()?;
        let (step, paused) = match &rollout.status {
            Status::Running { step, .. } => (step, None),
            Status::Paused { step, cause, .. } => (step, Some(cause.to_string())),
            Status::Finished | Status::Aborted(_) => return None,
        };
        Some(Self {
            step: step + 1,
            steps: rollout.plan.steps.len(),
            paused,
        })
    }
}
