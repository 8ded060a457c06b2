//! What a follower of the journal knows of one aggregate.

use crate::domain::ids::{Revision, Sequence};
use crate::store::format::{Document, NEWEST, Stored};
use crate::store::record::Record;
use crate::store::row::RowUpdate;

/// One aggregate: the end of its history, and the last state that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked<S> {
    /// Revision of its last record.
    pub revision: Revision,
    /// Sequence of its last record.
    pub sequence: Sequence,
    /// The last state that could be read, and its revision. Calls are routed by it.
    pub good: Option<Good<S>>,
    /// Why the last record's state is not that state.
    pub fault: Option<String>,
}

/// A state that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Good<S> {
    /// Its revision.
    pub revision: Revision,
    /// The state.
    pub document: Document<S>,
}

impl<S> Default for Tracked<S> {
    fn default() -> Self {
        Self {
            revision: Revision(0),
            sequence: Sequence(0),
            good: None,
            fault: None,
        }
    }
}

/// What a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The state is the record's.
    Advanced,
    /// The record, or a later one, had been taken before.
    Known,
    /// The record's revision is not above the one there is: the state stays as it was.
    Behind,
    /// The record was changed after it was written, or claims a revision that there cannot be yet: the state stays as it was.
    Tampered,
    /// The record's state cannot be read: the state stays as it was.
    Unreadable,
}

impl<S: Stored> Tracked<S> {
    /// The state calls are routed by; `None` if the aggregate does not exist or never had a readable state.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        self.good.as_ref()?.document.state.as_ref()
    }

    /// Format of the last state that could be read.
    #[must_use]
    pub fn format(&self) -> Option<u32> {
        Some(self.good.as_ref()?.document.format)
    }

    /// Takes the aggregate's next record. `is_trusted` says whether the record is what its writer wrote.
    pub fn take(&mut self, record: &Record, is_trusted: bool) -> Taken {
        let change = &record.change;
        if record.sequence <= self.sequence {
            return Taken::Known;
        }
        let distance = record.sequence.0 - self.sequence.0;
        self.sequence = record.sequence;
        if !is_trusted {
            // Nothing in it can be believed, its revision neither; the place it takes up is certain.
            self.revision = self.revision.next();
            self.fault = Some(changed(record.sequence));
            return Taken::Tampered;
        }
        // Every revision takes up a place in the journal, those that a recovery leaves out among them.
        if change.revision.0 > self.revision.0.saturating_add(distance) {
            self.fault = Some(self.misnumbered(record));
            self.revision = self.revision.next();
            return Taken::Tampered;
        }
        // The revision of a record that was not believed is a guess, and may turn out to be this one's.
        let is_free = change.revision == self.revision && self.fault.is_some();
        if change.revision <= self.revision && !is_free {
            self.fault = Some(self.misnumbered(record));
            return Taken::Behind;
        }
        self.revision = change.revision;
        match Document::read(change.format, &change.state) {
            Ok(document) => {
                self.good = Some(Good {
                    revision: change.revision,
                    document,
                });
                self.fault = None;
                Taken::Advanced
            }
            Err(error) => {
                self.fault = Some(format!("record {}: {error}", record.sequence));
                Taken::Unreadable
            }
        }
    }

    fn misnumbered(&self, record: &Record) -> String {
        let (sequence, claimed) = (record.sequence, record.change.revision);
        format!(
            "record {sequence} claims revision {claimed}, which cannot follow {}",
            self.revision
        )
    }

    /// What `record`, the last one taken, means for the aggregate's row.
    pub(super) fn row_update(&self, record: Box<Record>, is_trusted: bool) -> RowUpdate {
        let change = &record.change;
        let is_last = self.sequence == record.sequence;
        let fault = self.fault.clone().filter(|_| is_last);
        let good = self.good.as_ref().map(|good| good.revision);
        // A state that only newer binaries can read is theirs to have in the row; and any state is better than no row.
        let is_for_others = |good| good < change.revision && change.format > NEWEST;
        let is_shown = match &fault {
            None => is_trusted,
            Some(_) => {
                is_trusted && change.revision == self.revision && good.is_none_or(is_for_others)
            }
        };
        if is_shown {
            return RowUpdate::Finish(record);
        }
        RowUpdate::Bar {
            revision: self.revision,
            fault: fault.unwrap_or_else(|| changed(record.sequence)),
            record,
        }
    }
}

/// What is wrong with a record that is not what its writer wrote.
pub(super) fn changed(sequence: Sequence) -> String {
    format!("record {sequence} was changed after it was written")
}
