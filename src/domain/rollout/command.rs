//! The commands of a rollout: those of people, and the one of the controller.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::Plan;
use super::step::Move;
use super::{Promotion, Rollout};
use crate::domain::ids::Revision;
use crate::domain::judge::record::Record;

/// Start to ramp the candidate up by a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRollout {
    /// The plan; the built-in one, `canary`, if left out.
    #[serde(default)]
    pub plan: Plan,
    /// Whether the candidate's version may lack variables, or change their types, that the interface in the active slot has. The
    /// reason should say why.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_incompatible: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Stop in the present step until somebody resumes. The plan says what becomes of the weight meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRollout {}

/// Go on in the step that was paused, from its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRollout {}

/// Agree to leave the present step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRollout {
    /// At which moment.
    #[serde(default = "when_ready")]
    pub when: Promotion,
}

fn when_ready() -> Promotion {
    Promotion::WhenReady
}

/// Give the candidate up: it takes no new calls, and the version is marked as rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortRollout {
    /// Whether calls that are inside the version left may still return to it.
    #[serde(default)]
    pub keep_calls: bool,
}

/// Carry out what follows from the evidence: the controller's command. It has no route; nobody else can know the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRollout {
    /// The revision that entered the step for which `chosen` was chosen.
    pub entered: Revision,
    /// What to do.
    pub chosen: Move,
    /// What the judge knew when it was chosen.
    pub record: Record,
}

impl StepRollout {
    /// `chosen`, as it follows for `rollout` from what the judge knows.
    #[must_use]
    pub fn of(rollout: &Rollout, chosen: Move, record: Record) -> Self {
        Self {
            entered: rollout.entered(),
            chosen,
            record,
        }
    }
}
