//! The replica: follows the journal and keeps, in memory, the snapshot that decisions are made from.
//!
//! A decision loads the snapshot and waits for nothing. Everything that waits is here and off that path: the first load, the
//! poll, the reads that an operator's request asks for. It is allowed to be behind and says how far; it never goes back.

mod breaker;
mod budget;
mod contact;
pub mod default_snapshot;
pub mod follower;
pub mod last_good;
mod membership;
pub mod meter;
mod pace;
pub mod receipt;
mod recent;
mod rounds;
pub mod saved;
pub mod snapshot;
mod start;
pub mod tasks;
pub mod tracked;
pub mod validation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::watch;

pub use contact::{CatchUpError, JournalFault};
pub use snapshot::{Served, Snapshot, Source};

use crate::clock::Clock;
use crate::domain::freeze::Frozen;
use crate::domain::ids::Sequence;
use crate::store::record::{Entry, Position, Record};
use crate::store::row::RowUpdate;
use crate::store::{Store, StoreError};
use crate::telemetry::{Alarm, Metrics, OutcomeLabels};
use contact::Contact;
use follower::{Followed, Follower, Gap, Known};
use membership::Membership;
use meter::Meter;
use recent::Recent;
use tracked::Taken;
use validation::Validations;

/// A follower of the journal, and what it serves.
#[derive(Debug)]
pub struct Replica {
    id: String,
    started_at: Timestamp,
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    snapshot: ArcSwapOption<Snapshot>,
    /// `None` until the first load. Held for moments only, never across an await.
    follower: Mutex<Option<Follower>>,
    membership: Membership,
    recent: Mutex<Recent>,
    meter: Mutex<Meter>,
    contact: Mutex<Contact>,
    /// The highest record whose row is known to be up to date.
    finished: Mutex<Sequence>,
    validations: Validations,
    /// The last entry of the journal served.
    served: watch::Sender<Sequence>,
    /// The last entry that the last-good file holds; `None` if no file is kept.
    saved: watch::Sender<Option<Sequence>>,
}

