//! Why a command is refused, and what to do instead.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::access::MAX_CLAIMS;
use super::environment::{MAX_OVERRIDE_MINUTES, MAX_OVERRIDES};
use super::freeze::{Frozen, MAX_FREEZES};
use super::ids::{ActionName, InterfaceNumber, VariableName, VersionLabel};
use super::interface::{Break, MAX_TEXT_BYTES, MAX_VARIABLES, VariableType};
use super::slot::Slot;
use super::webhook::MAX_WEBHOOKS;

/// The most environments one deployment holds.
pub const MAX_ENVIRONMENTS: usize = 256;
/// The most access tokens one deployment holds.
pub const MAX_TOKENS: usize = 512;
/// The most entries about issuers that one deployment holds.
pub const MAX_ISSUERS: usize = 64;
/// The most texts of one token that go on beside its present one.
pub const MAX_RETIRING_TEXTS: usize = 3;

/// A command that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The environment exists.
    #[error("the environment exists already; choose another name")]
    EnvironmentExists,
    /// The environment does not exist.
    #[error("there is no such environment; create it first")]
    EnvironmentMissing,
    /// One environment more than a deployment holds.
    #[error("a deployment holds at most {MAX_ENVIRONMENTS} environments; delete one first")]
    TooManyEnvironments,
    /// Both slots are bound to one flow.
    #[error("both slots name the flow {0}; blue and green are two flows")]
    SameFlowTwice(super::ids::FlowId),
    /// The slot holds no flow version.
    #[error("slot {0} holds no flow version; register one first")]
    SlotEmpty(Slot),
    /// The slot is claimed for a version that is being published.
    #[error(
        "slot {slot} is claimed for flow version {flow_version} until {expires_at}; register that version or release the slot first"
    )]
    SlotClaimed {
        /// The claimed slot.
        slot: Slot,
        /// The version it is claimed for.
        flow_version: VersionLabel,
        /// When the claim expires.
        expires_at: Timestamp,
    },
    /// A claim expired or was given back, so nobody knows what the slot's flow holds.
    #[error(
        "what slot {slot} holds is unknown since its claim for flow version {flow_version} ended; register the version that was published, or release the slot with nothing_published"
    )]
    SlotUnknown {
        /// The slot.
        slot: Slot,
        /// The version it was claimed for.
        flow_version: VersionLabel,
    },
    /// The slot takes new calls, so its flow must not change.
    #[error("slot {0} takes new calls; use the other slot, or move its calls away first")]
    SlotTakesCalls(Slot),
    /// The slot took new calls too recently.
    #[error(
        "slot {slot} took new calls until {since}; calls may still be inside it until {drained_at}, try again then"
    )]
    SlotNotDrained {
        /// The slot.
        slot: Slot,
        /// When it stopped taking new calls.
        since: Timestamp,
        /// When it counts as drained.
        drained_at: Timestamp,
    },
    /// A rollout decides about the weight and the candidate.
    #[error("a rollout is under way; abort it, or wait for its end")]
    RolloutUnderWay,
    /// The rollout does not allow it.
    #[error(transparent)]
    Rollout(#[from] super::rollout::Refusal),
    /// There is nothing to repair, or not so.
    #[error(transparent)]
    Repair(#[from] super::repair::Refusal),
    /// A call was decided to the slot too recently, though it took no share of new ones.
    #[error(
        "a call was decided to slot {slot} as late as {last_call}, by affinity, an override or a replica that lagged; calls may still be inside it until {drained_at}, try again then"
    )]
    SlotCalled {
        /// The slot.
        slot: Slot,
        /// When that was.
        last_call: Timestamp,
        /// When it counts as drained, if no more follow.
        drained_at: Timestamp,
    },
    /// Nobody can say whether calls are still decided to the slot.
    #[error(
        "the replicas' heartbeats cannot be read, so nobody knows whether calls are still decided to slot {0}; try again in a moment"
    )]
    LastCallsUnknown(Slot),
    /// The slot has no claim to give back.
    #[error("slot {0} is not claimed; there is nothing to release")]
    NotClaimed(Slot),
    /// The life of the claim is out of range.
    #[error("a claim lasts 1 to 1440 minutes")]
    ClaimLength,
    /// The life of the override is out of range.
    #[error("an override lasts 1 to {MAX_OVERRIDE_MINUTES} minutes")]
    OverrideLength,
    /// One override more than an environment holds.
    #[error("an environment holds at most {MAX_OVERRIDES} overrides; remove one first")]
    TooManyOverrides,
    /// Nobody moves callers towards a candidate now.
    #[error(
        "{0} lets no callers be moved to the candidate; wait, or remove it. Rollback, abort and pause work as ever"
    )]
    Frozen(Frozen),
    /// A freeze window that is none.
    #[error("a freeze window ends after its start, and later than now")]
    FreezeSpan,
    /// One freeze window more than there may be.
    #[error("there may be {MAX_FREEZES} freeze windows at a time; remove one first")]
    TooManyFreezes,
    /// A webhook has this name.
    #[error("a webhook of this name exists; remove it first, or choose another name")]
    WebhookExists,
    /// One webhook more than there may be.
    #[error("a deployment has at most {MAX_WEBHOOKS} webhooks; remove one first")]
    TooManyWebhooks,
    /// A webhook that names no environments, or too many.
    #[error("name 1 to 256 environments, or none at all for all changes")]
    WebhookEnvironments,
    /// A webhook that names no actions.
    #[error("name at least one action, or leave them out for all")]
    WebhookActions,
    /// Nothing is called so in the history.
    #[error("there is no action {0}; docs/webhooks.md lists them")]
    ActionUnknown(ActionName),
    /// Another version of the environment has this label, or had it recently.
    #[error("the label {0} is or was in use in this environment; choose a new one")]
    LabelInUse(VersionLabel),
    /// Nothing can be rolled back to.
    #[error(transparent)]
    NoRollbackTarget(RollbackObstacle),
    /// The number stands for "none".
    #[error("interface 0 stands for none and has no variables; number interfaces from 1")]
    InterfaceZero,
    /// A version cannot name an interface that nobody has defined.
    #[error("interface {0} is not defined in this environment; define it first")]
    InterfaceUndefined(InterfaceNumber),
    /// There is no such interface to remove.
    #[error("this environment has no interface {0}")]
    InterfaceMissing(InterfaceNumber),
    /// A version was written for the interface as it is.
    #[error(
        "interface {number} is that of flow version {flow_version}, so it stays as it is; define another number instead"
    )]
    InterfaceInUse {
        /// The interface.
        number: InterfaceNumber,
        /// A version that names it.
        flow_version: VersionLabel,
    },
    /// More variables than an interface may have.
    #[error("an interface has at most {MAX_VARIABLES} variables")]
    TooManyVariables,
    /// A text that is too long to keep.
    #[error("the text for variable {0} is too long; at most {MAX_TEXT_BYTES} bytes are allowed")]
    TextTooLong(VariableName),
    /// Variables that no interface declares.
    #[error("no interface of this environment has {}; define one that does first", variables(.0))]
    UndeclaredVariables(Vec<VariableName>),
    /// Values of types that no interface declares for their variables.
    #[error("{}", join(.0, ", "))]
    MistypedValues(Vec<MistypedValue>),
    /// Flows would miss variables.
    #[error(transparent)]
    IncompatibleInterface(Incompatibility),
    /// A token of this name or text exists.
    #[error("a token of this name or text exists; revoke it first, or choose another")]
    TokenExists,
    /// No token has this id.
    #[error("there is no token with this id")]
    TokenMissing,
    /// One token more than a deployment holds.
    #[error("a deployment holds at most {MAX_TOKENS} tokens; revoke one first")]
    TooManyTokens,
    /// One retiring text more than a token has.
    #[error(
        "at most {MAX_RETIRING_TEXTS} earlier texts of a token go on beside its present one; wait until one has ended, or end \
         the present one at once"
    )]
    TooManyTexts,
    /// The name stands for a caller that is no token.
    #[error(
        "a token cannot have this name: first-admin, anonymous and traffic-cop are taken, and names with a colon are those of \
         identity providers' subjects"
    )]
    NameReserved,
    /// An entry about an issuer has this name.
    #[error("an issuer entry of this name exists; remove it first, or choose another name")]
    IssuerExists,
    /// No entry about an issuer has this name.
    #[error("there is no issuer entry of this name")]
    IssuerMissing,
    /// One entry more than a deployment holds.
    #[error("a deployment holds at most {MAX_ISSUERS} issuer entries; remove one first")]
    TooManyIssuers,
    /// An issuer has tokens for everybody, so what they say has to be looked at.
    #[error(
        "name 1 to {MAX_CLAIMS} claims that a token must have; an issuer may have tokens for everybody"
    )]
    ClaimCount,
    /// Who has no scope could do nothing.
    #[error("name at least one scope")]
    NoScope,
    /// The token would have expired before it was made.
    #[error("the expiry {0} has passed; name a later time")]
    ExpiryPassed(Timestamp),
}

