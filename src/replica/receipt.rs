//! Receipts: which replicas decide by a change, and how long after its commit they said so.
//!
//! A look at the heartbeats that begins after the commit finds every replica that could still decide by what was before: one
//! that registers later reads the journal after that, so it has the change from its start.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Replica;
use crate::domain::ids::Sequence;
use crate::store::heartbeats::{Peer, Peers, Presence};
use crate::telemetry::OutcomeLabels;

/// Who has a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it comes to.
    pub status: Status,
    /// Each replica, in the order of their ids.
    pub replicas: Vec<Confirmation>,
}

/// What a receipt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Every live replica has the change.
    All,
    /// A replica that was alive did not say in time that it has.
    Unconfirmed,
    /// No heartbeats could be read, so nobody can say.
    Unknown,
}

/// One replica in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Its id.
    pub replica: String,
    /// What it has said.
    pub standing: Standing,
}

/// What a replica has said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// That it has it. At most this long after the commit; an upper bound, by the writer's monotonic clock.
    Acknowledged(Duration),
    /// Nothing, in the time that there was.
    Unconfirmed,
    /// Nothing, and it had been silent before: it was killed, or it is cut off and decides by what it knew.
    Silent,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::All, Self::Unconfirmed, Self::Unknown];

    /// Its name in the API and in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unconfirmed => "unconfirmed",
            Self::Unknown => "unknown",
        }
    }
}

/// A receipt while it is waited for.
#[derive(Debug)]
struct Ledger {
    /// The change.
    sequence: Sequence,
    /// Monotonic time not later than the commit.
    since: Duration,
    /// Whether heartbeats were read since.
    has_looked: bool,
    replicas: BTreeMap<String, Note>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Acknowledged(Duration),
    /// It is alive and has not said anything yet.
    Awaited,
    /// It was alive and is not any more: there is nothing left to wait for.
    Lost,
    Silent,
}

impl Ledger {
    fn new(sequence: Sequence, since: Duration) -> Self {
        Self {
            sequence,
            since,
            has_looked: false,
            replicas: BTreeMap::new(),
        }
    }

    /// Takes in how far this replica itself has come at `now`, which needs no heartbeat.
    fn take_own(&mut self, replica: &str, acknowledged: Sequence, now: Duration) {
        let note = self
            .replicas
            .entry(replica.to_owned())
            .or_insert(Note::Awaited);
        if *note == Note::Awaited && acknowledged >= self.sequence {
            *note = Note::Acknowledged(now.saturating_sub(self.since));
        }
    }

    /// Takes in the others as a look found them that began after the commit and ended at `now`.
    fn take_others(&mut self, peers: &Peers, own: &str, now: Duration) {
        self.has_looked = true;
        for (replica, note) in &mut self.replicas {
            // A heartbeat so old that the table has dropped it.
            if *note == Note::Awaited && replica != own && peers.get(replica).is_none() {
                *note = Note::Lost;
            }
        }
        for peer in peers.iter().filter(|peer| peer.heartbeat.replica != own) {
            self.take(peer, now);
        }
    }

    fn take(&mut self, peer: &Peer, now: Duration) {
        let replica = &peer.heartbeat.replica;
        let known = self.replicas.get(replica).copied();
        let has_it = peer.heartbeat.sequence >= self.sequence;
        let note = match (known, has_it, peer.presence(now)) {
            (Some(Note::Acknowledged(_)), ..) => return,
            // The dead of earlier days: they decide nothing, or nothing by what was before.
            (None, true, Presence::Silent) | (None, _, Presence::Ended) => return,
            (_, true, _) => Note::Acknowledged(now.saturating_sub(self.since)),
            (_, false, Presence::Live) => Note::Awaited,
            (Some(Note::Awaited | Note::Lost), false, Presence::Silent) => Note::Lost,
            (Some(Note::Silent) | None, false, Presence::Silent) => Note::Silent,
            (Some(_), false, Presence::Ended) => {
                self.replicas.remove(replica);
                return;
            }
        };
        self.replicas.insert(replica.clone(), note);
    }

    fn is_settled(&self) -> bool {
        self.has_looked && !self.replicas.values().any(|note| *note == Note::Awaited)
    }

    fn close(self) -> Receipt {
        let is_open = |note: &Note| matches!(note, Note::Awaited | Note::Lost);
        let status = if !self.has_looked {
            Status::Unknown
        } else if self.replicas.values().any(is_open) {
            Status::Unconfirmed
        } else {
            Status::All
        };
        let confirmation = |(replica, note)| Confirmation {
            replica,
            standing: match note {
                Note::Acknowledged(after) => Standing::Acknowledged(after),
                Note::Awaited | Note::Lost => Standing::Unconfirmed,
                Note::Silent => Standing::Silent,
            },
        };
        Receipt {
            status,
            replicas: self.replicas.into_iter().map(confirmation).collect(),
        }
    }
}

impl Replica {
    /// Waits until every live replica has acknowledged `sequence`, for at most `wait`. `since` is a monotonic time not later
    /// than its commit.
    pub async fn receipt(&self, sequence: Sequence, since: Duration, wait: Duration) -> Receipt {
        let deadline = Instant::now() + wait;
        let mut ledger = Ledger::new(sequence, since);
        while !ledger.is_settled() {
            let looked = tokio::time::timeout_at(deadline, self.next_look()).await;
            let now = self.clock.monotonic();
            ledger.take_own(self.id(), self.acknowledged(), now);
            match looked {
                Ok(true) => self.with_peers(|peers| ledger.take_others(peers, self.id(), now)),
                Ok(false) => {}
                Err(_) => break,
            }
        }
        let receipt = ledger.close();
        self.metrics
            .receipts
            .get_or_create(&OutcomeLabels {
                outcome: receipt.status.as_str(),
            })
            .inc();
        receipt
    }
}

#[cfg(test)]
mod tests;
