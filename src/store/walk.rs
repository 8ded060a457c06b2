//! Walking an aggregate's records back from its last, along the links between them.

use super::Store;
use super::error::StoreError;
use super::record::{Entry, Record};
use crate::domain::ids::{AggregateKey, Sequence};

/// A walk along the links between an aggregate's records, from the last to the first. Each step is one read.
#[derive(Debug)]
pub struct Walk<'a> {
    store: &'a Store,
    aggregate: AggregateKey,
    next: Sequence,
}

impl Store {
    /// A walk back over the records of `aggregate`, of which `last` is where the last one stands.
    #[must_use]
    pub fn walk_back(&self, aggregate: AggregateKey, last: Sequence) -> Walk<'_> {
        Walk {
            store: self,
            aggregate,
            next: last,
        }
    }
}

impl Walk<'_> {
    /// Whether nothing is left to walk to.
    #[must_use]
    pub fn is_at_beginning(&self) -> bool {
        self.next == Sequence(0)
    }

    /// The record before, if there is one and it is the aggregate's. It may not be intact: what it says, and where it leads, are
    /// the word of whoever changed it.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn next(&mut self) -> Result<Option<Box<Record>>, StoreError> {
        if self.is_at_beginning() {
            return Ok(None);
        }
        let record = match self.store.entry(self.next).await? {
            Some(Entry::Record(record)) if record.change.aggregate == self.aggregate => {
                Some(record)
            }
            Some(_) | None => None,
        };
        // A link that leads to nothing, or not back, ends the history.
        self.next = record
            .as_ref()
            .map(|record| record.change.previous)
            .filter(|previous| *previous < self.next)
            .unwrap_or_default();
        Ok(record)
    }
}
