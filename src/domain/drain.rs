//! Whether calls may still be inside a slot.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::environment::Environment;
use super::slot::{BySlot, Slot};

/// When a call was last decided to each slot, as far as the replicas report.
pub type LastCalls = BySlot<Option<Timestamp>>;

/// Whether calls may still be inside a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// It takes new calls.
    TakesNewCalls,
    /// They may be, if none follow until `drained_at`.
    Until {
        /// When it last took a share of new calls, or was given a call without one.
        since: Timestamp,
        /// Which of the two.
        cause: Cause,
        /// When it counts as drained.
        drained_at: Timestamp,
    },
    /// They are not.
    Drained,
}

/// Why calls may still be inside a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It took a share of new calls.
    Share,
    /// A call was decided to it all the same: by affinity, by an override, or by a replica that lagged.
    Call,
}

impl Environment {
    /// Whether calls may still be inside `slot` at `now`: it drains for `drain_time` after its share of new calls ended, and
    /// after the last call that any replica reports.
    #[must_use]
    pub fn drain(
        &self,
        slot: Slot,
        last_calls: &LastCalls,
        drain_time: Duration,
        now: Timestamp,
    ) -> Drain {
        if self.takes_new_calls(slot) {
            return Drain::TakesNewCalls;
        }
        let share = self.slots[slot].share_ended_at.map(|at| (at, Cause::Share));
        let call = last_calls[slot].map(|at| (at, Cause::Call));
        // Of two at one moment the first: the last of the calls that the share brought.
        let later = match (share, call) {
            (Some(share), Some(call)) if call.0 > share.0 => Some(call),
            (share, call) => share.or(call),
        };
        let drain_time = SignedDuration::try_from(drain_time).unwrap_or(SignedDuration::MAX);
        match later {
            Some((since, cause)) => {
                let drained_at = since.checked_add(drain_time).unwrap_or(Timestamp::MAX);
                if drained_at > now {
                    Drain::Until {
                        since,
                        cause,
                        drained_at,
                    }
                } else {
                    Drain::Drained
                }
            }
            None => Drain::Drained,
        }
    }
}

#[cfg(test)]
mod tests;
