//! Why a call goes where it goes: each rule with what it looked at, whether or not it came to it.

use jiff::Timestamp;

use super::compiled::{Numbers, Place};
use super::{Bucket, Compiled, Decision, Reason, Request, decide};
use crate::domain::conversation::Conversation;
use crate::domain::environment::{ReturnBar, TestBar};
use crate::domain::ids::Owner;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;
use crate::domain::weight::Weight;

/// How the rules come to a decision about one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// The decision.
    pub decision: Decision,
    /// Whether the caller's number reads as one.
    pub ani: NumberText,
    /// Whether the dialled number reads as one.
    pub dnis: NumberText,
    /// Every override, in the order in which they are tried.
    pub overrides: Vec<OverrideTrace<'a>>,
    /// What the call's version comes to.
    pub affinity: Affinity,
    /// The place of the call among all.
    pub bucket: Bucket,
    /// Whether the bucket was drawn for want of a conversation id: the next call may fall into another one.
    pub is_drawn: bool,
    /// Share of new calls that goes to the candidate.
    pub weight: Weight,
    /// The active slot.
    pub active: Slot,
    /// The slot of new calls in this bucket.
    pub weighted: Slot,
}

/// What stands where a number is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberText {
    /// Nothing.
    Absent,
    /// A number.
    Number,
    /// Something that no override can be for.
    NoNumber,
}

/// One override, and what it comes to for this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideTrace<'a> {
    /// The calls that it is for.
    pub calls: TestCalls,
    /// The slot that takes them.
    pub to: Slot,
    /// Who answers for it.
    pub owner: &'a Owner,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What it comes to.
    pub outcome: OverrideOutcome,
}

/// What an override comes to for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverrideOutcome {
    /// The call has another number, or none.
    OtherNumber,
    /// It is for this call, and has expired.
    Expired,
    /// It is for this call, and its slot takes no test calls.
    Barred(TestBar),
    /// It is for this call, and so is one that comes before.
    Outranked,
    /// It takes the call.
    Applies,
}

/// What the version that a call has been in comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// The call names none.
    Unnamed,
    /// The environment does not remember it.
    Unknown,
    /// No slot holds it any more.
    Retired,
    /// This slot holds it and does not take the call back.
    Barred(Slot, ReturnBar),
    /// This slot holds it and takes the call back.
    Applies(Slot),
}

impl Explanation<'_> {
    /// The slot that `rule` gives the call to; `None` if it does not apply. The first rule that applies decides.
    #[must_use]
    pub fn slot_by(&self, rule: Reason) -> Option<Slot> {
        match rule {
            Reason::Override => self
                .overrides
                .iter()
                .find(|one| one.outcome == OverrideOutcome::Applies)
                .map(|one| one.to),
            Reason::Affinity => match self.affinity {
                Affinity::Applies(slot) => Some(slot),
                _ => None,
            },
            Reason::Weighted => (!self.weight.is_zero()).then_some(self.weighted),
            Reason::Active => self.weight.is_zero().then_some(self.active),
        }
    }
}

/// How [`decide`] comes to its decision about a call at `now`, with `draw` for the bucket of one without an id.
///
/// The decision is [`decide`]'s own; the traces come from what it is made of.
#[must_use]
pub fn explain<'a>(
    environment: &'a Compiled,
    request: &Request<'_>,
    now: Timestamp,
    draw: Bucket,
) -> Explanation<'a> {
    let is_drawn = request.conversation_id.is_empty();
    let bucket = if is_drawn {
        draw
    } else {
        environment.bucket(&Conversation::of(request.conversation_id))
    };
    Explanation {
        decision: decide(environment, request, || now, || draw),
        ani: number_text(request.ani),
        dnis: number_text(request.dnis),
        overrides: trace_overrides(environment, request, now),
        affinity: trace_affinity(environment, request.flow_version),
        bucket,
        is_drawn,
        weight: environment.weight,
        active: environment.active,
        weighted: environment.slot_of(bucket),
    }
}

fn number_text(text: &str) -> NumberText {
    match text.parse::<PhoneNumber>() {
        Ok(_) => NumberText::Number,
        Err(_) if text.is_empty() => NumberText::Absent,
        Err(_) => NumberText::NoNumber,
    }
}

fn trace_overrides<'a>(
    environment: &'a Compiled,
    request: &Request<'_>,
    now: Timestamp,
) -> Vec<OverrideTrace<'a>> {
    let numbers = Numbers::of(request);
    let mut is_taken = false;
    let trace = environment.overrides.iter().map(|one| OverrideTrace {
        calls: one.calls,
        to: one.to,
        owner: &one.owner,
        expires_at: one.expires_at,
        outcome: if !numbers.belong_to(one.calls) {
            OverrideOutcome::OtherNumber
        } else if one.has_expired(now) {
            OverrideOutcome::Expired
        } else if let Some(bar) = one.bar {
            OverrideOutcome::Barred(bar)
        } else if std::mem::replace(&mut is_taken, true) {
            OverrideOutcome::Outranked
        } else {
            OverrideOutcome::Applies
        },
    });
    trace.collect()
}

fn trace_affinity(environment: &Compiled, flow_version: &str) -> Affinity {
    match environment.version(flow_version) {
        None if flow_version.is_empty() => Affinity::Unnamed,
        None => Affinity::Unknown,
        Some(version) => match version.place {
            Place::Retired => Affinity::Retired,
            Place::Held(slot, Some(bar)) => Affinity::Barred(slot, bar),
            Place::Held(slot, None) => Affinity::Applies(slot),
        },
    }
}
