//! Why a write came to nothing.

use crate::domain::Refusal;
use crate::domain::ids::{AggregateKey, Revision};
use crate::domain::operation::Digest128;
use crate::replica::JournalFault;
use crate::store::StoreError;

/// A command that came to nothing, or of which that cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The state does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller has seen another revision.
    #[error(
        "the aggregate is at revision {current}, not at the one named; look at it and decide again"
    )]
    Stale {
        /// The revision there is.
        current: Revision,
    },
    /// The idempotency key was used for something else.
    #[error("this idempotency key was used for another request; use a new one for each change")]
    KeyReused,
    /// The key's change was committed, but its record was lost with the end of a journal.
    #[error(
        "this change was committed as revision {0}, but its record is lost; look at the present state"
    )]
    RecordLost(Revision),
    /// The last record's state cannot be read.
    #[error(
        "the last state cannot be read ({fault}); what could be read before is served, and takes only {}",
        ways_out(.aggregate)
    )]
    Corrupt {
        /// The aggregate.
        aggregate: AggregateKey,
        /// What is wrong with its last record.
        fault: String,
    },
    /// A newer binary wrote the state.
    #[error(
        "the state has format {0}, which this binary does not know; use a newer one, or roll back"
    )]
    NewerFormat(u32),
    /// The state would outgrow its place.
    #[error(
        "the state would take {bytes} bytes, at most {limit} are allowed; shorten labels or remove what is not needed"
    )]
    TooLarge {
        /// Size it would have.
        bytes: usize,
        /// Size it may have.
        limit: usize,
    },
    /// The journal is not in order.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The store does not answer; nothing was changed.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
    /// Too many others committed first for too long; nothing was changed.
    #[error("others were committing for so long that this change did not come through; try again")]
    Contended,
    /// The deadline passed while the outcome was open.
    #[error(
        "it is not known whether the change was committed; repeat the request with the same Idempotency-Key to find out"
    )]
    OutcomeUnknown {
        /// Identity of the write, as its record would have it.
        operation: Digest128,
    },
}

/// What an aggregate takes whose last state cannot be read.
fn ways_out(aggregate: &AggregateKey) -> String {
    match aggregate {
        AggregateKey::Environment(name) => {
            format!("a rollback, or a repair: `traffic-cop env repair {name}`")
        }
        AggregateKey::Settings => "a repair: `traffic-cop settings repair`".to_owned(),
        AggregateKey::Access | AggregateKey::Other(_) => {
            "a revocation, or a repair: `traffic-cop token repair`".to_owned()
        }
    }
}
