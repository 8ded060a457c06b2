//! Validated reads: proof that the snapshot holds every change acknowledged before a request arrived.
//!
//! The proof is one consistent read of the place after the snapshot's last entry: nothing there, nothing was missed. It has
//! to *begin* after the request arrived; [`super::rounds`] lets all who wait share it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{CatchUpError, Replica, locked};

impl Replica {
    /// Waits until the snapshot is proved to hold every change acknowledged before the call, for at most `budget`. Returns
    /// whether it is: load the snapshot afterwards. While the store is known to be away it is not, at once.
    pub async fn validate(&self, budget: Duration) -> bool {
        if !self.can_validate() {
            return false;
        }
        let proof = tokio::time::timeout(budget, self.validations.next());
        proof.await.unwrap_or(false)
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
            () = replica.validations.wanted() => {}
        }
        let proof = async {
            match replica.prove().await {
                Ok(()) => replica.can_validate(),
                Err(error) => {
                    tracing::debug!(%error, "a read could not be validated");
                    false
                }
            }
        };
        replica.validations.hold(proof).await;
    }
}
