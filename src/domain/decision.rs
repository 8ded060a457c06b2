//! Which slot takes a call.
//!
//! The rules, the first that applies: **override**, one of the call's numbers is under test; **affinity**, the call has been in
//! a version that a slot holds now and that still admits its own calls; **weighted**, the conversation id's bucket lies below
//! the weight; **active**, the weight is zero. Stickiness comes from the inputs alone, so replicas at one revision give one
//! answer, on the same side of every override's expiry.

mod compiled;
mod explain;
mod interfaces;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::conversation::Conversation;
use super::environment::Salt;
use super::ids::InterfaceNumber;
use super::judge::evidence::ConversationHash;
use super::slot::Slot;
use super::weight::Weight;
use compiled::KnownVersion;

pub use compiled::{Compiled, CompiledSlot};
pub use explain::{Affinity, Explanation, NumberText, OverrideOutcome, OverrideTrace, explain};

/// What a caller says about its call. Empty means absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Id of the conversation; decides the bucket.
    pub conversation_id: &'a str,
    /// Label of the flow version the call has already been in.
    pub flow_version: &'a str,
    /// The caller's number, in any spelling. Compared with the environment's overrides, and then forgotten.
    pub ani: &'a str,
    /// The dialled number, likewise.
    pub dnis: &'a str,
}

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A smoke-test override is for this call.
    Override,
    /// The call returns to the version it was in.
    Affinity,
    /// The conversation's bucket was compared with the weight.
    Weighted,
    /// No new call goes to the candidate.
    Active,
}

impl Reason {
    /// Every rule, in the order they are tried.
    pub const ALL: [Self; 4] = [Self::Override, Self::Affinity, Self::Weighted, Self::Active];

    /// The rule's name on the wire and in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Affinity => "affinity",
            Self::Weighted => "weighted",
            Self::Active => "active",
        }
    }
}

/// Where a call goes, and what the caller should know about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The slot that takes the call.
    pub slot: Slot,
    /// The rule that decided.
    pub reason: Reason,
    /// Whether the environment remembers the version that the caller named; an absent one counts as known.
    pub flow_version_known: bool,
    /// The interface of that version; 0 if it has none that is defined.
    pub interface: InterfaceNumber,
    /// The conversation, if the two versions share new calls at this revision: then the decision is evidence, an exposure.
    /// `None` at 0 and 100 %, and for a call without an id.
    pub exposed: Option<ConversationHash>,
}

impl Decision {
    /// Whether chance chose between the two versions.
    #[must_use]
    pub fn is_randomised(&self) -> bool {
        self.reason == Reason::Weighted
    }
}

/// What is known of a caller from the version that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whether the environment remembers that version; an absent one counts as known.
    pub flow_version_known: bool,
    /// The interface of that version; 0 if it has none that is defined.
    pub interface: InterfaceNumber,
}

impl Caller {
    fn new(flow_version: &str, version: Option<&KnownVersion>) -> Self {
        Self {
            flow_version_known: flow_version.is_empty() || version.is_some(),
            interface: version.map_or(InterfaceNumber::NONE, |version| version.interface),
        }
    }
}

/// Which slot takes the call.
///
/// `now` is asked at most once, and only if an override of a number of this call may have expired. `draw` stands in for the
/// hash of a conversation id that is absent: it gives a uniform bucket and is called at most once. Allocates nothing.
#[must_use]
pub fn decide(
    environment: &Compiled,
    request: &Request<'_>,
    now: impl FnOnce() -> Timestamp,
    draw: impl FnOnce() -> Bucket,
) -> Decision {
    let version = environment.version(request.flow_version);
    // Read once, and not at all where neither bucket nor exposure can come of it.
    let conversation = match request.conversation_id {
        "" => None,
        _ if environment.weight.is_zero() => None,
        id => Some(Conversation::of(id)),
    };
    let (slot, reason) = if let Some(slot) = environment.overridden(request, now) {
        (slot, Reason::Override)
    } else if let Some(slot) = version.and_then(KnownVersion::admitted_by) {
        (slot, Reason::Affinity)
    } else if environment.weight.is_zero() {
        (environment.active, Reason::Active)
    } else {
        let bucket = conversation.map_or_else(draw, |id| environment.bucket(&id));
        (environment.slot_of(bucket), Reason::Weighted)
    };
    let caller = Caller::new(request.flow_version, version);
    Decision {
        slot,
        reason,
        flow_version_known: caller.flow_version_known,
        interface: caller.interface,
        exposed: conversation.and_then(|id| environment.exposed(&id)),
    }
}

/// The place of a conversation among 10,000 equal ones; the candidate takes those below its weight in basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// How many buckets there are.
    pub const COUNT: u16 = 10_000;

    /// The bucket of a number that is uniform over all of `u64`: its place on a line cut into [`Self::COUNT`] parts
    /// (multiply and shift, without the bias and cost of a remainder).
    #[must_use]
    pub fn of(uniform: u64) -> Self {
        // The product of a u64 and 10,000, shifted by 64 bits, is below 10,000.
        Self(((u128::from(uniform) * u128::from(Self::COUNT)) >> 64) as u16)
    }

    /// Whether the candidate takes this bucket at `weight`. A larger weight takes every bucket of a smaller one.
    #[must_use]
    pub fn is_within(self, weight: Weight) -> bool {
        self.0 < weight.bps()
    }

    /// Its number, 0 to 9,999.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The bucket of a conversation: XXH3-64 over the salt and the id, which is 16 bytes if it reads as a UUID (so its spelling
/// does not matter), else its text as received.
#[must_use]
pub fn bucket(salt: &Salt, conversation_id: &str) -> Bucket {
    Conversation::of(conversation_id).bucket(salt)
}
