//! The default snapshot: a state that a deployment is shipped with, for a process that starts with neither a last-good file nor
//! a store.
//!
//! It may be from long ago, or from another place of the journal, so it is evidence of nothing: it is served, never followed
//! from, never acknowledged, and gone with the first load.

use std::fs;
use std::path::Path;

use super::follower::Follower;
use super::saved::{Saved, SavedError};
use super::{Replica, Source, locked};

/// What the file at `path` holds.
///
/// # Errors
/// There is none, it is not what was written, or this binary does not know its form.
pub fn read(path: &Path) -> Result<Follower, SavedError> {
    Saved::from_bytes(&fs::read(path)?)?.restore()
}

impl Replica {
    /// Answers calls from `default` until the store has been read, unless there is something better already.
    pub fn serve_default(&self, mut default: Follower) {
        default.touch_all(&Follower::default());
        // Held meanwhile: a first load that ends at this moment must come out on top.
        let follower = locked(&self.follower);
        if follower.is_none() {
            self.membership.restore();
            self.publish(&mut default, Source::Default);
        }
    }
}

#[cfg(test)]
mod tests;
