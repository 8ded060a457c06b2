//! Recovery of a journal that lost its end: a table restored from a backup, or emptied.
//!
//! A person decides it. Per aggregate the highest revision known anywhere is committed again, one revision higher, at
//! sequences above every known one. A bridge at the head of what is left names the first of them, so replicas that still
//! remember the lost entries and replicas that never saw them go on at the same place, and only there.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Store;
use super::error::StoreError;
use super::item::Item;
use super::journal::CommitError;
use super::record::{Bridge, Draft, Entry, Position, Recovered};
use crate::domain::ids::{Actor, AggregateKey, Reason, Revision, Sequence};
use crate::domain::operation::Digest128;

/// The action of a record that a recovery writes.
pub const ACTION: &str = "recover";
/// Distance from the highest known sequence to the first recovered one: room for entries that nobody left knows of.
const MARGIN: u64 = 1_000;
/// How long one write of a recovery may take.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// Entries read at a time.
const PAGE: usize = 1_000;

/// A state found somewhere, and its revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The revision.
    pub revision: Revision,
    /// Sequence of its record.
    pub sequence: Sequence,
    /// Format of the state.
    pub format: u32,
    /// The row's plain attributes.
    pub row: Item,
    /// The state.
    pub state: Vec<u8>,
}

/// What a recovery did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The journal holds everything that is known; nothing was written.
    NothingLost {
        /// The last entry.
        head: Sequence,
    },
    /// Everything known is in the journal again.
    Recovered {
        /// Where the bridge stands.
        bridge: Sequence,
        /// What was committed, and at which revision.
        aggregates: Vec<(AggregateKey, Revision)>,
    },
}

/// A recovery that did not come to its end. Running it again goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store does not answer or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write did not go through.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Everything known of a deployment's state.
struct Known {
    /// Per aggregate: its last record in the journal that is left.
    in_journal: BTreeMap<AggregateKey, (Sequence, Revision)>,
    /// Per aggregate: the highest revision anywhere.
    highest: BTreeMap<AggregateKey, Found>,
    head: Position,
    /// Whether the last entry is of a recovery that did not come to its end.
    is_unfinished: bool,
    highest_sequence: Sequence,
}

impl Store {
    /// Brings everything known back into the journal. `others` are states from outside the tables, such as the last-good
    /// files of replicas. Safe to run again after a failure; needs no replica to be stopped.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub async fn recover(
        &self,
        others: Vec<(AggregateKey, Found)>,
        actor: &Actor,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<Recovery, RecoverError> {
        let known = self.gather(others).await?;
        let is_lost = |key: &AggregateKey, found: &Found| {
            known
                .in_journal
                .get(key)
                .is_none_or(|(_, revision)| found.revision > *revision)
        };
        let nothing_lost = !known.is_unfinished
            && known.highest_sequence <= known.head.last
            && !known.highest.iter().any(|(key, found)| is_lost(key, found));
        // Of a journal of which nobody knows anything there is nothing to bring back, and a bridge to nothing would end it.
        if nothing_lost || known.highest.is_empty() {
            return Ok(Recovery::NothingLost {
                head: known.head.last,
            });
        }
        let landing = known.highest_sequence.max(known.head.next).0 + MARGIN;
        let bridge = Bridge::at(&known.head, Sequence(landing));
        self.put_bridge(&bridge, Instant::now() + WRITE_TIME)
            .await?;
        let mut left = known.highest.len() as u64;
        let mut position = Entry::Bridge(bridge.clone()).position();
        let mut aggregates = Vec::new();
        for (aggregate, found) in known.highest {
            left -= 1;
            let draft = Draft {
                revision: found.revision.next(),
                previous: known
                    .in_journal
                    .get(&aggregate)
                    .map_or(Sequence(0), |(sequence, _)| *sequence),
                operation: Digest128::of(&[
                    ACTION.as_bytes(),
                    &bridge.hash.0,
                    aggregate.to_string().as_bytes(),
                ]),
                request: Digest128::of(&[&found.state]),
                aggregate: aggregate.clone(),
                actor: actor.clone(),
                action: ACTION.to_owned(),
                reason: reason.clone(),
                at: now,
                format: found.format,
                row: found.row,
                state: found.state,
                bridged_from: Some(Recovered {
                    bridge: bridge.sequence,
                    left,
                }),
            };
            let record = self
                .commit(draft, &position, Instant::now() + WRITE_TIME)
                .await?;
            self.finish_row(&record).await?;
            aggregates.push((aggregate, record.change.revision));
            position = Entry::Record(Box::new(record)).position();
        }
        Ok(Recovery::Recovered {
            bridge: bridge.sequence,
            aggregates,
        })
    }

    async fn gather(&self, others: Vec<(AggregateKey, Found)>) -> Result<Known, StoreError> {
        let mut known = Known {
            in_journal: BTreeMap::new(),
            highest: BTreeMap::new(),
            head: Position::default(),
            is_unfinished: false,
            highest_sequence: Sequence(0),
        };
        let mut first = Sequence(0);
        loop {
            let entries = self.entries_from(first, PAGE).await?;
            let Some(last) = entries.last() else { break };
            first = last.sequence().next();
            entries.into_iter().for_each(|entry| known.read(entry));
        }
        for row in self.rows().await? {
            known.reach(row.sequence);
            if let Some(state) = row.state {
                let (revision, sequence, format) = (row.revision, row.sequence, row.format);
                known.find(
                    row.aggregate,
                    Found {
                        revision,
                        sequence,
                        format,
                        row: row.attributes,
                        state,
                    },
                );
            }
        }
        for (aggregate, found) in others {
            known.find(aggregate, found);
        }
        self.heartbeats()
            .await?
            .iter()
            .for_each(|heartbeat| known.reach(heartbeat.sequence));
        Ok(known)
    }
}

impl Known {
    fn read(&mut self, entry: Entry) {
        self.head = entry.position();
        self.reach(entry.sequence());
        self.is_unfinished = entry.is_recovering();
        match entry {
            Entry::Record(record) if record.is_intact => {
                let change = record.change;
                self.in_journal
                    .insert(change.aggregate.clone(), (record.sequence, change.revision));
                let (revision, format) = (change.revision, change.format);
                let found = Found {
                    revision,
                    sequence: record.sequence,
                    format,
                    row: change.row,
                    state: change.state,
                };
                self.find(change.aggregate, found);
            }
            Entry::Record(_) | Entry::Bridge(_) | Entry::Unreadable(_) => {}
        }
    }

    fn reach(&mut self, sequence: Sequence) {
        self.highest_sequence = self.highest_sequence.max(sequence);
    }

    fn find(&mut self, aggregate: AggregateKey, found: Found) {
        self.reach(found.sequence);
        match self.highest.get(&aggregate) {
            Some(best) if best.revision >= found.revision => {}
            _ => {
                self.highest.insert(aggregate, found);
            }
        }
    }
}
