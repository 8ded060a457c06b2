//! The only writer: a command goes in, a change in the journal comes out, or the reason why not.
//!
//! Every writer, operator or machine, comes through [`Control::execute`]. It reads the journal to its end, asks the domain
//! what the command does to the state found there, and commits the result at the next place. If somebody else takes that
//! place first, it starts over with the state that they left.

mod attempt;
mod error;
mod repair;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use error::WriteError;

use crate::clock::Clock;
use crate::domain::drain::LastCalls;
use crate::domain::ids::{Actor, AggregateKey, IdempotencyKey, Reason, Revision, Sequence};
use crate::domain::{Action as _, Unchanged};
use crate::replica::follower::{Follower, Tracks};
use crate::replica::receipt::Receipt;
use crate::replica::{CatchUpError, Replica};
use crate::store::StoreError;
use crate::store::format::{Document, Stored, WRITTEN};
use crate::store::journal::CommitError;
use crate::store::record::{Entry, Record};
use crate::telemetry::{Metrics, WriteLabels};
use attempt::{Attempt, Base, Decided, Task, Written};

/// How long a write may take, from its first read to its commit.
pub const WRITE_TIME: Duration = Duration::from_secs(5);

/// Turns commands into changes.
#[derive(Debug)]
pub struct Control {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    drain_time: Duration,
    /// One write at a time in this process: its writers need not race each other for the next place.
    turn: tokio::sync::Mutex<()>,
}

/// What comes with a command.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// Why.
    pub reason: Reason,
    /// The caller's name for this write; without one, every call is a new write.
    pub key: Option<IdempotencyKey>,
    /// The revision that the caller has seen and wants to change; `None` changes whatever there is.
    pub expected: Option<Revision>,
    /// How long to wait for a receipt; `None` asks for none.
    pub wait: Option<Duration>,
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Answer<A> {
    /// The aggregate's revision afterwards.
    pub revision: Revision,
    /// The aggregate afterwards; `None` if it is deleted.
    pub state: Option<A>,
    /// How that came about.
    pub outcome: Outcome,
    /// Whether this process would know it after a restart without the store; true if it keeps no last-good file.
    pub is_saved: bool,
    /// Who decides by it, if the caller waited to know.
    pub receipt: Option<Receipt>,
}

/// How a command led to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was committed.
    Committed(Sequence),
    /// It had been committed before, under the same idempotency key; the answer is the one given then.
    Repeated(Sequence),
    /// There was nothing to change.
    Unchanged(Unchanged),
}

