//! One write, from what it asks for to the record that it would make: everything that needs no store.

use std::time::Duration;

use jiff::Timestamp;
use rand::Rng;
use tokio::time::Instant;

use super::{Answer, Outcome, Request, WRITE_TIME, WriteError};
use crate::domain::drain::LastCalls;
use crate::domain::ids::{AggregateKey, Sequence};
use crate::domain::operation::{Digest128, Operation, operation_id};
use crate::domain::{Action, Aggregate, Change, Context, Unchanged};
use crate::replica::tracked::Tracked;
use crate::store::format::{Document, Stored};
use crate::store::record::{Draft, Position};

/// A write with everything that stays the same when it starts over.
pub(super) struct Attempt<'a, A: Aggregate> {
    pub(super) key: &'a AggregateKey,
    pub(super) command: &'a A::Command,
    pub(super) request: &'a Request,
    pub(super) operation: Digest128,
    pub(super) digest: Digest128,
    draw: [u8; 16],
    pub(super) deadline: Instant,
}

/// The state that a command starts from.
pub(super) struct Base<A> {
    pub(super) position: Position,
    pub(super) tracked: Tracked<A>,
    pub(super) others: usize,
    pub(super) last_calls: Option<LastCalls>,
}

/// An answer that stands, and what a receipt for it is about.
pub(super) struct Written<A> {
    pub(super) answer: Answer<A>,
    /// The record that made the revision answered with.
    pub(super) sequence: Sequence,
    /// Monotonic time not later than its commit; of a change made before, when this was found.
    pub(super) since: Duration,
}

impl<'a, A: Stored> Attempt<'a, A> {
    pub(super) fn new(
        key: &'a AggregateKey,
        command: &'a A::Command,
        request: &'a Request,
    ) -> Self {
        let mut draw = [0; 16];
        rand::rng().fill_bytes(&mut draw);
        let parts = [
            command.action(),
            &command.fingerprint(),
            request.reason.as_str(),
        ];
        let operation = match &request.key {
            Some(idempotency_key) => {
                operation_id(&request.actor, &key.to_string(), idempotency_key)
            }
            None => Digest128(uuid::Uuid::new_v4().into_bytes()),
        };
        Self {
            key,
            command,
            request,
            operation,
            digest: Digest128::of(&parts.map(str::as_bytes)),
            draw,
            deadline: Instant::now() + WRITE_TIME,
        }
    }

    /// What the write comes to, starting from `base`.
    pub(super) fn change(
        &self,
        base: &Base<A>,
        now: Timestamp,
        drain_time: Duration,
    ) -> Result<Change<A>, WriteError> {
        let tracked = &base.tracked;
        if !self.command.is_rescue() {
            if let Some(fault) = &tracked.fault {
                return Err(WriteError::Corrupt(fault.clone()));
            }
            if let Some(good) = tracked
                .good
                .as_ref()
                .filter(|good| !good.document.is_understood())
            {
                return Err(WriteError::NewerFormat(good.document.format));
            }
        }
        let stale = self
            .request
            .expected
            .is_some_and(|expected| expected != tracked.revision);
        if stale && tracked.state().is_some() {
            return Err(WriteError::Stale {
                current: tracked.revision,
            });
        }
        let context = Context {
            now,
            revision: tracked.revision.next(),
            draw: self.draw,
            drain_time,
            others: base.others,
            last_calls: base.last_calls,
        };
        Ok(A::apply(tracked.state(), self.command, &context)?)
    }

    /// The record that makes `state` the next one after `base`.
    pub(super) fn draft(
        &self,
        base: &Base<A>,
        state: Option<&A>,
        now: Timestamp,
    ) -> Result<Draft, WriteError> {
        let tracked = &base.tracked;
        let document = tracked.good.as_ref().map(|good| &good.document);
        let revision = tracked.revision.next();
        let mut operations = document
            .map(|document| document.operations.clone())
            .unwrap_or_default();
        operations.remember(Operation {
            id: self.operation,
            request: self.digest,
            revision,
            sequence: base.position.next,
        });
        let (format, bytes) = Document::next(document, &operations, state);
        if bytes.len() > A::MAX_STATE_BYTES && !self.command.may_outgrow() {
            return Err(WriteError::TooLarge {
                bytes: bytes.len(),
                limit: A::MAX_STATE_BYTES,
            });
        }
        Ok(Draft {
            aggregate: self.key.clone(),
            revision,
            previous: tracked.sequence,
            operation: self.operation,
            request: self.digest,
            actor: self.request.actor.clone(),
            action: self.command.action().to_owned(),
            reason: self.request.reason.clone(),
            at: now,
            format,
            row: A::row(state),
            state: bytes,
            bridged_from: None,
        })
    }
}

impl<A: Stored> Base<A> {
    pub(super) fn unchanged(self, unchanged: Unchanged, since: Duration) -> Written<A> {
        let answer = Answer {
            revision: self.tracked.revision,
            state: self.tracked.state().cloned(),
            outcome: Outcome::Unchanged(unchanged),
            receipt: None,
        };
        Written {
            answer,
            sequence: self.tracked.sequence,
            since,
        }
    }
}
