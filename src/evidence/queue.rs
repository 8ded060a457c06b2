//! The queue between decisions and the task that writes exposures.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::domain::decision::Decision;
use crate::domain::judge::evidence::{ConversationHash, Exposure};
use crate::domain::slot::Slot;
use crate::replica::Served;
use crate::telemetry::{Metrics, OutcomeLabels};

/// Exposures that may wait: ten minutes of 100 calls a second, in about 3 MB that are only taken when they are needed.
pub const CAPACITY: usize = 1 << 16;

/// Where decisions leave their exposures. Cloning gives another way into the same queue.
#[derive(Debug, Clone)]
pub struct Exposures {
    queue: mpsc::Sender<Taken>,
    clock: Arc<dyn Clock>,
    dropped: Counter,
}

/// The other end of the queue.
#[derive(Debug)]
pub struct Queue {
    queue: mpsc::Receiver<Taken>,
    clock: Arc<dyn Clock>,
}

/// A decision as it waits. What it shares with others stays behind the pointer to what it was made from.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) served: Arc<Served>,
    conversation: ConversationHash,
    /// Plan time: one reading of the time of day for a whole batch is cheaper, and its jumps do not matter.
    at: Duration,
    slot: Slot,
    is_randomised: bool,
}

/// A queue for exposures, timed by `clock`.
#[must_use]
pub fn queue(clock: Arc<dyn Clock>, metrics: &Metrics) -> (Exposures, Queue) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let dropped = OutcomeLabels { outcome: "dropped" };
    let exposures = Exposures {
        queue: sender,
        clock: Arc::clone(&clock),
        dropped: metrics.exposures.get_or_create(&dropped).clone(),
    };
    let queue = Queue {
        queue: receiver,
        clock,
    };
    (exposures, queue)
}

impl Exposures {
    /// Notes `decision`, made from `served`, if it is an exposure. Waits for nothing and locks nothing.
    pub fn note(&self, served: &Arc<Served>, decision: &Decision) {
        let Some(conversation) = decision.exposed else {
            return;
        };
        let taken = Taken {
            served: Arc::clone(served),
            conversation,
            at: self.clock.plan_time(),
            slot: decision.slot,
            is_randomised: decision.is_randomised(),
        };
        if self.queue.try_send(taken).is_err() {
            self.dropped.inc();
        }
    }
}

impl Queue {
    /// Everything that has come since the last time, in order.
    pub(super) async fn take(&mut self) -> Vec<(Arc<Served>, Exposure)> {
        let mut taken = Vec::new();
        if !self.queue.is_empty() {
            self.queue.recv_many(&mut taken, CAPACITY).await;
        }
        let (now, plan_time) = (self.clock.now(), self.clock.plan_time());
        let exposures = taken.into_iter().map(|taken| {
            let Taken {
                served,
                conversation,
                at,
                slot,
                is_randomised,
            } = taken;
            let age = plan_time.saturating_sub(at);
            let exposure = Exposure {
                conversation,
                assigned_at: now.checked_sub(age).unwrap_or(now),
                revision: served.revision,
                weight: served.compiled.weight,
                slot,
                is_randomised,
            };
            (served, exposure)
        });
        exposures.collect()
    }
}
