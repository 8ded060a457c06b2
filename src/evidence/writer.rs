//! The task that writes exposures.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::batches::{Batches, next_request};
use super::queue::Queue;
use crate::clock::Clock;
use crate::domain::judge::evidence::Exposure;
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::evidence::Batch;
use crate::telemetry::{Metrics, OutcomeLabels};

/// Time between two writes. What a process that is killed has not written is lost: about as much.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a store that stays away is mentioned in the log, in writes.
const MENTION_EVERY: u32 = 60;

/// Writes exposures, at most one write a second however many calls there are, and none while there is nothing to write.
#[derive(Debug)]
pub struct Writer {
    queue: Queue,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Batches that the store has not acknowledged. They are written again as they are, and new ones only after them.
    pending: Vec<Batch<Exposure>>,
    batches: Batches,
}

impl Writer {
    /// A writer of what comes out of `queue`, as `replica`.
    #[must_use]
    pub fn new(
        queue: Queue,
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let batches = Batches::of(&replica);
        Self {
            queue,
            replica,
            clock,
            metrics,
            pending: Vec::new(),
            batches,
        }
    }

    /// Writes until `stop`, and then once more. Decisions that are made later are lost.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut timer = tokio::time::interval(INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures: u32 = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = timer.tick() => {}
            }
            match self.write().await {
                Ok(()) if failures > 0 => {
                    tracing::info!(failures, "exposures are written again");
                    failures = 0;
                }
                Ok(()) => {}
                Err(error) => {
                    if failures.is_multiple_of(MENTION_EVERY) {
                        tracing::warn!(%error, failures, "exposures cannot be written; they wait, and are dropped when too many do");
                    }
                    failures += 1;
                }
            }
        }
        self.finish().await;
    }

    /// Writes what waits: first what was not acknowledged the last time, and what is new only if there is nothing of that.
    ///
    /// # Errors
    /// The store does not answer or refuses. What may not have been written is written again the next time.
    pub async fn write(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            let taken = self.queue.take().await;
            let now = self.clock.now();
            self.pending = self.batches.make(taken, now);
        }
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        while !rest.is_empty() {
            let (batches, later) = rest.split_at(next_request(rest));
            match self.replica.store().put_evidence(batches).await {
                Ok(left) => self.settle(batches, &left),
                Err(error) => {
                    self.pending.extend_from_slice(rest);
                    return Err(error);
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// Keeps those of `batches` that are `left`, and counts the others as written.
    fn settle(&mut self, batches: &[Batch<Exposure>], left: &[usize]) {
        for (place, batch) in batches.iter().enumerate() {
            if left.contains(&place) {
                self.pending.push(batch.clone());
            } else {
                self.count("written", batch.calls.len());
            }
        }
    }

    /// The last writes: what was not acknowledged, and what has come since.
    async fn finish(mut self) {
        let mut outcome = self.write().await;
        if outcome.is_ok() && self.pending.is_empty() {
            outcome = self.write().await;
        }
        let lost: usize = self.pending.iter().map(|batch| batch.calls.len()).sum();
        let lost = lost + self.queue.take().await.len();
        self.count("dropped", lost);
        if lost > 0 {
            let error = outcome.err().map(tracing::field::display);
            tracing::warn!(lost, error, "exposures could not be written");
        }
    }

    fn count(&self, outcome: &'static str, exposures: usize) {
        self.metrics
            .exposures
            .get_or_create(&OutcomeLabels { outcome })
            .inc_by(exposures as u64);
    }
}
