//! Followers of the journal: what is done for the deployment as a whole with every change, by one process at a time.
//!
//! A [`Follower`] holds a lease while there is something to do, and then lets its [`Task`] look. Like the controller's, the lease
//! saves work and is no lock: a task is made so that two of them do no harm, and how far it has come is a cursor that never moves
//! back ([`crate::store::cursors`]). So whoever takes over goes on where the last one was, at the most a little before.

mod backoff;
mod bookmark;
pub mod mirror;
pub mod webhooks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dice;
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::lease::{Held, Lease};
use crate::telemetry::Metrics;

/// Time between two looks of the one that leads. It looks sooner when there is a change, or when something comes back.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks of one that follows, at the lease alone.
const FOLLOWING_INTERVAL: Duration = Duration::from_secs(3);
/// Each wait is up to this share shorter or longer, so that processes do not ask in step.
const JITTER: f64 = 0.2;
/// How often it is mentioned in the log that nothing can be read or written, in looks.
const MENTION_EVERY: u32 = 60;

/// What a follower does.
pub trait Task: fmt::Debug + Send + 'static {
    /// What it is called: the name of its lease.
    const NAME: &'static str;

    /// Whether there is anything that somebody has to do. While there is not, nobody asks for the lease.
    fn is_needed(&self) -> bool;

    /// Looks at what there is to do while the lease is held. What takes long is begun and done beside.
    fn attend(&mut self, held: &Held) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits until something that is done beside has come back; for ever if nothing is under way. The next look takes it in.
    fn progress(&mut self) -> impl Future<Output = ()> + Send;

    /// Forgets everything: somebody else leads.
    fn rest(&mut self);
}

/// A task and its lease.
#[derive(Debug)]
pub struct Follower<T> {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    lease: Lease,
    task: T,
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// There is nothing to do for anybody.
    Idle,
    /// Another process has the lease.
    Following,
    /// This one has it.
    Leading,
}

impl Tick {
    /// Its name in the metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Following => "following",
            Self::Leading => "led",
        }
    }
}

impl<T: Task> Follower<T> {
    /// A follower beside `replica`.
    #[must_use]
    pub fn new(replica: Arc<Replica>, clock: Arc<dyn Clock>, metrics: Metrics, task: T) -> Self {
        let holder = uuid::Uuid::now_v7().to_string();
        Self {
            replica,
            clock,
            metrics,
            lease: Lease::new(T::NAME, holder),
            task,
        }
    }

    /// Looks until `stop`, and gives the lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut served = self.replica.served();
        let mut last = Tick::Idle;
        let mut failures: u32 = 0;
        loop {
            let pause = match last {
                Tick::Following => FOLLOWING_INTERVAL,
                Tick::Idle | Tick::Leading => INTERVAL,
            };
            tokio::select! {
                // Of two that are due the first is taken, here as in a simulation of it.
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(dice::about(pause, JITTER)) => {}
                // An error would mean that the replica is gone, and it is held here.
                _ = served.changed(), if last == Tick::Leading && failures == 0 => {}
                () = self.task.progress() => {}
            }
            match self.tick().await {
                Ok(tick) => {
                    if failures > 0 {
                        tracing::info!(failures, follower = T::NAME, "it goes on");
                    }
                    (last, failures) = (tick, 0);
                }
                Err(error) => {
                    if failures.is_multiple_of(MENTION_EVERY) {
                        tracing::warn!(%error, failures, follower = T::NAME, "it waits");
                    }
                    failures += 1;
                }
            }
        }
        self.task.rest();
        self.metrics.followers.leads(T::NAME, false);
        self.lease.release(self.replica.store(), &*self.clock).await;
    }

    /// Takes or renews the lease if there is something to do, and looks.
    ///
    /// # Errors
    /// Something could not be read or written. The next look tries again.
    pub async fn tick(&mut self) -> Result<Tick, StoreError> {
        let ticked = self.take_turn().await;
        let outcome = ticked.as_ref().map_or("failed", |tick| tick.as_str());
        self.metrics.followers.tick(T::NAME, outcome);
        ticked
    }

    async fn take_turn(&mut self) -> Result<Tick, StoreError> {
        if !self.task.is_needed() {
            self.end_turn();
            return Ok(Tick::Idle);
        }
        let held = self.lease.hold(self.replica.store(), &*self.clock).await?;
        let Some(held) = held else {
            self.end_turn();
            return Ok(Tick::Following);
        };
        self.metrics.followers.leads(T::NAME, true);
        self.task.attend(&held).await?;
        Ok(Tick::Leading)
    }

    /// Waits until something that was begun has come back; for ever if nothing is under way.
    pub async fn progress(&mut self) {
        self.task.progress().await;
    }

    fn end_turn(&mut self) {
        self.task.rest();
        self.metrics.followers.leads(T::NAME, false);
    }
}
