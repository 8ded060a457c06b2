//! A writer below the control: it commits drafts whose states mean nothing, in the order it is told.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::domain::operation::Digest128;
use traffic_cop::store::Store;
use traffic_cop::store::item::{Item, text};
use traffic_cop::store::record::{Draft, Entry, Position, Record};
use traffic_cop::store::row::RowUpdate;

/// When an answer has to be there.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// A draft that says little.
pub(crate) fn draft(aggregate: &str) -> Draft {
    Draft {
        aggregate: aggregate.parse().expect("an aggregate"),
        revision: Revision(1),
        previous: Sequence(0),
        operation: Digest128(uuid::Uuid::new_v4().into_bytes()),
        request: Digest128([7; 16]),
        actor: "tester".parse().expect("an actor"),
        action: "create".to_owned(),
        reason: "a test".parse().expect("a reason"),
        at: "2026-01-05T08:00:00Z".parse().expect("a time"),
        format: 1,
        row: Item::from([("Active_Slot".to_owned(), text("blue"))]),
        state: b"{}".to_vec(),
        bridged_from: None,
    }
}

/// Where a journal is, and its aggregates.
#[derive(Debug)]
pub(crate) struct Chronicle {
    store: Store,
    pub(crate) position: Position,
    aggregates: HashMap<AggregateKey, (Revision, Sequence)>,
}

impl Chronicle {
    /// The start of an empty journal.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            position: Position::default(),
            aggregates: HashMap::new(),
        }
    }

    /// Commits the aggregate's next record and leaves its row as it is.
    pub(crate) async fn commit(&mut self, aggregate: &str, state: &[u8]) -> Record {
        let mut draft = draft(aggregate);
        let known = self.aggregates.entry(draft.aggregate.clone()).or_default();
        (draft.revision, draft.previous) = (known.0.next(), known.1);
        draft.state = state.to_vec();
        let outcome = self.store.commit(draft, &self.position, soon()).await;
        let record = outcome.expect("a commit");
        *known = (record.change.revision, record.sequence);
        self.position = Entry::Record(Box::new(record.clone())).position();
        record
    }

    /// Commits the aggregate's next record and brings its row up to date.
    pub(crate) async fn write(&mut self, aggregate: &str, state: &[u8]) -> Record {
        let record = self.commit(aggregate, state).await;
        let finish = RowUpdate::Finish(Box::new(record.clone()));
        self.store.update_row(&finish).await.expect("a row");
        record
    }
}
