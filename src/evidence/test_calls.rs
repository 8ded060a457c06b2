//! Calls that an override gave to a slot, on their way to the store: what whoever waits for a test call sees of it.
//!
//! They are few, so each is written as it comes; none waits for that, and what the store does not take is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batches::{Batches, next_request};
use crate::clock::Clock;
use crate::domain::conversation::Conversation;
use crate::domain::decision::Request;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCall;
use crate::replica::{Replica, Served};
use crate::store::evidence::Batch;

/// Calls that may wait. Overrides are for testers, not for crowds.
const CAPACITY: usize = 256;
/// Before each try to write.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_millis(500),
];

/// Where decisions by an override are noted. Cloning gives another way into the same queue.
#[derive(Debug, Clone)]
pub struct TestCallLog {
    queue: mpsc::Sender<(Arc<Served>, TestCall)>,
    clock: Arc<dyn Clock>,
}

/// The other end of the queue: the task that writes.
#[derive(Debug)]
pub struct TestCallWriter {
    queue: mpsc::Receiver<(Arc<Served>, TestCall)>,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    batches: Batches,
}

/// A queue for test calls, and the writer of what comes out of it, as `replica`.
#[must_use]
pub fn test_calls(replica: Arc<Replica>, clock: Arc<dyn Clock>) -> (TestCallLog, TestCallWriter) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let log = TestCallLog {
        queue: sender,
        clock: Arc::clone(&clock),
    };
    let writer = TestCallWriter {
        queue: receiver,
        batches: Batches::of(&replica),
        replica,
        clock,
    };
    (log, writer)
}

impl TestCallLog {
    /// Notes that `call` was given to `slot` by an override of `served`. Waits for nothing.
    #[cold]
    pub fn note(&self, served: &Arc<Served>, call: &Request<'_>, slot: Slot) {
        let at = self.clock.now();
        // None if it has expired in this very moment.
        let Some(calls) = served.compiled.test_calls_of(call, at) else {
            return;
        };
        let salt = &served.environment.salt;
        let conversation = Some(call.conversation_id).filter(|id| !id.is_empty());
        let call = TestCall {
            mark: calls.mark(salt),
            conversation: conversation.map(|id| Conversation::of(id).hash(salt)),
            at,
            revision: served.revision,
            slot,
        };
        // Too many are no test any more.
        let _ = self.queue.try_send((Arc::clone(served), call));
    }
}

impl TestCallWriter {
    /// Writes until `stop`, and then what waits.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut taken = Vec::new();
            tokio::select! {
                () = stop.cancelled() => break,
                _ = self.queue.recv_many(&mut taken, CAPACITY) => {}
            }
            if taken.is_empty() {
                // Nobody notes anything any more.
                return;
            }
            self.write(taken).await;
        }
        self.flush().await;
    }

    /// Writes what waits.
    pub async fn flush(&mut self) {
        let mut taken = Vec::new();
        while let Ok(one) = self.queue.try_recv() {
            taken.push(one);
        }
        self.write(taken).await;
    }

    async fn write(&mut self, taken: Vec<(Arc<Served>, TestCall)>) {
        let mut left = self.batches.make(taken, self.clock.now());
        for pause in PAUSES {
            if left.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            left = self.put(left).await;
        }
        if !left.is_empty() {
            tracing::warn!(batches = left.len(), "test calls were not written");
        }
    }

    /// Writes what the store takes of `batches`; returns the rest.
    async fn put(&self, batches: Vec<Batch<TestCall>>) -> Vec<Batch<TestCall>> {
        let mut left = Vec::new();
        let mut rest = &batches[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(next_request(rest));
            match self.replica.store().put_evidence(now).await {
                Ok(refused) => left.extend(refused.into_iter().map(|place| now[place].clone())),
                Err(error) => {
                    tracing::warn!(%error, "test calls cannot be written");
                    left.extend_from_slice(rest);
                    break;
                }
            }
            rest = later;
        }
        left
    }
}
