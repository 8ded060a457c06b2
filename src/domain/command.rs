//! The commands that change an environment.
//!
//! One value from end to end: the CLI builds it, its members are the JSON body of the admin API's route of the same name
//! (beside `reason`), and [`Environment::apply`](crate::domain::Aggregate::apply) takes it.

mod assignments;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

pub use assignments::Assignments;

use super::Action;
use super::ids::{
    FlowId, FlowName, FreezeNumber, InterfaceNumber, Owner, PublishedVersion, Reason, VersionLabel,
};
use super::interface::Interface;
use super::rollout::Move;
use super::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout, StepRollout,
};
use super::slot::{BySlot, Slot};
use super::test_calls::TestCalls;
use super::weight::Weight;
use super::whole_number;

/// A change of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Bring the environment into being.
    Create(Create),
    /// Say which flow version a slot now holds.
    Register(Register),
    /// Reserve a slot before publishing to its flow.
    Claim(Claim),
    /// Give a claim back.
    Release(Release),
    /// Bind a slot to another Architect flow.
    Rebind(Rebind),
    /// Make the candidate active.
    Cutover(Cutover),
    /// Take new calls away from the version that should not have them.
    Rollback(Rollback),
    /// Set the share of new calls that goes to the candidate.
    SetWeight(SetWeight),
    /// Send a tester's calls to one slot for a while.
    AddOverride(AddOverride),
    /// End such an override before its time.
    RemoveOverride(RemoveOverride),
    /// Let nobody move callers towards a candidate for a while.
    AddFreeze(AddFreeze),
    /// End such a time before its end, or before its beginning.
    RemoveFreeze(RemoveFreeze),
    /// Say which variables an interface has.
    DefineInterface(DefineInterface),
    /// Remove an interface that no flow version names.
    RemoveInterface(RemoveInterface),
    /// Give variables values.
    SetVariables(SetVariables),
    /// Remove the environment.
    Delete(Delete),
    /// Start to ramp the candidate up by a plan.
    StartRollout(StartRollout),
    /// Stop the ramp in its present step.
    PauseRollout(PauseRollout),
    /// Go on with the ramp.
    ResumeRollout(ResumeRollout),
    /// Agree to leave the present step.
    PromoteRollout(PromoteRollout),
    /// Give the candidate up.
    AbortRollout(AbortRollout),
    /// Carry out what follows from the evidence.
    StepRollout(Box<StepRollout>),
}

impl Command {
    /// The name of every action that there is.
    pub const ACTIONS: [&'static str; 23] = [
        "create",
        "register",
        "claim",
        "release",
        "rebind",
        "cutover",
        "rollback",
        "set_weight",
        "add_override",
        "remove_override",
        "add_freeze",
        "remove_freeze",
        "define_interface",
        "remove_interface",
        "set_variables",
        "delete",
        "start_rollout",
        "pause_rollout",
        "resume_rollout",
        "promote_rollout",
        "abort_rollout",
        "advance_rollout",
        "finish_rollout",
    ];
}

