//! Freeze windows of one environment.

use jiff::Timestamp;

use super::Environment;
use super::commands::Applied;
use crate::domain::command::{AddFreeze, RemoveFreeze};
use crate::domain::freeze::{Freeze, Frozen, Place};
use crate::domain::ids::FreezeNumber;
use crate::domain::{Change, Context, Refusal, Unchanged};

impl Environment {
    pub(super) fn add_freeze(mut self, add: &AddFreeze, context: &Context) -> Applied {
        let freeze = Freeze::of(add, context.now);
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
        match self.frozen(context.frozen.as_ref(), context.now) {
            Some(frozen) => Err(Refusal::Frozen(frozen)),
            None => Ok(()),
        }
    }

    /// The freeze window in force at `now`, `of_deployment` among them: of several, the one that ends last.
    #[must_use]
    pub fn frozen(&self, of_deployment: Option<&Frozen>, now: Timestamp) -> Option<Frozen> {
        let own = Frozen::of(&self.freezes, Place::Environment, now);
        let all = own.into_iter().chain(of_deployment.cloned());
        all.max_by_key(|frozen| frozen.until)
    }
}
