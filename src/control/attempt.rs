//! One write, from what it asks for to the record that it would make: everything that needs no store.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Answer, Outcome, Request, WRITE_TIME, WriteError};
use crate::dice;
use crate::domain::drain::LastCalls;
use crate::domain::freeze::{Freezes, Frozen, Place};
use crate::domain::ids::{AggregateKey, Sequence};
use crate::domain::operation::{Digest128, Operation, operation_id};
use crate::domain::repair::{Condition, Refusal as RepairRefusal, Repair, Target};
use crate::domain::{Action as _, Aggregate, Change, Context, Refusal, Unchanged};
use crate::replica::tracked::Tracked;
use crate::store::format::{Document, Stored};
use crate::store::record::{Draft, Position};

/// A write with everything that stays the same when it starts over.
pub(super) struct Attempt<'a, A: Aggregate> {
    pub(super) key: &'a AggregateKey,
    pub(super) task: Task<'a, A>,
    pub(super) request: &'a Request,
    pub(super) operation: Digest128,
    pub(super) digest: Digest128,
    draw: [u8; 16],
    pub(super) deadline: Instant,
}

/// What a write asks for.
pub(super) enum Task<'a, A: Aggregate> {
    /// A change of the state that there is.
    Command(&'a A::Command),
    /// A state in place of one that cannot be read.
    Repair {
        repair: &'a Repair<A>,
        /// What there was at the revision that the repair names, if it names one.
        of_revision: Option<Document<A>>,
    },
}

/// What a write comes to.
pub(super) enum Decided<'a, A: Aggregate> {
    /// A state to commit.
    Next(Next<'a, A>),
    /// What was asked for is already so.
    Nothing(Unchanged),
}

/// The state to commit, and the document that it is the next one of: what is unknown here goes along from there.
pub(super) struct Next<'a, A: Aggregate> {
    state: Option<A>,
    before: Option<&'a Document<A>>,
}

/// The state that a write starts from.
pub(super) struct Base<A> {
    pub(super) position: Position,
    pub(super) tracked: Tracked<A>,
    pub(super) others: usize,
    /// The format to write.
    pub(super) format: u32,
    /// The freeze windows of the deployment.
    pub(super) freezes: Freezes,
    /// Only for a command that asks for it.
    pub(super) last_calls: Option<LastCalls>,
    /// Only for a repair: see [`Condition::newer_unread`].
    pub(super) newer_unread: Option<u32>,
}

/// An answer that stands, and what a receipt for it is about.
pub(super) struct Written<A> {
    pub(super) answer: Answer<A>,
    /// The record that made the revision answered with.
    pub(super) sequence: Sequence,
    /// Monotonic time not later than its commit; of a change made before, when this was found.
    pub(super) since: Duration,
}

impl<A: Stored> Task<'_, A> {
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Command(command) => command.action(),
            Self::Repair { .. } => "repair",
        }
    }

    /// As [`Action::fingerprint`](crate::domain::Action::fingerprint).
    fn fingerprint(&self) -> String {
        match self {
            Self::Command(command) => command.fingerprint(),
            Self::Repair { repair, .. } => {
                let to = match &repair.to {
                    Target::LastGood => "last good".to_owned(),
                    Target::Revision(revision) => format!("revision {revision}"),
                    // The wire forms say nothing that JSON cannot say.
                    Target::State(state) => {
                        serde_json::to_string(&state.to_wire()).unwrap_or_default()
                    }
                };
                format!("{to}, {}", repair.discard_newer_format)
            }
        }
    }

    /// As [`Action::may_outgrow`](crate::domain::Action::may_outgrow): a state that there was before has its room.
    fn may_outgrow(&self) -> bool {
        match self {
            Self::Command(command) => command.may_outgrow(),
            Self::Repair { repair, .. } => !matches!(repair.to, Target::State(_)),
        }
    }
}

impl<'a, A: Stored> Attempt<'a, A> {
    pub(super) fn new(key: &'a AggregateKey, task: Task<'a, A>, request: &'a Request) -> Self {
        let parts = [task.action(), &task.fingerprint(), request.reason.as_str()];
        let digest = Digest128::of(&parts.map(str::as_bytes));
        let operation = match &request.key {
            Some(idempotency_key) => {
                operation_id(&request.actor, &key.to_string(), idempotency_key)
            }
            None => Digest128(dice::bytes()),
        };
        Self {
            key,
            task,
            request,
            operation,
            digest,
            draw: dice::bytes(),
            deadline: Instant::now() + WRITE_TIME,
        }
    }

