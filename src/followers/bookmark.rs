//! Where a follower is, and when the store has to know.

use std::time::Duration;

use crate::clock::Clock;
use crate::store::cursors::Cursor;
use crate::store::{Store, StoreError};

/// How long a cursor that has only passed over entries may be behind in the store. Passing over them again costs nothing.
const PASSED_OVER_AFTER: Duration = Duration::from_secs(60);
/// How old a cursor in the store gets: it must not expire.
const RENEWED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What the store says of one follower.
#[derive(Debug, Clone, Default)]
pub(super) struct Bookmark {
    /// What it says, and when that was read or written, by the monotonic clock.
    stored: Option<(Cursor, Duration)>,
    /// Whether something was done that it does not know of.
    is_unsaved: bool,
}

/// What became of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saved {
    /// The store has it, or need not.
    Yes,
    /// Somebody else has come further.
    Overtaken,
}

impl Bookmark {
    /// What was found in the store at `now`.
    pub(super) fn found(cursor: Option<Cursor>, now: Duration) -> Self {
        Self {
            stored: cursor.map(|cursor| (cursor, now)),
            is_unsaved: false,
        }
    }

    /// Something was done that must not be forgotten.
    pub(super) fn turn(&mut self) {
        self.is_unsaved = true;
    }

    /// Writes `cursor` if the store has to know: something was done, something else is in the way, or it is old.
    pub(super) async fn save(
        &mut self,
        (kind, name): (&str, &str),
        cursor: Cursor,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Saved, StoreError> {
        let now = clock.monotonic();
        if !self.is_due(&cursor, now) {
            return Ok(Saved::Yes);
        }
        if !store.put_cursor(kind, name, &cursor, clock.now()).await? {
            return Ok(Saved::Overtaken);
        }
        self.stored = Some((cursor, now));
        self.is_unsaved = false;
        Ok(Saved::Yes)
    }

    fn is_due(&self, cursor: &Cursor, now: Duration) -> bool {
        let Some((stored, at)) = &self.stored else {
            return true;
        };
        let age = now.saturating_sub(*at);
        self.is_unsaved
            || stored.obstacle != cursor.obstacle
            || age >= RENEWED_AFTER
            || stored != cursor && age >= PASSED_OVER_AFTER
    }
}