impl Action for Command {
    fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Register(_) => "register",
            Self::Claim(_) => "claim",
            Self::Release(_) => "release",
            Self::Rebind(_) => "rebind",
            Self::Cutover(_) => "cutover",
            Self::Rollback(_) => "rollback",
            Self::SetWeight(_) => "set_weight",
            Self::AddOverride(_) => "add_override",
            Self::RemoveOverride(_) => "remove_override",
            Self::AddFreeze(_) => "add_freeze",
            Self::RemoveFreeze(_) => "remove_freeze",
            Self::DefineInterface(_) => "define_interface",
            Self::RemoveInterface(_) => "remove_interface",
            Self::SetVariables(_) => "set_variables",
            Self::Delete(_) => "delete",
            Self::StartRollout(_) => "start_rollout",
            Self::PauseRollout(_) => "pause_rollout",
            Self::ResumeRollout(_) => "resume_rollout",
            Self::PromoteRollout(_) => "promote_rollout",
            Self::AbortRollout(_) => "abort_rollout",
            Self::StepRollout(step) => match step.chosen {
                Move::Advance => "advance_rollout",
                Move::Finish => "finish_rollout",
                Move::Pause(_) => "pause_rollout",
                Move::Abort(_) => "abort_rollout",
            },
        }
    }

    fn is_rescue(&self) -> bool {
        matches!(self, Self::Rollback(_))
    }

    fn asks_for_last_calls(&self) -> bool {
        matches!(self, Self::Claim(_))
    }

    fn may_outgrow(&self) -> bool {
        match self {
            Self::Rollback(_) | Self::PauseRollout(_) | Self::AbortRollout(_) => true,
            Self::StepRollout(step) => matches!(step.chosen, Move::Pause(_) | Move::Abort(_)),
            _ => false,
        }
    }

    fn fingerprint(&self) -> String {
        // Commands are structs of texts and numbers: nothing that JSON cannot say.
        serde_json::to_string(self).expect("a command as JSON")
    }
}

/// An Architect flow that a slot is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// Its name.
    pub name: FlowName,
}

/// Bring an environment into being, with one slot active and the other empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// The flow each slot is bound to. The transfer in the Traffic Cop flow is fixed, so this stays.
    #[serde(deserialize_with = "two_flows")]
    #[schema(value_type = TwoFlows)]
    pub flows: BySlot<Flow>,
    /// The slot that takes calls from the start; blue if left out.
    #[serde(default = "blue")]
    pub active: Slot,
    /// The flow version that the active slot holds.
    pub flow_version: VersionLabel,
    /// The interface of that version; 0, none, if left out.
    #[serde(default)]
    pub interface: InterfaceNumber,
    /// The variables of that interface, which nobody can have defined before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Interface>,
}

/// A flow per slot and nothing else: what stands beside them would be ignored, and its sender not know.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TwoFlows {
    blue: Flow,
    green: Flow,
}

fn two_flows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BySlot<Flow>, D::Error> {
    let TwoFlows { blue, green } = Deserialize::deserialize(deserializer)?;
    Ok(BySlot { blue, green })
}

fn blue() -> Slot {
    Slot::Blue
}

/// Say which flow version a slot now holds, after it was published there. Releases the claim that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The slot; the candidate if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// A label that no version of this environment has or recently had.
    pub flow_version: VersionLabel,
    /// What Genesys Cloud calls the version of the flow that was published, such as 45.0: the id or the name of the flow's
    /// published version. A preflight compares it with what is published then; nothing else depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_version: Option<PublishedVersion>,
    /// The version's interface; 0, none, if left out.
    #[serde(default)]
    pub interface: InterfaceNumber,
    /// Whether it may lack variables, or change their types, that the interface in the active slot has. The reason should say
    /// why.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_incompatible: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reserve a slot for a flow version about to be published. A claimed slot is no target for calls until that version is
/// registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The slot; the candidate if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The version that will be registered.
    pub flow_version: VersionLabel,
    /// Minutes after which the claim expires, 1 to 1,440. The slot's content is unknown from then on.
    #[serde(default = "one_hour", deserialize_with = "whole_number::read")]
    #[schema(minimum = 1, maximum = 1440)]
    pub expires_in_minutes: u16,
}

fn one_hour() -> u16 {
    60
}

/// Give a claim back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The slot; the candidate if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Whether you vouch that nothing was published since the slot's version was registered: it is restored. Otherwise the
    /// content is unknown until a version is registered.
    #[serde(default)]
    pub nothing_published: bool,
}

/// Bind a slot that takes no calls to another Architect flow. The slot is empty afterwards, and the Traffic Cop flow has to
/// be exported again, since its transfer names the flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebind {
    /// The slot.
    pub slot: Slot,
    /// The flow it is bound to from now on.
    pub flow: Flow,
}