/// A value that its variable cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MistypedValue {
    /// The variable.
    pub variable: VariableName,
    /// The types it is declared with.
    pub declared: BTreeSet<VariableType>,
}

impl fmt::Display for MistypedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let declared = join(&self.declared, " or ");
        write!(
            f,
            "the value of variable {} has to be of type {declared}",
            self.variable
        )
    }
}

/// What flows written for the interface in the slot that holds the calls would miss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "interface {offered} is not compatible with interface {held} of the version in slot {slot}, which holds the calls: {}; define \
     one that only adds, say force_incompatible, or, to go back, roll back",
    join(breaks, ", ")
)]
pub struct Incompatibility {
    /// The slot that holds the calls.
    pub slot: Slot,
    /// The interface of the version in it.
    pub held: InterfaceNumber,
    /// The interface of the version that should get calls.
    pub offered: InterfaceNumber,
    /// Every variable that is gone or has changed its type.
    pub breaks: Vec<Break>,
}

fn join(items: impl IntoIterator<Item: fmt::Display>, separator: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(separator)
}

fn variables(names: &[VariableName]) -> String {
    let noun = if names.len() == 1 {
        "variable"
    } else {
        "variables"
    };
    format!("{noun} {}", join(names, ", "))
}

/// What the other slot holds that a rollback cannot return to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackObstacle {
    /// Nothing.
    #[error(
        "slot {0} holds no flow version to roll back to; publish and register one, then cut over"
    )]
    Empty(Slot),
    /// Something that was never active.
    #[error(
        "slot {0} holds flow version {1}, which was not active before; to give it calls, cut over"
    )]
    NeverActive(Slot, VersionLabel),
    /// Something that is being published.
    #[error(
        "slot {0} is claimed for flow version {1}; release it with nothing_published if that is so, and roll back again"
    )]
    Claimed(Slot, VersionLabel),
    /// Something that may have been published.
    #[error(
        "what slot {0} holds is unknown since its claim for flow version {1} ended; release it with nothing_published if that \
         is so, and roll back again"
    )]
    Unknown(Slot, VersionLabel),
}
