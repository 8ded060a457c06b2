//! The task that writes exposures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::clock::Clock;
use crate::domain::ids::EnvironmentName;
use crate::domain::judge::evidence::Exposure;
use crate::domain::rollout::Rollout;
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::evidence::{Batch, MOST_BATCHES, MOST_EXPOSURES};
use crate::telemetry::{Metrics, OutcomeLabels};

/// Time between two writes. What a process that is killed has not written is lost: about as much.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long evidence is kept beyond the time that its rollout may take, so that a verdict can be checked afterwards.
const KEPT_AFTER: Duration = Duration::from_hours(30 * 24);
/// Most exposures in one request: about 350 KB, far more than comes in a second.
const MOST_AT_ONCE: usize = 2 * MOST_EXPOSURES;
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
    pending: Vec<Batch>,
    /// Batches made so far.
    made: u64,
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
        Self {
            queue,
            replica,
            clock,
            metrics,
            pending: Vec::new(),
            made: 0,
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
            self.pending = self.new_batches().await;
        }
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        while !rest.is_empty() {
            let (batches, later) = rest.split_at(next_request(rest));
            match self.replica.store().put_exposures(batches).await {
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
    fn settle(&mut self, batches: &[Batch], left: &[usize]) {
        for (place, batch) in batches.iter().enumerate() {
            if left.contains(&place) {
                self.pending.push(batch.clone());
            } else {
                self.count("written", batch.exposures.len());
            }
        }
    }

    /// Batches of everything that waits in the queue, by environment.
    async fn new_batches(&mut self) -> Vec<Batch> {
        let mut by_environment = BTreeMap::<EnvironmentName, (Duration, Vec<Exposure>)>::new();
        for (served, exposure) in self.queue.take().await {
            let (kept, exposures) = by_environment
                .entry(served.compiled.name.clone())
                .or_default();
            let rollout = served.environment.rollout.as_deref();
            *kept = (*kept).max(kept_for(rollout));
            exposures.push(exposure);
        }
        let made_at = self.clock.now();
        let mut batches = Vec::new();
        for (environment, (kept, exposures)) in by_environment {
            let expires_at = made_at.saturating_add(kept).unwrap_or(Timestamp::MAX);
            for exposures in exposures.chunks(MOST_EXPOSURES) {
                self.made += 1;
                batches.push(Batch {
                    environment: environment.clone(),
                    replica: self.replica.id().to_owned(),
                    made_at,
                    number: self.made,
                    expires_at,
                    exposures: exposures.to_vec(),
                });
            }
        }
        batches
    }

    /// The last writes: what was not acknowledged, and what has come since.
    async fn finish(mut self) {
        let mut outcome = self.write().await;
        if outcome.is_ok() && self.pending.is_empty() {
            outcome = self.write().await;
        }
        let lost: usize = self.pending.iter().map(|batch| batch.exposures.len()).sum();
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

/// How many of `batches` go into one request. Large ones go in several, so that a slow connection takes them one by one.
fn next_request(batches: &[Batch]) -> usize {
    let mut exposures = 0;
    let fit = batches.iter().take(MOST_BATCHES).take_while(|batch| {
        exposures += batch.exposures.len();
        exposures <= MOST_AT_ONCE
    });
    fit.count().max(1)
}

/// How long exposures are kept that are made while `rollout` is what the environment holds: as long as it may take, and a
/// month. A weight that was set by hand has no end.
fn kept_for(rollout: Option<&Rollout>) -> Duration {
    rollout.map_or(Duration::ZERO, |rollout| rollout.plan.maximum()) + KEPT_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Revision;
    use crate::domain::rollout::Commit;
    use crate::domain::rollout::plan::{Plan, Terms};
    use crate::domain::slot::Slot;

    #[test]
    fn evidence_outlives_the_longest_that_its_rollout_may_take_by_a_month() {
        let month = Duration::from_hours(30 * 24);
        assert_eq!(kept_for(None), month);
        for maximum_minutes in [24 * 60, 7 * 24 * 60] {
            let terms = Terms {
                maximum_minutes,
                ..Terms::default()
            };
            let commit = Commit {
                revision: Revision(1),
                now: Timestamp::UNIX_EPOCH,
            };
            let rollout = Rollout::start(Plan::new(terms).unwrap(), Slot::Green, commit);
            let longest = Duration::from_secs(60 * u64::from(maximum_minutes));
            assert_eq!(kept_for(Some(&rollout)), longest + month);
        }
    }
}