/// Make the candidate active: it takes every new call. Calls inside the version left finish there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cutover {
    /// The slot to end up active; the candidate if left out. Naming it makes a repeat harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Slot>,
    /// Whether the candidate's version may lack variables, or change their types, that the interface in the active slot has. The
    /// reason should say why.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_incompatible: bool,
}

/// Take new calls away from the candidate; or, if it has none, go back to the version that was active before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Whether calls that are inside the version left may still return to it.
    #[serde(default)]
    pub keep_calls: bool,
}

/// Set the share of new calls that goes to the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWeight {
    /// Percent, 0 to 100, at most two decimals.
    pub weight: Weight,
    /// Whether the candidate's version may lack variables, or change their types, that the interface in the active slot has. The
    /// reason should say why.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_incompatible: bool,
}

/// Say which variables an interface has. Once a flow version names it, it stays as it is: then define the next number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineInterface {
    /// Its number, from 1.
    pub number: InterfaceNumber,
    /// Its variables.
    pub variables: Interface,
}

/// Remove an interface that no flow version names, be it in a slot or among the retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveInterface {
    /// Its number.
    pub number: InterfaceNumber,
}

/// Give variables values. Those that are not named keep theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVariables {
    /// Each variable's value, or null for its default. Some interface of the environment has to declare the variable, with a
    /// type that the value is of; a text also stands for the number or truth value that it spells.
    pub values: Assignments,
}

/// Send a tester's calls to one slot for a while, whatever the weight. Takes the place of an override for the same calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddOverride {
    /// The calls: those from one number, or those to one.
    pub calls: TestCalls,
    /// The slot that takes them. It has to hold a known flow version.
    pub to: Slot,
    /// Minutes after which the override expires, 1 to 1,440.
    #[serde(default = "one_hour", deserialize_with = "whole_number::read")]
    #[schema(minimum = 1, maximum = 1440)]
    pub expires_in_minutes: u16,
    /// Who answers for it, for whoever wonders later.
    pub owner: Owner,
}

/// End a smoke-test override before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveOverride {
    /// The calls that it is for.
    pub calls: TestCalls,
}

/// Let nobody move callers towards a candidate for a while. Rollback, abort and pause go on as ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddFreeze {
    /// When that begins; at once if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ends.
    pub end: Timestamp,
    /// Why: that of the change.
    pub reason: Reason,
}

/// Remove a freeze window, whether it has begun or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveFreeze {
    /// Its number.
    pub number: FreezeNumber,
}

/// Remove the environment. Its history stays; creating it again continues its revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {}

/// Turns each command's members into the [`Command`] they make.
macro_rules! commands {
    ($($name:ident),*) => {
        $(impl From<$name> for Command {
            fn from(members: $name) -> Self {
                Self::$name(members)
            }
        })*
    };
}

commands!(
    Create,
    Register,
    Claim,
    Release,
    Rebind,
    Cutover,
    Rollback,
    SetWeight,
    AddOverride,
    RemoveOverride,
    AddFreeze,
    RemoveFreeze,
    DefineInterface,
    RemoveInterface,
    SetVariables,
    Delete,
    StartRollout,
    PauseRollout,
    ResumeRollout,
    PromoteRollout,
    AbortRollout
);

impl From<StepRollout> for Command {
    fn from(members: StepRollout) -> Self {
        Self::StepRollout(Box::new(members))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_has_its_action_in_the_list() {
        let unknown = serde_json::from_str::<Command>(r#"{"?":{}}"#).unwrap_err();
        let unknown = unknown.to_string();
        // The error names every command there is.
        let mut named: BTreeSet<_> = unknown.split('`').skip(1).step_by(2).collect();
        assert!(named.remove("?") && named.remove("step_rollout"));
        named.extend(["advance_rollout", "finish_rollout"]);
        assert_eq!(named, BTreeSet::from(Command::ACTIONS));
    }
}
