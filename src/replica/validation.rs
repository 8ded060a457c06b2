//! Validated reads: proof that the snapshot holds every change acknowledged before a request arrived.
//!
//! The proof is one consistent read of the place after the snapshot's last entry: nothing there, nothing was missed. It has
//! to *begin* after the request arrived, so a request cannot share a read that is under way, but all that arrive meanwhile
//! share the next. However many calls there are, at most one read is in flight and one waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{CatchUpError, Replica, locked};

/// Where requests and the reads that prove their answers meet.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Rounds begun so far. A request needs one that begins later.
    begun: AtomicU64,
    wanted: Notify,
    /// The last round that ended, and whether it proved the snapshot.
    ended: watch::Sender<Round>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Round {
    number: u64,
    is_proof: bool,
}

impl Default for Rounds {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            wanted: Notify::new(),
            ended: watch::Sender::new(Round::default()),
        }
    }
}

impl Replica {
    /// Waits until the snapshot is proved to hold every change acknowledged before the call, for at most `budget`. Returns
    /// whether it is: load the snapshot afterwards. While the store is known to be away it is not, at once.
    pub async fn validate(&self, budget: Duration) -> bool {
        if !self.can_validate() {
            return false;
        }
        // Subscribed before the number is read: a round that ends in between is not missed.
        let mut ended = self.rounds.ended.subscribe();
        let needed = self.rounds.begun.load(Ordering::SeqCst) + 1;
        self.rounds.wanted.notify_one();
        let round =
            tokio::time::timeout(budget, ended.wait_for(|round| round.number >= needed)).await;
        matches!(round, Ok(Ok(round)) if round.is_proof)
    }

    /// Whether the last poll was recent enough and found the journal in order, as far as anyone alive knows it.
    pub fn can_validate(&self) -> bool {
        let contact = locked(&self.contact);
        let is_in_order = contact.fault.is_none() && contact.behind.is_none();
        is_in_order && contact.is_proved(self.clock.monotonic())
    }

    /// One consistent read of the place after the last entry; if something stands there, everything up to the end.
    async fn prove(&self) -> Result<(), CatchUpError> {
        let Some(next) = self.look(|follower| follower.position.next) else {
            return self.catch_up().await.map(|_| ());
        };
        if self.store.entry_once(next).await?.is_some() {
            self.catch_up().await?;
        }
        Ok(())
    }
}

/// Reads for those who wait, one round after the other, until `stop`.
pub async fn rounds(replica: Arc<Replica>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = replica.rounds.wanted.notified() => {}
        }
        let number = replica.rounds.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let is_proof = match replica.prove().await {
            Ok(()) => replica.can_validate(),
            Err(error) => {
                tracing::debug!(%error, "a read could not be validated");
                false
            }
        };
        replica
            .rounds
            .ended
            .send_replace(Round { number, is_proof });
    }
}
