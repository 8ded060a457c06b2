//! Freeze windows of one environment.

use super::Environment;
use super::commands::Applied;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::freeze::{Freeze, Frozen};
use crate::domain::ids::FreezeNumber;
use crate::domain::{Change, Context, Refusal, Unchanged};

impl Environment {
    pub(super) fn add_freeze(mut self, add: &AddFreeze, context: &Context) -> Applied {
        let freeze = Freeze {
            start: add.start.unwrap_or(context.now),
            end: add.end,
            reason: add.reason.clone(),
        };
        let number = FreezeNumber(context.revision.0);
        self.freezes.add(number, freeze, context.now)?;
        Ok(Change::To(Some(self)))
    }

    pub(super) fn remove_freeze(mut self, remove: &RemoveFreeze) -> Applied {
        if !self.freezes.remove(remove.number) {
            return Ok(Change::Nothing(Unchanged::NoSuchFreeze));
        }
        Ok(Change::To(Some(self)))
    }

    /// Refuses what would move callers towards the candidate while that is frozen.
    pub(super) fn refuse_while_frozen(&self, context: &Context) -> Result<(), Refusal> {
        match Frozen::of(&self.freezes, context.now) {
            Some(frozen) => Err(Refusal::Frozen(frozen)),
            None => Ok(()),
        }
    }
}