impl Control {
    /// A writer behind `replica`. A slot without new calls for `drain_time` counts as drained.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        drain_time: Duration,
    ) -> Self {
        Self {
            replica,
            clock,
            metrics,
            drain_time,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// How long a slot has to be without calls before it counts as drained.
    #[must_use]
    pub fn drain_time(&self) -> Duration {
        self.drain_time
    }

    /// Carries out `command` on the aggregate `key`. When it returns, this process serves the result, and its last-good file holds
    /// it unless the answer says otherwise. If the request asks for a receipt, it waits for the other replicas too; the change is
    /// made by then, whatever the receipt says.
    ///
    /// # Errors
    /// See [`WriteError`]; all but `OutcomeUnknown` leave everything as it was.
    pub async fn execute<A: Stored>(
        &self,
        key: &AggregateKey,
        command: &A::Command,
        request: &Request,
    ) -> Result<Answer<A>, WriteError>
    where
        Follower: Tracks<A>,
    {
        let attempt = Attempt::new(key, Task::Command(command), request);
        self.carry_out(&attempt).await
    }

    /// What `command` would change, if it were carried out now: the state before and after. Changes nothing. `None` if it would
    /// change nothing, be refused, or repeat a write that was made: [`Self::execute`] says which.
    pub async fn rehearse<A: Stored>(
        &self,
        key: &AggregateKey,
        command: &A::Command,
        request: &Request,
    ) -> Option<(Option<A>, Option<A>)>
    where
        Follower: Tracks<A>,
    {
        let attempt = Attempt::new(key, Task::Command(command), request);
        let base = self.base::<A>(key).await.ok()?;
        if base.remembers(attempt.operation) {
            return None;
        }
        match attempt.decide(&base, self.clock.now(), self.drain_time) {
            Ok(Decided::Next(next)) => Some((base.tracked.state().cloned(), next.into_state())),
            Ok(Decided::Nothing(_)) | Err(_) => None,
        }
    }

    /// Makes an attempt, says what came of it in the log and the metrics, and waits for the last-good file and the
    /// receipt.
    async fn carry_out<A: Stored>(&self, attempt: &Attempt<'_, A>) -> Result<Answer<A>, WriteError>
    where
        Follower: Tracks<A>,
    {
        let written = self.write(attempt).await;
        let (key, request, action) = (attempt.key, attempt.request, attempt.task.action());
        let outcome = match written.as_ref().map(|written| &written.answer) {
            Ok(Answer {
                outcome: Outcome::Committed(sequence),
                revision,
                ..
            }) => {
                let (actor, reason) = (&request.actor, &request.reason);
                tracing::info!(%key, action, %actor, %reason, %revision, %sequence, "committed");
                "committed"
            }
            Ok(Answer {
                outcome: Outcome::Repeated(_),
                ..
            }) => "repeated",
            Ok(Answer {
                outcome: Outcome::Unchanged(_),
                ..
            }) => "unchanged",
            Err(error) => {
                tracing::warn!(%key, action, actor = %request.actor, %error, "not committed");
                if matches!(error, WriteError::OutcomeUnknown { .. }) {
                    "unknown"
                } else {
                    "refused"
                }
            }
        };
        self.metrics
            .writes
            .get_or_create(&WriteLabels { action, outcome })
            .inc();
        let Written {
            mut answer,
            sequence,
            since,
        } = written?;
        // Of a repeat and of what was so before, too: whoever hears of it may count on it.
        answer.is_saved = self.replica.until_saved(sequence).await;
        if !answer.is_saved {
            tracing::error!(%sequence, "the change is committed, but a restart without the store would not know it");
        }
        if let Some(wait) = request.wait {
            answer.receipt = Some(self.replica.receipt(sequence, since, wait).await);
        }
        Ok(answer)
    }

    async fn write<A: Stored>(&self, attempt: &Attempt<'_, A>) -> Result<Written<A>, WriteError>
    where
        Follower: Tracks<A>,
    {
        let _turn = tokio::time::timeout_at(attempt.deadline, self.turn.lock())
            .await
            .map_err(|_| WriteError::Contended)?;
        while Instant::now() < attempt.deadline {
            let mut base = self.base::<A>(attempt.key).await?;
            match attempt.task {
                Task::Command(command) if command.asks_for_last_calls() => {
                    base.last_calls = self.last_calls(attempt.key).await;
                }
                Task::Command(_) => {}
                Task::Repair { .. } => {
                    base.newer_unread = self.newer_unread(attempt.key, &base.tracked).await?;
                }
            }
            let since = self.clock.monotonic();
            if let Some((answer, sequence)) = self.repeated(attempt, &base).await? {
                return Ok(Written {
                    answer,
                    sequence,
                    since,
                });
            }
            let now = self.clock.now();
            let draft = match attempt.decide(&base, now, self.drain_time)? {
                Decided::Next(next) => attempt.draft(&base, &next, now)?,
                Decided::Nothing(unchanged) => return Ok(base.unchanged(unchanged, since)),
            };
            self.replica.finish_last_row().await?;
            let since = self.clock.monotonic();
            match self
                .replica
                .store()
                .commit(draft, &base.position, attempt.deadline)
                .await
            {
                Ok(record) => return self.committed(record, since).await,
                Err(CommitError::Superseded) => {}
                Err(CommitError::Refused(error)) => return Err(error.into()),
                Err(CommitError::OutcomeUnknown(error)) => {
                    tracing::warn!(%error, operation = %attempt.operation, "the outcome of a write is open");
                    return Err(WriteError::OutcomeUnknown {
                        operation: attempt.operation,
                    });
                }
            }
        }
        Err(WriteError::Contended)
    }

    /// The state at the end of the journal, if this journal may be written to.
    async fn base<A: Stored>(&self, key: &AggregateKey) -> Result<Base<A>, WriteError>
    where
        Follower: Tracks<A>,
    {
        match self.replica.catch_up_to_write().await {
            Ok(_) => {}
            Err(CatchUpError::Store(error)) => return Err(error.into()),
            Err(CatchUpError::Journal(fault)) => return Err(fault.into()),
        }
        let base = self.replica.look(|follower| {
            let tracked = follower.tracked(key).cloned().unwrap_or_default();
            let others = Tracks::<A>::count(follower) - usize::from(tracked.state().is_some());
            let settings = follower.settings().state();
            Base {
                position: follower.position,
                freezes: settings
                    .map(|settings| settings.freezes.clone())
                    .unwrap_or_default(),
                tracked,
                others,
                last_calls: None,
                newer_unread: None,
                format: WRITTEN.agreed(self.replica.readable_by_all()),
            }
        });
        // Caught up means loaded.
        base.ok_or_else(|| StoreError::Unavailable("nothing is loaded yet".to_owned()).into())
    }

    /// When calls were last decided to the slots, as all replicas report; `None` if that cannot be known.
    async fn last_calls(&self, key: &AggregateKey) -> Option<LastCalls> {
        let AggregateKey::Environment(name) = key else {
            return None;
        };
        match self.replica.reported_calls(name, 1).await {
            Ok(reported) => Some(reported.last),
            Err(error) => {
                tracing::warn!(%error, "cannot find out when calls were last decided");
                None
            }
        }
    }

    /// The first answer, if this write was committed before.
    async fn repeated<A: Stored>(
        &self,
        attempt: &Attempt<'_, A>,
        base: &Base<A>,
    ) -> Result<Option<(Answer<A>, Sequence)>, WriteError> {
        let operations = base
            .tracked
            .good
            .as_ref()
            .map(|good| &good.document.operations);
        let Some(operation) = operations.and_then(|operations| operations.find(attempt.operation))
        else {
            return Ok(None);
        };
        if operation.request != attempt.digest {
            return Err(WriteError::KeyReused);
        }
        let lost = || WriteError::RecordLost(operation.revision);
        match self.replica.store().entry(operation.sequence).await? {
            Some(Entry::Record(record)) if record.change.operation == operation.id => {
                let answer = Answer {
                    revision: operation.revision,
                    state: read_state(&record)?,
                    outcome: Outcome::Repeated(operation.sequence),
                    is_saved: false,
                    receipt: None,
                };
                Ok(Some((answer, operation.sequence)))
            }
            Some(_) | None => Err(lost()),
        }
    }

    /// The change is made, whatever happens from here on: what fails now is made good by the next poll and the next writer.
    async fn committed<A: Stored>(
        &self,
        record: Record,
        since: Duration,
    ) -> Result<Written<A>, WriteError> {
        let (revision, sequence) = (record.change.revision, record.sequence);
        // What is stored counts: a repeat of this write in another process may have been first, with its own draw and time.
        let state = read_state(&record)?;
        if let Err(error) = self.replica.accept(record).await {
            tracing::warn!(%error, %sequence, "the change is committed and not yet served here");
        }
        if let Err(error) = self.replica.finish_last_row().await {
            tracing::warn!(%error, %sequence, "the row of the change is left to the next writer");
        }
        let answer = Answer {
            revision,
            state,
            outcome: Outcome::Committed(sequence),
            is_saved: false,
            receipt: None,
        };
        Ok(Written {
            answer,
            sequence,
            since,
        })
    }
}

fn read_state<A: Stored>(record: &Record) -> Result<Option<A>, WriteError> {
    match Document::<A>::read(record.change.format, &record.change.state) {
        Ok(document) => Ok(document.state),
        Err(error) => Err(WriteError::Corrupt {
            aggregate: record.change.aggregate.clone(),
            fault: error.to_string(),
        }),
    }
}
