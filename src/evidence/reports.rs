//! Reports of outcomes: acknowledged once they are stored, many with one write.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::batches::{Batches, next_request};
use crate::clock::Clock;
use crate::domain::judge::evidence::Outcome;
use crate::replica::{Replica, Served};
use crate::store::StoreError;
use crate::store::evidence::Batch;
use crate::telemetry::{Metrics, OutcomeLabels};

/// Reports that may wait for their write.
pub const WAITING_REPORTS: usize = 1_024;
/// Most outcomes in one report.
pub const MOST_OUTCOMES: usize = 500;
/// Most reports that share a write.
const MOST_AT_ONCE: usize = 64;
/// How long a report waits at the most. Longer than a store that answers takes, shorter than whoever reports has patience.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where outcomes are reported. Cloning gives another way into the same queue.
#[derive(Debug, Clone)]
pub struct Reports {
    queue: mpsc::Sender<Report>,
    metrics: Metrics,
}

/// A report that waits.
#[derive(Debug)]
struct Report {
    served: Arc<Served>,
    outcomes: Vec<Outcome>,
    tell: oneshot::Sender<Result<(), NotStored>>,
}

/// Why a report is not known to be stored. Making it again is harmless: the judge counts a call once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// Too many wait.
    #[error("too many reports are waiting to be stored")]
    Full,
    /// The store does not answer, or not in time.
    #[error("the store did not answer in time")]
    Away,
}

/// The other end of the queue: the task that writes.
#[derive(Debug)]
pub struct ReportWriter {
    queue: mpsc::Receiver<Report>,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    batches: Batches,
}

/// A queue for reports, and the writer of what comes out of it, as `replica`.
#[must_use]
pub fn reports(
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> (Reports, ReportWriter) {
    let (sender, receiver) = mpsc::channel(WAITING_REPORTS);
    let reports = Reports {
        queue: sender,
        metrics: metrics.clone(),
    };
    let writer = ReportWriter {
        queue: receiver,
        batches: Batches::of(&replica),
        replica,
        clock,
    };
    (reports, writer)
}

impl Reports {
    /// Stores `outcomes`, at most [`MOST_OUTCOMES`], of an environment as it is served. Returns once they are.
    ///
    /// # Errors
    /// They may or may not be stored, and have to be reported again.
    pub async fn store(
        &self,
        served: Arc<Served>,
        outcomes: Vec<Outcome>,
    ) -> Result<(), NotStored> {
        let count = outcomes.len();
        let stored = self.wait(served, outcomes).await;
        let outcome = match stored {
            Ok(()) => "written",
            Err(NotStored::Full | NotStored::Away) => "refused",
        };
        self.metrics
            .outcomes
            .get_or_create(&OutcomeLabels { outcome })
            .inc_by(count as u64);
        stored
    }

    async fn wait(&self, served: Arc<Served>, outcomes: Vec<Outcome>) -> Result<(), NotStored> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let (tell, told) = oneshot::channel();
        let report = Report {
            served,
            outcomes,
            tell,
        };
        self.queue.try_send(report).map_err(|_| NotStored::Full)?;
        // No answer is given by a writer that has ended.
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(_)) | Err(_) => Err(NotStored::Away),
        }
    }
}

impl ReportWriter {
    /// Writes until `stop`, or until nobody can report any more, and then what still waits.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut reports = Vec::new();
            let taken = tokio::select! {
                () = stop.cancelled() => break,
                taken = self.queue.recv_many(&mut reports, MOST_AT_ONCE) => taken,
            };
            if taken == 0 {
                return;
            }
            self.write_and_tell(reports).await;
        }
        self.queue.close();
        let mut reports = Vec::new();
        while self.queue.recv_many(&mut reports, MOST_AT_ONCE).await > 0 {
            self.write_and_tell(std::mem::take(&mut reports)).await;
        }
    }

    /// Stores `reports` together, and tells whoever waits.
    async fn write_and_tell(&mut self, reports: Vec<Report>) {
        let stored = self.write(&reports).await.map_err(|error| {
            tracing::warn!(%error, "outcomes cannot be stored; they have to be reported again");
            NotStored::Away
        });
        for report in reports {
            // Whoever has stopped waiting takes it for refused.
            let _ = report.tell.send(stored);
        }
    }

    async fn write(&mut self, reports: &[Report]) -> Result<(), StoreError> {
        let batches = self.batches_of(reports);
        let mut rest = &batches[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(next_request(rest));
            self.put(now).await?;
            rest = later;
        }
        Ok(())
    }

    fn batches_of(&mut self, reports: &[Report]) -> Vec<Batch<Outcome>> {
        // A clock that was set back meanwhile must not date a batch before what is in it.
        let mut made_at = self.clock.now();
        let mut outcomes = Vec::new();
        for report in reports {
            for outcome in &report.outcomes {
                made_at = made_at.max(outcome.at);
                outcomes.push((Arc::clone(&report.served), *outcome));
            }
        }
        self.batches.make(outcomes, made_at)
    }

    async fn put(&self, batches: &[Batch<Outcome>]) -> Result<(), StoreError> {
        let left = self.replica.store().put_evidence(batches).await?;
        if left.is_empty() {
            Ok(())
        } else {
            Err(StoreError::Unavailable(
                "BatchWriteItem: no room for all of it".to_owned(),
            ))
        }
    }
}
