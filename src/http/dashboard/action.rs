//! What may be done to an environment from a page.

use super::form::Form;
use crate::domain::Environment;
use crate::domain::command::{Command, Cutover, Rollback, SetWeight};
use crate::domain::rollout::command::{AbortRollout, PauseRollout, PromoteRollout, ResumeRollout};
use crate::domain::rollout::{Promotion, Status};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// Something that may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Take callers back.
    Rollback,
    /// Give the candidate every call.
    Cutover,
    /// Give the candidate a share.
    Weight,
    /// Stop the rollout in its step.
    Pause,
    /// Go on with it.
    Resume,
    /// Agree to leave its step.
    Promote,
    /// Give it up.
    Abort,
}

/// What is left open of an action. Each looks at its own.
struct Choices {
    weight: Weight,
    keep_calls: bool,
    force_incompatible: bool,
    when: Promotion,
}

impl Action {
    /// All of them, in the order of a page.
    pub(super) const ALL: [Self; 7] = [
        Self::Rollback,
        Self::Pause,
        Self::Resume,
        Self::Promote,
        Self::Abort,
        Self::Weight,
        Self::Cutover,
    ];

    /// Where it is done, below the environment: as in the admin API.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Cutover => "cutover",
            Self::Weight => "weight",
            Self::Pause => "rollout/pause",
            Self::Resume => "rollout/resume",
            Self::Promote => "rollout/promote",
            Self::Abort => "rollout/abort",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rollback => "Roll back",
            Self::Cutover => "Cut over",
            Self::Weight => "Set the weight",
            Self::Pause => "Pause the rollout",
            Self::Resume => "Resume the rollout",
            Self::Promote => "Promote",
            Self::Abort => "Abort the rollout",
        }
    }

    /// Whether it has to name the revision that was seen: all but what takes callers back, or stops.
    pub(super) fn names_revision(self) -> bool {
        !matches!(self, Self::Rollback | Self::Pause | Self::Abort)
    }

    /// Whether it may leave calls inside the version left.
    pub(super) fn may_keep_calls(self) -> bool {
        matches!(self, Self::Rollback | Self::Abort)
    }

    /// Whether it makes sense to offer it.
    pub(super) fn is_offered(self, environment: &Environment) -> bool {
        let under_way = environment.rollout_under_way();
        let is_paused = under_way.is_some_and(|one| matches!(one.status, Status::Paused { .. }));
        match self {
            Self::Rollback | Self::Cutover | Self::Weight => true,
            Self::Pause | Self::Promote => under_way.is_some() && !is_paused,
            Self::Resume => is_paused,
            Self::Abort => under_way.is_some(),
        }
    }

    /// The command that `form` makes.
    pub(super) fn command(self, form: &Form) -> Result<Command, String> {
        let weight = match self {
            Self::Weight => weight(form.field("weight"))?,
            _ => Weight::ZERO,
        };
        let is_now = form.field("when") == "now";
        Ok(self.with(Choices {
            weight,
            keep_calls: form.is_ticked("keep_calls"),
            force_incompatible: form.is_ticked("force"),
            when: if is_now {
                Promotion::Now
            } else {
                Promotion::WhenReady
            },
        }))
    }

    /// A command that tells whether it would be refused: the plainest, and of weights a little more than there is.
    pub(super) fn trial(self, environment: &Environment) -> Command {
        let more = environment.weight.bps().saturating_add(1);
        self.with(Choices {
            weight: Weight::from_bps(more).unwrap_or(Weight::FULL),
            keep_calls: false,
            force_incompatible: false,
            when: Promotion::Now,
        })
    }

    fn with(self, choices: Choices) -> Command {
        let Choices {
            weight,
            keep_calls,
            force_incompatible,
            when,
        } = choices;
        match self {
            Self::Rollback => Rollback { keep_calls }.into(),
            Self::Cutover => Cutover {
                to: None,
                force_incompatible,
            }
            .into(),
            Self::Weight => SetWeight {
                weight,
                force_incompatible,
            }
            .into(),
            Self::Pause => PauseRollout {}.into(),
            Self::Resume => ResumeRollout {}.into(),
            Self::Promote => PromoteRollout { when }.into(),
            Self::Abort => AbortRollout { keep_calls }.into(),
        }
    }

    /// What it comes to for callers, in words.
    pub(super) fn says(self, environment: &Environment, after: &Environment) -> String {
        let named = |slot: Slot| match &environment.slots[slot].version {
            Some(version) => format!("{slot} {}", version.label),
            None => slot.to_string(),
        };
        let active = named(environment.active);
        let candidate = named(environment.candidate());
        match self {
            Self::Rollback if after.active == environment.active => format!(
                "Takes back the {} % of new calls that {candidate} has: every new call goes to {active}.",
                environment.weight
            ),
            Self::Rollback => format!(
                "Goes back to {candidate}: every new call goes there. {active} is marked as rolled back."
            ),
            Self::Cutover => {
                format!("Every new call goes to {candidate}. Calls inside {active} finish there.")
            }
            Self::Weight => format!(
                "The percent of new calls that go to {candidate}; now {}.",
                environment.weight
            ),
            Self::Pause => "Stops in the present step until somebody resumes.".to_owned(),
            Self::Resume => "Goes on in the step that was paused, from its beginning.".to_owned(),
            Self::Promote => format!("Agrees that {candidate} leaves its present step."),
            Self::Abort => format!("Gives {candidate} up: every new call goes to {active}."),
        }
    }
}

/// A weight as people type it.
fn weight(text: &str) -> Result<Weight, String> {
    let text = text.trim();
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    text.replace(',', ".")
        .parse()
        .map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_read_as_people_type_it() {
        for text in ["12.5", " 12.5 ", "12,5", "12.5 %", "12.50%"] {
            assert_eq!(weight(text).map(Weight::bps), Ok(1_250), "{text}");
        }
        for text in ["", "%", "101", "5.001", "-1", "five"] {
            assert!(weight(text).is_err(), "{text}");
        }
    }
}
