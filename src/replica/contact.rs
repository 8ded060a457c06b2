//! How the store and the journal were found lately, and the alarms about that.

use std::time::Duration;

use super::follower::Gap;
use super::{Replica, locked};
use crate::domain::ids::Sequence;
use crate::store::StoreError;
use crate::store::record::Position;
use crate::telemetry::Alarm;

/// A poll that proved the journal must not have begun longer ago than this, or nothing that is served is known to be the
/// latest: the journal may be another one by now.
const NEWEST_POLL: Duration = Duration::from_secs(1);
/// How long an alarm tells of an unreadable envelope. The entry stays where it is, so nothing else would end it.
const TOLD_FOR: Duration = Duration::from_secs(60 * 60);

/// The journal is not the one that this replica has followed, or not yet whole again. Calls are answered as before; writes
/// are refused until a person has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalFault {
    /// The last entry followed, or the one that a row was written from, is gone or another one.
    #[error(
        "the journal has lost or changed entry {0}, which this replica has followed or a row shows; see `traffic-cop journal recover`"
    )]
    Rewound(Sequence),
    /// Entries are missing in the middle.
    #[error("{0}; see `traffic-cop journal verify`")]
    Gap(Gap),
    /// A recovery has begun and not ended.
    #[error(
        "a recovery of the journal is under way; run `traffic-cop journal recover` again if it was interrupted"
    )]
    RecoveryUnderWay,
    /// A live replica has followed more than there is.
    #[error(
        "a live replica has followed the journal up to entry {named}, but it ends at {end}; see `traffic-cop journal recover`"
    )]
    BehindPeers {
        /// The entry that the replica names.
        named: Sequence,
        /// The last entry there is.
        end: Sequence,
    },
}

impl JournalFault {
    /// The alarms that faults of the journal raise.
    const ALARMS: [Alarm; 4] = [
        Alarm::JournalRewound,
        Alarm::JournalGap,
        Alarm::RecoveryUnderWay,
        Alarm::BehindPeers,
    ];

    /// The alarm that it raises.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        match self {
            Self::Rewound(_) => Alarm::JournalRewound,
            Self::Gap(_) => Alarm::JournalGap,
            Self::RecoveryUnderWay => Alarm::RecoveryUnderWay,
            Self::BehindPeers { .. } => Alarm::BehindPeers,
        }
    }
}

/// Why a replica could not read on.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The store does not answer or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is not to be followed.
    #[error(transparent)]
    Journal(#[from] JournalFault),
}

/// How the last poll went, of those that told something about the journal.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    /// Monotonic time at which the last poll began that proved the journal.
    proved_at: Option<Duration>,
    /// Monotonic time at which the poll began that this is from.
    looked_at: Duration,
    fault: Option<JournalFault>,
    /// Set while a live replica names an entry beyond the journal's end.
    behind: Option<JournalFault>,
    /// Monotonic time at which an unreadable envelope was last passed over.
    unreadable_at: Option<Duration>,
}

impl Contact {
    /// What is wrong with the journal, as far as anyone alive knows it.
    pub(super) fn doubt(&self) -> Option<JournalFault> {
        self.fault.or(self.behind)
    }

    /// Whether the journal was proved lately, as of `now` (monotonic). A process that was stopped for a while knows nothing of
    /// that time: the clock went on.
    pub(super) fn is_proved(&self, now: Duration) -> bool {
        self.proved_at
            .is_some_and(|at| now.saturating_sub(at) < NEWEST_POLL)
    }
}

impl Replica {
    /// Time since the beginning of the last poll that proved the journal. What was committed before it is served.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let proved_at = locked(&self.contact).proved_at?;
        Some(self.clock.monotonic().saturating_sub(proved_at))
    }

    /// What is wrong with the journal, as of the last poll.
    #[must_use]
    pub fn fault(&self) -> Option<JournalFault> {
        locked(&self.contact).fault
    }

    /// The same, or what other replicas know to be wrong with it.
    #[must_use]
    pub fn doubt(&self) -> Option<JournalFault> {
        locked(&self.contact).doubt()
    }

    /// Keeps how a poll that began at `began` found the journal, and raises or clears the alarms about it.
    pub(super) fn note(
        &self,
        began: Duration,
        outcome: &Result<(Position, Option<JournalFault>), CatchUpError>,
    ) {
        let mut contact = locked(&self.contact);
        // Of two polls at once, the one that began later counts, whichever ends first.
        if began < contact.looked_at {
            return;
        }
        let now = self.clock.monotonic();
        match outcome {
            Ok((_, behind)) => {
                (contact.fault, contact.behind) = (None, *behind);
                (contact.proved_at, contact.looked_at) = (Some(began), began);
                self.metrics.last_contact.set(began.as_secs_f64());
            }
            Err(CatchUpError::Journal(fault)) => {
                (contact.fault, contact.looked_at) = (Some(*fault), began);
            }
            Err(CatchUpError::Store(_)) => {}
        }
        if outcome.is_err() || contact.doubt().is_some() {
            self.validations.breaker.open(now);
        } else if now.saturating_sub(began) <= self.validations.budget {
            // A slower answer is no sign that one would come within a call's budget.
            self.validations.breaker.close();
        }
        let alarms = &self.metrics.alarms;
        for alarm in JournalFault::ALARMS {
            let mut faults = [contact.fault, contact.behind].into_iter().flatten();
            let fault = faults.find(|fault| fault.alarm() == alarm);
            alarms.set(alarm, fault.map(|fault| fault.to_string()));
        }
        let is_proved = contact.is_proved(now);
        match outcome {
            Err(CatchUpError::Store(_)) if is_proved => {}
            Err(CatchUpError::Store(error)) => {
                alarms.set(Alarm::StoreAway, Some(error.to_string()));
            }
            Ok(_) | Err(CatchUpError::Journal(_)) => alarms.set(Alarm::StoreAway, None),
        }
        let is_old = |at: Duration| now.saturating_sub(at) >= TOLD_FOR;
        if contact.unreadable_at.is_some_and(is_old) {
            contact.unreadable_at = None;
            alarms.set(Alarm::UnreadableEnvelope, None);
        }
    }

    /// Raises the alarm about an entry whose envelope cannot be read.
    pub(super) fn tell_of_unreadable(&self, sequence: Sequence) {
        locked(&self.contact).unreadable_at = Some(self.clock.monotonic());
        let why = format!("entry {sequence}; see `traffic-cop journal verify`");
        self.metrics
            .alarms
            .set(Alarm::UnreadableEnvelope, Some(why));
    }
}
