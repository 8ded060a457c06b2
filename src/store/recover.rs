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
use super::format;
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

/// What somebody outside the tables remembers, such as a replica in its last-good file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// The last journal entry that they have followed.
    pub last: Sequence,
    /// The states that they know.
    pub states: Vec<(AggregateKey, Found)>,
}

/// A state found somewhere, and how far its aggregate's history goes there.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Revision of the last record.
    pub revision: Revision,
    /// Revision of `state`: an earlier one if the last record could not be read.
    pub good_revision: Revision,
    /// Sequence of the last record.
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
    /// Per aggregate: the readable state of the highest revision anywhere.
    highest: BTreeMap<AggregateKey, Best>,
    head: Position,
    /// Whether the last entry is of a recovery that did not come to its end.
    is_unfinished: bool,
    highest_sequence: Sequence,
}

/// The best state of an aggregate so far.
struct Best {
    found: Found,
    /// Whether it can be read, and its revision.
    worth: (bool, Revision),
}

impl Store {
    /// Brings everything known back into the journal; `memories` are sources besides the tables. Safe to run again after a
    /// failure; needs no replica to be stopped.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub async fn recover(
        &self,
        memories: Vec<Memory>,
        actor: &Actor,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<Recovery, RecoverError> {
        let known = self.gather(memories).await?;
        let is_lost = |key: &AggregateKey, best: &Best| {
            known
                .in_journal
                .get(key)
                .is_none_or(|(_, revision)| best.found.good_revision > *revision)
        };
        let nothing_lost = !known.is_unfinished
            && known.highest_sequence <= known.head.last
            && !known.highest.iter().any(|(key, best)| is_lost(key, best));
        // Of a journal of which nobody knows anything there is nothing to bring back, and a bridge to nothing would end it.
        if nothing_lost || known.highest.is_empty() {
            return Ok(Recovery::NothingLost {
                head: known.head.last,
            });
        }
        let landing = known
            .highest_sequence
            .max(known.head.next)
            .0
            .saturating_add(MARGIN);
        let bridge = Bridge::at(&known.head, Sequence(landing));
        self.put_bridge(&bridge, Instant::now() + WRITE_TIME)
            .await?;
        let mut left = known.highest.len() as u64;
        let mut position = Entry::Bridge(bridge.clone()).position();
        let mut aggregates = Vec::new();
        for (aggregate, Best { found, .. }) in known.highest {
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

    async fn gather(&self, memories: Vec<Memory>) -> Result<Known, StoreError> {
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
                let found = Found {
                    revision: row.revision,
                    good_revision: row.good_revision,
                    sequence: row.sequence,
                    format: row.format,
                    row: row.attributes,
                    state,
                };
                known.find(row.aggregate, found);
            }
        }
        for memory in memories {
            known.reach(memory.last);
            for (aggregate, found) in memory.states {
                known.find(aggregate, found);
            }
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
                let found = Found {
                    revision: change.revision,
                    good_revision: change.revision,
                    sequence: record.sequence,
                    format: change.format,
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

    /// Keeps the better of two states, and the higher of two revisions whatever becomes of their states.
    fn find(&mut self, aggregate: AggregateKey, found: Found) {
        self.reach(found.sequence);
        // What nobody here can read is better than nothing: a newer binary may.
        let is_readable = format::is_readable(&aggregate, found.format, &found.state);
        let worth = (is_readable, found.good_revision);
        match self.highest.get_mut(&aggregate) {
            Some(best) => {
                let revision = best.found.revision.max(found.revision);
                if worth > best.worth {
                    *best = Best { found, worth };
                }
                best.found.revision = revision;
            }
            None => drop(self.highest.insert(aggregate, Best { found, worth })),
        }
    }
}
