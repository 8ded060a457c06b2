//! Validated reads: proof that the snapshot holds every change acknowledged before a request arrived.
//!
//! The proof is one consistent read of the place after the snapshot's last entry: nothing there, nothing was missed. It has
//! to *begin* after the request arrived; `replica::rounds` lets all who wait share it.
//!
//! A call waits for at most a budget, and a round of reading takes at most as long: whoever it was for has gone by then. One
//! round that fails or takes too long lets everyone go who waits and opens the breaker, so that nobody waits until a poll or a
//! round comes back in time. Rounds are still asked for by calls while it is open, a few a second, for nobody to wait for.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::budget::within;
use super::pace::Pace;
use super::rounds::Rounds;
use super::{CatchUpError, Replica, locked};
use crate::clock::Clock;
use crate::telemetry::{Metrics, OutcomeLabels};

/// How long a call waits for the proof, unless told otherwise: several times what a read takes, and less than a caller
/// notices.
pub const DEFAULT_BUDGET: Duration = Duration::from_millis(25);

/// What came of waiting for the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The snapshot is proved.
    Validated,
    /// The budget ran out.
    Budget,
    /// The store is away, or the journal is not to be followed.
    StoreAway,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Validated, Self::Budget, Self::StoreAway];

    /// Its name in the metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Validated => "validated",
            Self::Budget => "budget",
            Self::StoreAway => "store_away",
        }
    }
}

/// Where requests and the reads that prove their answers meet.
#[derive(Debug)]
pub(super) struct Validations {
    /// How long a request waits, and how long a round may take.
    pub(super) budget: Duration,
    pub(super) breaker: Breaker,
    rounds: Rounds,
    /// How often each outcome came about, found once so that a call need not look for them.
    outcomes: [Counter; Outcome::ALL.len()],
}

impl Validations {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            budget: DEFAULT_BUDGET,
            breaker: Breaker::closed(metrics.validation_breaker_open.clone()),
            rounds: Rounds::default(),
            outcomes: Outcome::ALL.map(|outcome| {
                let outcome = outcome.as_str();
                metrics
                    .validations
                    .get_or_create(&OutcomeLabels { outcome })
                    .clone()
            }),
        }
    }

    /// Waits for a round that begins after `now` and ends in time. While the breaker is open, nobody waits.
    async fn wait(&self, now: Duration) -> Outcome {
        if self.breaker.is_open() {
            if self.breaker.takes_probe(now) {
                self.rounds.ask();
            }
            return Outcome::StoreAway;
        }
        match within(self.budget, self.rounds.next_if_sound()).await {
            Ok(true) => Outcome::Validated,
            Ok(false) => Outcome::StoreAway,
            Err(_) => Outcome::Budget,
        }
    }

    /// Has `prove` read for those who wait, one round after the other at their pace, until `stop`.
    async fn run<F, E>(&self, prove: impl Fn() -> F, clock: &dyn Clock, stop: CancellationToken)
    where
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        let mut pace = Pace::new(Instant::now());
        let begin = async {
            loop {
                self.rounds.wanted().await;
                let pause = pace.wait(Instant::now());
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                self.rounds.hold(self.read(prove(), clock)).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = begin => {}
        }
    }

    /// One round: whether `proof` came in time. Sets the breaker before anyone is let go: whoever comes next must not wait in
    /// vain.
    async fn read<E: Display>(
        &self,
        proof: impl Future<Output = Result<(), E>>,
        clock: &dyn Clock,
    ) -> bool {
        match within(self.budget, proof).await {
            Ok(Ok(())) => {
                self.breaker.close();
                return true;
            }
            Ok(Err(error)) => tracing::debug!(%error, "reads could not be validated"),
            Err(_) => {
                tracing::debug!(budget = ?self.budget, "reads could not be validated in time");
            }
        }
        self.breaker.open(clock.monotonic());
        false
    }
}

impl Replica {
    /// Waits until the snapshot is proved to hold every change acknowledged before the call, within the budget. Returns
    /// whether it is: load the snapshot afterwards. While the store is known to be away it is not, at once.
    pub async fn validate(&self) -> bool {
        let outcome = self.validations.wait(self.clock.monotonic()).await;
        self.validations.outcomes[outcome as usize].inc();
        outcome == Outcome::Validated
    }

    /// Whether calls that ask for a proof may wait for one: the store has answered in time when it was last asked.
    #[must_use]
    pub fn is_validating(&self) -> bool {
        !self.validations.breaker.is_open()
    }

    /// Whether the last poll was recent enough and found the journal in order, as far as anyone alive knows it.
    fn can_validate(&self) -> bool {
        let contact = locked(&self.contact);
        contact.doubt().is_none() && contact.is_proved(self.clock.monotonic())
    }

    /// One consistent read of the place after the last entry; if something stands there, or no poll has proved lately what
    /// stands before it, everything up to the end.
    async fn prove(&self) -> Result<(), CatchUpError> {
        let is_current = match self.look(|follower| follower.position.next) {
            Some(next) if self.can_validate() => self.store.is_vacant(next).await?,
            Some(_) | None => false,
        };
        if !is_current {
            self.catch_up().await?;
        }
        // A poll may have come upon something meanwhile.
        let doubt = locked(&self.contact).doubt();
        doubt.map_or(Ok(()), |fault| Err(fault.into()))
    }
}

/// Reads for those who wait, one round after the other, until `stop`.
pub async fn rounds(replica: Arc<Replica>, stop: CancellationToken) {
    let validations = &replica.validations;
    validations
        .run(|| replica.prove(), &*replica.clock, stop)
        .await;
}

#[cfg(test)]
mod tests;
