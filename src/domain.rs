//! The pure core: what an environment is, which commands change it, and which slot takes a call.
//!
//! Nothing here is async, does IO, reads a clock, draws a random number or knows HTTP or AWS. Time and draws come in as
//! arguments ([`Context`], [`decision::decide`]), so every rule can be tested as a function. The only trace of the outside
//! is derived descriptions: serde for commands, which are the same value in the admin API, the CLI and [`Aggregate::apply`],
//! and the schema of those bodies.

pub mod access;
pub mod chance;
pub mod command;
pub mod conversation;
pub mod decision;
pub mod drain;
pub mod environment;
pub mod freeze;
pub mod ids;
pub mod interface;
pub mod judge;
pub mod operation;
pub mod phone_number;
pub mod preflight;
pub mod refusal;
pub mod repair;
pub mod rollout;
pub mod settings;
pub mod simulate;
pub mod slot;
pub mod test_calls;
pub mod webhook;
pub mod weight;
pub mod whole_number;

use std::time::Duration;

use jiff::Timestamp;

pub use command::Command;
pub use environment::Environment;
pub use refusal::Refusal;

/// What a command may know besides the state and itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// The time of the change.
    pub now: Timestamp,
    /// The revision that the change makes.
    pub revision: ids::Revision,
    /// Where its record will be in the journal.
    pub sequence: ids::Sequence,
    /// Fresh random bytes for whatever the command creates.
    pub draw: [u8; 16],
    /// How long a slot has to be without new calls before it counts as drained.
    pub drain_time: Duration,
    /// How many aggregates of the same kind exist, this one not counted.
    pub others: usize,
    /// When calls were last decided to the slots of this environment, as the replicas report. `None` if their heartbeats could
    /// not be read, or if the command does not ask ([`Action::asks_for_last_calls`]).
    pub last_calls: Option<drain::LastCalls>,
    /// The freeze window of the deployment that is in force.
    pub frozen: Option<freeze::Frozen>,
}

/// A state with commands that change it: the unit of revision, history and conflict.
pub trait Aggregate: Sized {
    /// The changes it knows.
    type Command: Action;

    /// The state after `command`, or why it is refused. `None` is an aggregate that does not exist, before or after.
    ///
    /// # Errors
    /// The [`Refusal`] says what stands in the way and what to do instead.
    fn apply(
        state: Option<&Self>,
        command: &Self::Command,
        context: &Context,
    ) -> Result<Change<Self>, Refusal>;

    /// What of this state may never differ from an earlier one of the same aggregate, and does. Commands keep it by themselves; a
    /// state that comes from outside may not.
    fn breaks_with(&self, _earlier: &Self) -> Option<&'static str> {
        None
    }
}

/// What every command can say of itself.
pub trait Action {
    /// Its name in the journal, the metrics and the routes.
    fn action(&self) -> &'static str;

    /// Whether it makes callers or the deployment safer, so that it may pass where others are held up: a state that cannot
    /// be read, or a newer format.
    fn is_rescue(&self) -> bool;

    /// Whether it may leave a state behind that is larger than allowed: it must not fail for want of room.
    fn may_outgrow(&self) -> bool {
        self.is_rescue()
    }

    /// Whether it has to know when calls were last decided to the slots.
    fn asks_for_last_calls(&self) -> bool {
        false
    }

    /// A text that two commands share exactly if they ask for the same.
    fn fingerprint(&self) -> String;
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S> {
    /// The state to commit; `None` deletes the aggregate.
    To(Option<S>),
    /// What was asked for is already so.
    Nothing(Unchanged),
}

/// Why a command that is not refused changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unchanged {
    /// Cutover: the named slot is active and no share of new calls goes elsewhere.
    AlreadyActive,
    /// Rollback: the version in the other slot has been rolled back already.
    AlreadyRolledBack,
    /// Weight: it has this value.
    SameWeight,
    /// Rebind: the slot is bound to this flow.
    SameFlow,
    /// Override: none is there for these calls.
    NoSuchOverride,
    /// Remove a freeze window: none has this number.
    NoSuchFreeze,
    /// Remove a webhook: none has this name.
    NoSuchWebhook,
    /// Pause of a rollout: it is paused.
    AlreadyPaused,
    /// Abort of a rollout: it was aborted.
    AlreadyAborted,
    /// Define an interface: its number stands for these variables.
    SameInterface,
    /// Set variables: they have these values.
    SameVariables,
}
