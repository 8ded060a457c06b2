//! What may be done to an environment from a page.

use super::form::Form;
use crate::domain::Environment;
use crate::domain::command::{Command, Cutover, Rollback, SetWeight};
use crate::domain::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout,
};
use crate::domain::rollout::plan::Plan;
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
    /// Have the candidate ramped up by a plan.
    Start,
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
    plan: Plan,
    keep_calls: bool,
    force_incompatible: bool,
    when: Promotion,
}

impl Action {
    /// All of them, in the order of a page.
    pub(super) const ALL: [Self; 8] = [
        Self::Rollback,
        Self::Start,
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
            Self::Start => "rollout",
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
            Self::Start => "Start a rollout",
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
            Self::Start => under_way.is_none(),
            Self::Pause | Self::Promote => under_way.is_some() && !is_paused,
            Self::Resume => is_paused,
            Self::Abort => under_way.is_some(),
        }
    }

    /// The command that `form` makes.
    pub(super) fn command(self, form: &Form) -> Result<Command, String> {
        let weight = match self {
            Self::Weight => {
                weight(form.field("weight")).map_err(|why| format!("the weight: {why}"))?
            }
            _ => Weight::ZERO,
        };
        let plan = match self {
            Self::Start => plan(form.field("plan"))?,
            _ => Plan::default(),
        };
        let is_now = form.field("when") == "now";
        Ok(self.with(Choices {
            weight,
            plan,
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
            plan: Plan::default(),
            keep_calls: false,
            force_incompatible: false,
            when: Promotion::Now,
        })
    }

    fn with(self, choices: Choices) -> Command {
        let Choices {
            weight,
            plan,
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
            Self::Start => StartRollout {
                plan,
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
            Self::Start => format!(
                "Gives {candidate} callers step by step, as long as the evidence allows, and takes it back if they come to harm."
            ),
            Self::Pause => "Stops in the present step until somebody resumes.".to_owned(),
            Self::Resume => "Goes on in the step that was paused, from its beginning.".to_owned(),
            Self::Promote => format!("Agrees that {candidate} leaves its present step."),
            Self::Abort => format!("Gives {candidate} up: every new call goes to {active}."),
        }
    }
}

/// A built-in plan, and what it does.
#[derive(Debug)]
pub(super) struct PlanChoice {
    pub(super) name: &'static str,
    pub(super) says: String,
    pub(super) is_chosen: bool,
}

impl PlanChoice {
    /// All of them, the one called `chosen` as the choice; the first one if that is none.
    pub(super) fn all(chosen: &str) -> Vec<Self> {
        let is_none = Plan::built_in(chosen).is_none();
        let choices = Plan::BUILT_IN.iter().enumerate();
        choices
            .map(|(place, name)| Self {
                name,
                says: Plan::built_in(name).as_ref().map(steps).unwrap_or_default(),
                is_chosen: *name == chosen || is_none && place == 0,
            })
            .collect()
    }
}

/// What `plan` does to the weight, and how long that takes at least.
fn steps(plan: &Plan) -> String {
    let steps = plan.steps.iter();
    let steps = steps.map(|step| match step.bake_minutes {
        0 => format!("{} %", step.weight),
        bake => format!("{} % for {bake} min", step.weight),
    });
    steps.collect::<Vec<_>>().join(", ")
}

/// The built-in plan called `name`; the usual one if nothing is.
fn plan(name: &str) -> Result<Plan, String> {
    if name.is_empty() {
        return Ok(Plan::default());
    }
    Plan::built_in(name)
        .ok_or_else(|| format!("the plan: expected {}", Plan::BUILT_IN.join(" or ")))
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
    fn a_plan_is_chosen_by_its_name_and_says_what_it_does() {
        let choices = PlanChoice::all("");
        let says: Vec<_> = choices.iter().map(|choice| choice.says.as_str()).collect();
        let canary = "5 % for 30 min, 25 % for 30 min, 50 % for 30 min, 100 % for 30 min";
        assert_eq!(says, [canary, "100 %"]);
        assert!(choices[0].is_chosen && !choices[1].is_chosen);
        let choices = PlanChoice::all("cutover");
        assert!(!choices[0].is_chosen && choices[1].is_chosen);
        assert_eq!(plan(""), plan("canary"));
        assert_ne!(plan("cutover"), plan("canary"));
        assert!(plan("mine").is_err());
    }

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
