//! The end of an environment's history, as pages show it: the last changes, and those since the rollout began.
//!
//! Records never change, so what was read is kept until another record follows. It is read again then: a dozen reads per change
//! and process, however many people look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::Environment;
use crate::domain::ids::{EnvironmentName, Revision, Sequence};
use crate::http::Listener;
use crate::http::admin::history::{state, walk_back};
use crate::http::problem::Problem;
use crate::replica::Served;
use crate::store::record::Record;

/// Changes that a page shows.
pub(super) const SHOWN: usize = 12;
/// Records read at the most to find the beginning of a rollout.
const MOST: usize = 200;
/// The change with which a rollout begins.
const START: &str = "start_rollout";

/// The last changes of an environment, the newest first.
#[derive(Debug)]
pub(super) struct Chapter {
    /// The last record.
    sequence: Sequence,
    pub(super) entries: Vec<Entry>,
}

/// A change.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) sequence: Sequence,
    pub(super) at: Timestamp,
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) reason: String,
    /// The environment afterwards; none if it was deleted, or cannot be read.
    pub(super) state: Option<Environment>,
}

impl Entry {
    pub(super) fn of(record: &Record) -> Self {
        let change = &record.change;
        Self {
            revision: change.revision,
            sequence: record.sequence,
            at: change.at,
            actor: change.actor.to_string(),
            action: change.action.clone(),
            reason: change.reason.to_string(),
            state: state(record),
        }
    }
}

impl Chapter {
    /// The revision of a replica that has followed the journal to `sequence`; `None` if it is older than the changes here.
    pub(super) fn revision_at(&self, sequence: Sequence) -> Option<Revision> {
        let mut entries = self.entries.iter();
        let known = entries.find(|entry| entry.sequence <= sequence);
        known.map(|entry| entry.revision)
    }

    /// The oldest revision that is known here.
    pub(super) fn oldest(&self) -> Option<Revision> {
        self.entries.last().map(|entry| entry.revision)
    }

    /// The changes since the present rollout began, that one included, the oldest first.
    pub(super) fn of_rollout(&self) -> impl Iterator<Item = &Entry> {
        let beginning = self.entries.iter().position(|entry| entry.action == START);
        let entries = beginning.map_or(&[][..], |beginning| &self.entries[..=beginning]);
        entries.iter().rev()
    }
}

/// The chapters that were read.
#[derive(Debug, Default)]
pub(super) struct Chapters(Mutex<HashMap<EnvironmentName, Arc<Chapter>>>);

impl Chapters {
    /// The last changes of an environment.
    ///
    /// # Errors
    /// The store does not answer. What was read before is of no use: it lacks the last change.
    pub(super) async fn of(
        &self,
        listener: &Listener,
        name: &EnvironmentName,
        served: &Served,
    ) -> Result<Arc<Chapter>, Problem> {
        if let Some(known) = self.locked().get(name)
            && known.sequence == served.sequence
        {
            return Ok(Arc::clone(known));
        }
        let has_rollout = served.environment.rollout.is_some();
        let mut walk = walk_back(listener, name)?;
        let mut chapter = Chapter {
            sequence: served.sequence,
            entries: Vec::new(),
        };
        let mut is_begun = !has_rollout;
        // One more than is shown: a change is told by what was before.
        while !(is_begun && chapter.entries.len() > SHOWN) && chapter.entries.len() < MOST {
            let Some(record) = walk.next().await? else {
                break;
            };
            let entry = Entry::of(&record);
            is_begun |= entry.action == START;
            chapter.entries.push(entry);
        }
        let chapter = Arc::new(chapter);
        self.locked().insert(name.clone(), Arc::clone(&chapter));
        Ok(chapter)
    }

    /// A short critical section, never held across an await.
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<EnvironmentName, Arc<Chapter>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
