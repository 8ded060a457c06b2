//! How the admin API shows an explanation.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Basis;
use crate::domain::command::Flow;
use crate::domain::decision::{
    Affinity, Explanation, NumberText, OverrideOutcome, OverrideTrace, Reason,
};
use crate::domain::environment::{ReturnBar, TestBar};
use crate::domain::ids::{EnvironmentName, InterfaceNumber, Owner, Revision, VersionLabel};
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;
use crate::domain::weight::Weight;
use crate::http::admin::view::Freshness;

/// Why a call goes where it goes: each rule and what it looked at. The first rule that applies decides.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplanationView {
    /// The environment.
    environment: EnvironmentName,
    /// The revision decided by.
    revision: Revision,
    /// The time at which overrides are judged.
    at: Timestamp,
    /// The decision.
    decision: DecisionView,
    /// The first rule: smoke tests.
    #[serde(rename = "override")]
    overrides: OverrideRule,
    /// The second rule: a call returns to the version it was in.
    affinity: AffinityRule,
    /// The third rule: the conversation's bucket lies below the weight.
    weighted: WeightedRule,
    /// The last rule: no new call goes to the candidate.
    active: ActiveRule,
    /// Why a later record's state is not the one decided by; null if there is none.
    fault: Option<String>,
    #[serde(flatten)]
    freshness: Freshness,
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionView {
    /// The slot that takes the call.
    slot: Slot,
    /// The rule that decided: `override`, `affinity`, `weighted` or `active`.
    reason: &'static str,
    /// The flow that takes the call.
    flow: Flow,
    /// The version in that slot.
    flow_version: Option<VersionLabel>,
    /// Whether the version that the call named was recognised; true if it named none.
    flow_version_known: bool,
    /// The interface of the version that the call named; 0 is none.
    interface: InterfaceNumber,
}

/// What the overrides come to.
#[derive(Debug, Serialize, ToSchema)]
struct OverrideRule {
    /// Whether one takes the call.
    applies: bool,
    /// The slot that it gives the call to.
    slot: Option<Slot>,
    /// Whether the caller's number reads as one.
    ani: NumberView,
    /// Whether the dialled number reads as one.
    dnis: NumberView,
    /// Every override, in the order in which they are tried.
    overrides: Vec<OverrideTraceView>,
}

/// What stands where a number is expected. The number itself is not repeated.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NumberView {
    /// Nothing.
    Absent,
    /// A number.
    Number,
    /// Something that no override can be for.
    NoNumber,
}

/// An override, and what it comes to for this call.
#[derive(Debug, Serialize, ToSchema)]
struct OverrideTraceView {
    /// The calls that it is for.
    calls: TestCalls,
    /// The slot that takes them.
    to: Slot,
    /// Who answers for it.
    owner: Owner,
    /// When it ends.
    expires_at: Timestamp,
    /// What it comes to.
    outcome: OverrideOutcomeView,
}

/// What an override comes to for a call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OverrideOutcomeView {
    /// It takes the call.
    Applies,
    /// It is for other calls.
    OtherNumber,
    /// It has expired.
    Expired,
    /// Its slot is empty.
    SlotEmpty,
    /// Its slot is claimed, or holds something unknown since a claim ended.
    SlotClaimed,
    /// One that comes before takes the call.
    Outranked,
}

/// What the version that the call has been in comes to.
#[derive(Debug, Serialize, ToSchema)]
struct AffinityRule {
    /// Whether a slot takes the call back.
    applies: bool,
    /// The slot that holds the version.
    slot: Option<Slot>,
    /// What the version comes to.
    outcome: AffinityOutcome,
}

/// What the version that a call has been in comes to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AffinityOutcome {
    /// The slot takes the call back.
    Applies,
    /// The call names no version.
    NoVersion,
    /// The environment does not remember the version.
    UnknownVersion,
    /// No slot holds the version any more.
    RetiredVersion,
    /// The version was rolled back without keeping the calls inside it.
    RolledBack,
    /// The slot is claimed, or holds something unknown since a claim ended.
    SlotClaimed,
}

