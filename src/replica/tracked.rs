//! What a follower of the journal knows of one aggregate.

use crate::domain::ids::{Revision, Sequence};
use crate::store::format::{Document, Stored};
use crate::store::record::Record;

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
    /// The record's revision is not above the one served; taking it would go back.
    Behind,
    /// The record was changed after it was written: the state stays as it was.
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
        if !is_trusted {
            // Nothing in it can be believed, its revision neither; the place it takes up is certain.
            self.sequence = record.sequence;
            self.revision = self.revision.next();
            self.fault = Some(format!(
                "record {} was changed after it was written",
                record.sequence
            ));
            return Taken::Tampered;
        }
        self.sequence = record.sequence;
        // The revision of a record that was not believed is a guess, and may turn out to be this one's.
        let is_free = change.revision == self.revision && self.fault.is_some();
        if change.revision <= self.revision && !is_free {
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
}