impl Replica {
    /// A replica that has read nothing yet.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            started_at: clock.now(),
            store,
            clock,
            validations: Validations::new(&metrics),
            metrics,
            snapshot: ArcSwapOption::empty(),
            follower: Mutex::new(None),
            membership: Membership::default(),
            recent: Mutex::default(),
            meter: Mutex::default(),
            contact: Mutex::default(),
            finished: Mutex::default(),
            served: watch::Sender::default(),
            saved: watch::Sender::default(),
        }
    }

    /// Lets a request wait for the proof of its answer for at most `budget`; without this, [`validation::DEFAULT_BUDGET`].
    #[must_use]
    pub fn with_validation_budget(mut self, budget: Duration) -> Self {
        self.validations.budget = budget;
        self
    }

    /// What decisions are made from; `None` until the first load. Costs two atomic operations.
    pub fn snapshot(&self) -> arc_swap::Guard<Option<Arc<Snapshot>>> {
        self.snapshot.load()
    }

    /// The tables behind this replica.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Looks at what is known of all aggregates, for a moment; `None` before the first load.
    pub fn look<T>(&self, look: impl FnOnce(&Follower) -> T) -> Option<T> {
        locked(&self.follower).as_ref().map(look)
    }

    /// The freeze window that holds for an environment at `now`, its own or the deployment's.
    pub fn frozen(&self, served: &Served, now: Timestamp) -> Option<Frozen> {
        let of_deployment = self.look(|follower| follower.frozen(now)).flatten();
        served.environment.frozen(of_deployment.as_ref(), now)
    }

    /// Reads the journal to its end and serves what it says: afterwards the snapshot holds every change that was
    /// acknowledged before the call. One consistent query; the first call loads everything.
    ///
    /// # Errors
    /// The store does not answer, or the journal is not to be followed. What was served before is served still.
    pub async fn catch_up(&self) -> Result<Position, CatchUpError> {
        self.catch_up_among_peers()
            .await
            .map(|(position, _)| position)
    }

    /// Reads the journal to its end, for a write there: no live replica may have followed more than is there.
    ///
    /// # Errors
    /// As [`Replica::catch_up`]; or a replica names a later entry.
    pub async fn catch_up_to_write(&self) -> Result<Position, CatchUpError> {
        match self.catch_up_among_peers().await? {
            (position, None) => Ok(position),
            (_, Some(behind)) => Err(behind.into()),
        }
    }

    /// Reads the journal to its end: where that is, and whether a live replica has followed more.
    async fn catch_up_among_peers(&self) -> Result<(Position, Option<JournalFault>), CatchUpError> {
        // Looked up before the journal is read: what a replica names later may have been committed meanwhile.
        let named = self.highest_named();
        // Dated by its beginning: an answer may lie here unread while this process stands still.
        let began = self.clock.monotonic();
        let outcome = self.read_on().await.map(|position| {
            let end = position.last;
            let beyond = named.filter(|named| *named > end);
            let behind = beyond.map(|named| JournalFault::BehindPeers { named, end });
            (position, behind)
        });
        let label = match &outcome {
            Ok(_) => "proved",
            Err(CatchUpError::Store(_)) => "store_failed",
            Err(CatchUpError::Journal(_)) => "journal_refused",
        };
        self.metrics
            .polls
            .get_or_create(&OutcomeLabels { outcome: label })
            .inc();
        self.note(began, &outcome);
        outcome
    }

    async fn read_on(&self) -> Result<Position, CatchUpError> {
        let position = match self.look(|follower| follower.position) {
            None => {
                let started = self.cold_start().await?;
                let mut follower = locked(&self.follower);
                // Two first loads at once: the one that ends first counts.
                let follower = follower.get_or_insert(started);
                self.publish(follower, Source::Live);
                follower.position
            }
            Some(position)
                if self.is_from_file() && start::is_long_ago(&self.store, position).await? =>
            {
                let started = self.cold_start().await?;
                self.replace(position, started)
            }
            Some(position) => position,
        };
        // Also after a load: the rows may have gone beyond the head that was read before them.
        let entries = self.store.entries_from(position.last, usize::MAX).await?;
        let is_proved = position.last == Sequence(0)
            || entries.first().is_some_and(|entry| {
                entry.sequence() == position.last && entry.hash() == position.hash
            });
        let crossing = if is_proved {
            None
        } else {
            Some(self.find_bridge(position, &entries).await?)
        };
        Ok(self.follow(position, entries, crossing)?)
    }

    /// Loads everything, and counts the last entry if it cannot be taken as it is.
    async fn cold_start(&self) -> Result<Follower, StoreError> {
        let (started, head) = start::cold_start(&self.store).await?;
        if let Some(head) = head {
            self.count(&started, head);
        }
        Ok(started)
    }

    /// Whether what is served is from a last-good file and the journal has not been read since.
    fn is_from_file(&self) -> bool {
        self.snapshot
            .load()
            .as_ref()
            .is_some_and(|snapshot| snapshot.source == Source::LastGood)
    }

    /// Serves `started`, which was loaded because following from `position` would take too long, unless somebody followed
    /// meanwhile.
    fn replace(&self, position: Position, mut started: Follower) -> Position {
        let mut guard = locked(&self.follower);
        let follower = guard.get_or_insert_default();
        if follower.position == position {
            started.touch_all(follower);
            *follower = started;
            self.publish(follower, Source::Live);
        }
        follower.position
    }

    /// The bridge over a gap that swallowed our last entry, and where it lands.
    async fn find_bridge(
        &self,
        position: Position,
        entries: &[Entry],
    ) -> Result<(Position, Sequence), CatchUpError> {
        for entry in entries {
            let Entry::Record(record) = entry else {
                continue;
            };
            let Some(recovered) = record.change.bridged_from else {
                continue;
            };
            if let Some(Entry::Bridge(bridge)) = self.store.entry(recovered.bridge).await?
                && bridge.is_intact
                && bridge.to == record.sequence
                && record.sequence > position.last
            {
                return Ok((Entry::Bridge(bridge).position(), record.sequence));
            }
        }
        Err(JournalFault::Rewound(position.last).into())
    }

    /// Follows what was read at `position`. Others may have followed some of it meanwhile.
    fn follow(
        &self,
        position: Position,
        entries: Vec<Entry>,
        crossing: Option<(Position, Sequence)>,
    ) -> Result<Position, JournalFault> {
        let mut guard = locked(&self.follower);
        let follower = guard.get_or_insert_default();
        if let Some((bridge, landing)) = crossing
            && follower.position == position
        {
            tracing::warn!(from = %position.last, to = %landing, "following the bridge of a recovered journal");
            follower.cross(landing, bridge);
        }
        let mut outcome = Ok(());
        let before = follower.position;
        for entry in entries {
            if entry.sequence() < follower.position.next {
                follower.stand_on(entry);
                continue;
            }
            if let Err(gap) = self.follow_one(follower, entry) {
                outcome = Err(JournalFault::Gap(gap));
                break;
            }
        }
        if follower.position != before || self.is_from_file() && outcome.is_ok() {
            self.publish(follower, Source::Live);
        }
        outcome?;
        if follower.is_recovering {
            return Err(JournalFault::RecoveryUnderWay);
        }
        let known = follower.highest_known();
        if known > follower.position.last {
            return Err(JournalFault::Rewound(known));
        }
        Ok(follower.position)
    }

    /// Serves a record that this process has just committed, without reading it back. If others committed in between, the
    /// journal is read instead.
    ///
    /// # Errors
    /// As [`Replica::catch_up`].
    pub async fn accept(&self, record: Record) -> Result<(), CatchUpError> {
        let sequence = record.sequence;
        let is_followed = {
            let mut guard = locked(&self.follower);
            guard.as_mut().is_some_and(|follower| {
                let is_next = follower.position.next == sequence;
                let record = Entry::Record(Box::new(record));
                if is_next && self.follow_one(follower, record).is_ok() {
                    self.publish(follower, Source::Live);
                }
                follower.position.last >= sequence
            })
        };
        if is_followed {
            Ok(())
        } else {
            self.catch_up().await.map(|_| ())
        }
    }

    /// Follows one entry, and keeps it at hand for those who listen.
    fn follow_one(&self, follower: &mut Follower, entry: Entry) -> Result<(), Gap> {
        let (previous, kept) = (follower.position.last, entry.clone());
        let followed = follower.follow(entry)?;
        self.count(follower, followed);
        locked(&self.recent).push(previous, kept);
        Ok(())
    }

    fn publish(&self, follower: &mut Follower, source: Source) {
        let previous = self.snapshot.load();
        // A default snapshot is no earlier state of what comes after it: nothing of it stays.
        let previous = previous
            .as_deref()
            .filter(|snapshot| snapshot.source != Source::Default);
        let next = Snapshot::of(follower, previous, source, self.clock.now(), &self.metrics);
        let sequence = next.sequence;
        let alarms = &self.metrics.alarms;
        let first = |tell: fn(&Known<'_>) -> Option<String>| {
            let mut known = follower.aggregates();
            known.find_map(|known| Some(format!("{}: {}", known.key, tell(&known)?)))
        };
        alarms.set(
            Alarm::UnreadableState,
            first(|known| known.fault.map(str::to_owned)),
        );
        alarms.set(Alarm::NewerFormat, first(|known| known.newer_format()));
        let is_default = source == Source::Default;
        alarms.set(
            Alarm::DefaultSnapshotInUse,
            is_default.then(|| format!("it was exported at entry {sequence}")),
        );
        self.snapshot.store(Some(Arc::new(next)));
        if is_default {
            // No place in the journal that anybody may go on from, and yet something else is served.
            self.served.send_modify(|_| {});
            return;
        }
        self.metrics
            .replica_sequence
            .set(i64::try_from(sequence.0).unwrap_or(i64::MAX));
        self.served.send_replace(sequence);
    }

    fn count(&self, follower: &Follower, followed: Followed) {
        let why = match followed {
            Followed::Record(Taken::Advanced | Taken::Known)
            | Followed::Foreign
            | Followed::Bridge => return,
            Followed::Record(Taken::Behind) => "behind",
            Followed::Record(Taken::Tampered) => "tampered",
            Followed::Record(Taken::Unreadable) => "unreadable_state",
            Followed::Unreadable => "unreadable_envelope",
        };
        self.metrics
            .passed_over
            .get_or_create(&OutcomeLabels { outcome: why })
            .inc();
        let sequence = follower.position.last;
        tracing::error!(%sequence, why, "passed over a journal entry");
        if followed == Followed::Unreadable {
            self.tell_of_unreadable(sequence);
        }
    }

    /// Tells the log and the metrics where the journal ends, as far as it was followed: whoever keeps that elsewhere can prove
    /// later that nothing up to there was cut off or changed.
    pub fn tell_head(&self) {
        let position = self.look(|follower| follower.position);
        let Some(Position { last, hash, .. }) = position.filter(|end| end.last > Sequence(0))
        else {
            return;
        };
        tracing::info!(sequence = %last, %hash, "head of the journal");
        self.metrics.tell_journal_head(last, hash.to_string());
    }

    /// Brings the row of the last record up to date, unless that is known to be done: the duty of whoever commits next, so
    /// that when a record exists all rows are complete up to the one before it.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn finish_last_row(&self) -> Result<(), StoreError> {
        let update: Option<RowUpdate> = self.look(|follower| follower.last_row.clone()).flatten();
        let Some(update) = update.filter(|update| update.sequence() > *locked(&self.finished))
        else {
            return Ok(());
        };
        self.store.update_row(&update).await?;
        let mut finished = locked(&self.finished);
        *finished = update.sequence().max(*finished);
        Ok(())
    }
}

/// A short critical section. A panic inside one left the value as it was, since each replaces whole values at its end.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