    /// What the write comes to, starting from `base`.
    pub(super) fn decide<'b>(
        &'b self,
        base: &'b Base<A>,
        now: Timestamp,
        drain_time: Duration,
    ) -> Result<Decided<'b, A>, WriteError> {
        let command = match &self.task {
            Task::Command(command) => command,
            Task::Repair {
                repair,
                of_revision,
            } => {
                self.refuse_stale(base)?;
                let next = self.repaired(base, repair, of_revision.as_ref())?;
                return Ok(Decided::Next(next));
            }
        };
        let tracked = &base.tracked;
        if !command.is_rescue() {
            if let Some(fault) = &tracked.fault {
                return Err(WriteError::Corrupt {
                    aggregate: self.key.clone(),
                    fault: fault.clone(),
                });
            }
            if let Some(format) = base.newer_good() {
                return Err(WriteError::NewerFormat(format));
            }
        }
        self.refuse_stale(base)?;
        let context = Context {
            now,
            revision: tracked.revision.next(),
            sequence: base.position.next,
            draw: self.draw,
            drain_time,
            others: base.others,
            last_calls: base.last_calls,
            frozen: Frozen::of(&base.freezes, Place::Deployment, now),
        };
        Ok(match A::apply(tracked.state(), command, &context)? {
            Change::To(state) => Decided::Next(Next {
                state,
                before: base.document(),
            }),
            Change::Nothing(unchanged) => Decided::Nothing(unchanged),
        })
    }

    /// Compares the revision that the caller has seen, which is the one served, with that.
    fn refuse_stale(&self, base: &Base<A>) -> Result<(), WriteError> {
        let Some(good) = base.tracked.good.as_ref() else {
            return Ok(());
        };
        let is_stale = |expected| expected != good.revision;
        if good.document.state.is_some() && self.request.expected.is_some_and(is_stale) {
            return Err(WriteError::Stale {
                current: good.revision,
            });
        }
        Ok(())
    }

    fn repaired<'b>(
        &self,
        base: &'b Base<A>,
        repair: &Repair<A>,
        of_revision: Option<&'b Document<A>>,
    ) -> Result<Next<'b, A>, Refusal> {
        let tracked = &base.tracked;
        let is_known = tracked.good.is_some() || tracked.fault.is_some();
        if !is_known && matches!(self.key, AggregateKey::Environment(_)) {
            return Err(Refusal::EnvironmentMissing);
        }
        repair.check(&Condition {
            is_faulty: tracked.fault.is_some(),
            last_good: base.document().map(|document| document.state.as_ref()),
            newer_good: base.newer_good(),
            newer_unread: base.newer_unread,
        })?;
        let (state, before) = match &repair.to {
            Target::LastGood => (tracked.state().cloned(), base.document()),
            Target::State(state) => (Some(state.clone()), None),
            Target::Revision(revision) => {
                let missing = RepairRefusal::NoSuchRevision(*revision);
                let state = of_revision.and_then(|document| document.state.clone());
                (Some(state.ok_or(missing)?), of_revision)
            }
        };
        Ok(Next { state, before })
    }

    /// The record that makes `next` the state after `base`.
    pub(super) fn draft(
        &self,
        base: &Base<A>,
        next: &Next<'_, A>,
        now: Timestamp,
    ) -> Result<Draft, WriteError> {
        let revision = base.tracked.revision.next();
        let mut operations = base
            .document()
            .map(|document| document.operations.clone())
            .unwrap_or_default();
        operations.remember(Operation {
            id: self.operation,
            request: self.digest,
            revision,
            sequence: base.position.next,
        });
        let state = next.state.as_ref();
        let (format, bytes) = Document::next(next.before, &operations, state, base.format);
        if bytes.len() > A::MAX_STATE_BYTES && !self.task.may_outgrow() {
            return Err(WriteError::TooLarge {
                bytes: bytes.len(),
                limit: A::MAX_STATE_BYTES,
            });
        }
        Ok(Draft {
            aggregate: self.key.clone(),
            revision,
            previous: base.tracked.sequence,
            operation: self.operation,
            request: self.digest,
            actor: self.request.actor.clone(),
            action: self.task.action().to_owned(),
            reason: self.request.reason.clone(),
            at: now,
            format,
            row: A::row(state),
            state: bytes,
            bridged_from: None,
        })
    }
}

impl<A: Aggregate> Next<'_, A> {
    pub(super) fn into_state(self) -> Option<A> {
        self.state
    }
}

impl<A: Stored> Base<A> {
    /// Whether the write `operation` was made.
    pub(super) fn remembers(&self, operation: Digest128) -> bool {
        let document = self.document();
        document.is_some_and(|document| document.operations.find(operation).is_some())
    }

    /// The last state that could be read, as it was written.
    fn document(&self) -> Option<&Document<A>> {
        Some(&self.tracked.good.as_ref()?.document)
    }

    /// Its format, if this binary does not understand all of it.
    fn newer_good(&self) -> Option<u32> {
        let document = self.document().filter(|document| !document.is_understood());
        document.map(|document| document.format)
    }

    pub(super) fn unchanged(self, unchanged: Unchanged, since: Duration) -> Written<A> {
        let answer = Answer {
            revision: self.tracked.revision,
            state: self.tracked.state().cloned(),
            outcome: Outcome::Unchanged(unchanged),
            is_saved: false,
            receipt: None,
        };
        Written {
            answer,
            sequence: self.tracked.sequence,
            since,
        }
    }
}
