//! What a replica does by itself: poll the journal, write and read heartbeats.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{Replica, locked};
use crate::store::heartbeats;

/// Time between two polls of the journal.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Each wait is up to this share shorter or longer, so that replicas do not poll in step.
const JITTER: f64 = 0.2;

/// Polls until `stop`. Errors end nothing: the next poll is the retry, and alarms tell of what lasts.
pub async fn poll(replica: Arc<Replica>, stop: CancellationToken) {
    loop {
        if let Err(error) = replica.catch_up().await {
            tracing::debug!(%error, "a poll of the journal failed");
        }
        let pause = POLL_INTERVAL.mul_f64(rand::rng().random_range(1.0 - JITTER..1.0 + JITTER));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Writes and reads heartbeats until `stop`. A store that does not answer means that nobody can be judged alive: what was
/// known grows old by itself.
pub async fn beat(replica: Arc<Replica>, stop: CancellationToken) {
    let mut timer = tokio::time::interval(heartbeats::INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for beat in 1.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        if let Err(error) = replica.beat_once(beat).await {
            tracing::debug!(%error, "no heartbeats this time");
        }
    }
}

impl Replica {
    /// Writes one heartbeat and reads everyone's.
    ///
    /// # Errors
    /// The store does not answer or refuses.
    pub async fn beat_once(&self, beat: u64) -> Result<(), crate::store::StoreError> {
        // One that has loaded nothing has nothing to say.
        if self.snapshot().is_some() {
            self.store
                .beat(&self.heartbeat(beat), self.clock.now())
                .await?;
        }
        let heartbeats = self.store.heartbeats().await?;
        locked(&self.peers).observe(heartbeats, self.clock.monotonic());
        Ok(())
    }
}