/// What the weight comes to.
#[derive(Debug, Serialize, ToSchema)]
struct WeightedRule {
    /// Whether the weight is above zero.
    applies: bool,
    /// The slot of new calls in this bucket.
    slot: Slot,
    /// The call's place among 10,000, from 0. The candidate takes those below a hundred times the weight.
    bucket: u16,
    /// Whether the bucket was drawn for want of a conversation id: the next call may fall into another one.
    drawn: bool,
    /// Percent of new calls that go to the candidate.
    weight: Weight,
}

/// What is left when no other rule applies.
#[derive(Debug, Serialize, ToSchema)]
struct ActiveRule {
    /// Whether the weight is zero.
    applies: bool,
    /// The active slot.
    slot: Slot,
}

impl ExplanationView {
    pub(super) fn new(basis: &Basis, explanation: &Explanation<'_>, freshness: Freshness) -> Self {
        let slot_by = |rule| explanation.slot_by(rule);
        let overrides = explanation.overrides.iter();
        Self {
            environment: basis.compiled.name.clone(),
            revision: basis.compiled.revision,
            at: basis.time,
            decision: DecisionView::new(basis, explanation),
            overrides: OverrideRule {
                applies: slot_by(Reason::Override).is_some(),
                slot: slot_by(Reason::Override),
                ani: explanation.ani.into(),
                dnis: explanation.dnis.into(),
                overrides: overrides.map(OverrideTraceView::from).collect(),
            },
            affinity: explanation.affinity.into(),
            weighted: WeightedRule {
                applies: slot_by(Reason::Weighted).is_some(),
                slot: explanation.weighted,
                bucket: explanation.bucket.number(),
                drawn: explanation.is_drawn,
                weight: explanation.weight,
            },
            active: ActiveRule {
                applies: slot_by(Reason::Active).is_some(),
                slot: explanation.active,
            },
            fault: basis.fault.clone(),
            freshness,
        }
    }
}

impl DecisionView {
    fn new(basis: &Basis, explanation: &Explanation<'_>) -> Self {
        let decision = &explanation.decision;
        let slot = &basis.environment.slots[decision.slot];
        Self {
            slot: decision.slot,
            reason: decision.reason.as_str(),
            flow: slot.flow.clone(),
            flow_version: slot.version.as_ref().map(|version| version.label.clone()),
            flow_version_known: decision.flow_version_known,
            interface: decision.interface,
        }
    }
}

impl From<NumberText> for NumberView {
    fn from(text: NumberText) -> Self {
        match text {
            NumberText::Absent => Self::Absent,
            NumberText::Number => Self::Number,
            NumberText::NoNumber => Self::NoNumber,
        }
    }
}

impl From<&OverrideTrace<'_>> for OverrideTraceView {
    fn from(trace: &OverrideTrace<'_>) -> Self {
        Self {
            calls: trace.calls,
            to: trace.to,
            owner: trace.owner.clone(),
            expires_at: trace.expires_at,
            outcome: match trace.outcome {
                OverrideOutcome::Applies => OverrideOutcomeView::Applies,
                OverrideOutcome::OtherNumber => OverrideOutcomeView::OtherNumber,
                OverrideOutcome::Expired => OverrideOutcomeView::Expired,
                OverrideOutcome::Barred(TestBar::Empty) => OverrideOutcomeView::SlotEmpty,
                OverrideOutcome::Barred(TestBar::Claimed) => OverrideOutcomeView::SlotClaimed,
                OverrideOutcome::Outranked => OverrideOutcomeView::Outranked,
            },
        }
    }
}

impl From<Affinity> for AffinityRule {
    fn from(affinity: Affinity) -> Self {
        let (slot, outcome) = match affinity {
            Affinity::Unnamed => (None, AffinityOutcome::NoVersion),
            Affinity::Unknown => (None, AffinityOutcome::UnknownVersion),
            Affinity::Retired => (None, AffinityOutcome::RetiredVersion),
            Affinity::Applies(slot) => (Some(slot), AffinityOutcome::Applies),
            Affinity::Barred(slot, bar) => match bar {
                ReturnBar::RolledBack => (Some(slot), AffinityOutcome::RolledBack),
                ReturnBar::Claimed => (Some(slot), AffinityOutcome::SlotClaimed),
            },
        };
        Self {
            applies: matches!(outcome, AffinityOutcome::Applies),
            slot,
            outcome,
        }
    }
}
