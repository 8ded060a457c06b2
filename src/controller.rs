//! The controller: carries out what follows from the evidence about rollouts.
//!
//! [`Controller::tick`] reads, judges and commits at most one step per rollout. It comes in through [`Control`] like any
//! operator, on condition that the environment is still at the revision it judged; so any number of controllers may run, crash
//! between any two writes and come back, and no step is taken twice or for reasons that no longer hold. The lease saves them
//! the work of judging alongside each other, no more.
//!
//! What a step has to last is measured by this process's monotonic clock from when it first saw the step. A controller that
//! takes over begins again: a bake time may come out longer, never shorter, whatever the time of day does.

mod case;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::control::{Control, Outcome, Request, WriteError};
use crate::dice;
use crate::domain::environment::Environment;
use crate::domain::ids::{Actor, AggregateKey, EnvironmentName, Reason};
use crate::domain::rollout::Transition;
use crate::domain::rollout::command::StepRollout;
use crate::domain::{Action as _, Command};
use crate::evidence::analytics::Analytics;
use crate::replica::{CatchUpError, Replica, Served};
use crate::store::StoreError;
use crate::store::lease::{Held, Lease};
use crate::telemetry::{Metrics, OutcomeLabels, spans};
use case::{Case, Chosen};

/// Time between two ticks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Each wait is up to this share shorter or longer, so that controllers do not ask in step.
const JITTER: f64 = 0.2;
/// How often it is mentioned in the log that nothing can be read or written, in ticks.
const MENTION_EVERY: u32 = 60;
/// What the lease is for.
const LEASE: &str = "controller";

/// Watches the rollouts under way.
#[derive(Debug)]
pub struct Controller {
    replica: Arc<Replica>,
    control: Arc<Control>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    lease: Lease,
    analytics: Analytics,
    cases: BTreeMap<EnvironmentName, Case>,
}

/// What a tick came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// No rollout is under way.
    Idle,
    /// Another controller has the lease.
    Following,
    /// This one has it, and committed so many steps.
    Led(usize),
}

/// A tick that came to nothing. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    /// The lease cannot be had.
    #[error("the lease: {0}")]
    Lease(#[source] StoreError),
    /// The journal cannot be read.
    #[error(transparent)]
    CatchUp(#[from] CatchUpError),
    /// The evidence cannot be read, so nothing is known that would move a rollout.
    #[error("the evidence about {environment}: {source}")]
    Evidence {
        /// The environment of the rollout.
        environment: EnvironmentName,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// A step could not be committed, or it is not known whether it was.
    #[error("a step of {environment}: {source}")]
    Step {
        /// The environment of the rollout.
        environment: EnvironmentName,
        /// Why not.
        #[source]
        source: Box<WriteError>,
    },
}

impl Controller {
    /// A controller beside `replica` that writes through `control`.
    #[must_use]
    pub fn new(
        replica: Arc<Replica>,
        control: Arc<Control>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        // Not the replica's id: two controllers beside one replica are two.
        let holder = uuid::Uuid::now_v7().to_string();
        Self {
            replica,
            control,
            clock,
            lease: Lease::new(LEASE, holder),
            analytics: Analytics::new(None, metrics.clone()),
            metrics,
            cases: BTreeMap::new(),
        }
    }

    /// The same with a source of interval counts.
    #[must_use]
    pub fn with_analytics(self, analytics: Analytics) -> Self {
        Self { analytics, ..self }
    }

    /// Ticks until `stop`, and gives the lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(dice::about(INTERVAL, JITTER)) => {}
            }
            // Not while it writes: a step that was begun is seen to its end.
            match self.tick().await {
                Ok(_) if failures > 0 => {
                    tracing::info!(failures, "rollouts go on");
                    failures = 0;
                }
                Ok(_) => {}
                Err(error) => {
                    if failures.is_multiple_of(MENTION_EVERY) {
                        tracing::warn!(%error, failures, "rollouts wait");
                    }
                    failures += 1;
                }
            }
        }
        self.lease.release(self.replica.store(), &*self.clock).await;
    }

    /// Reads, judges, and commits at most one step of each rollout.
    ///
    /// # Errors
    /// Something could not be read or written. A rollout whose evidence cannot be read waits and holds up no other; the first
    /// error is returned.
    pub async fn tick(&mut self) -> Result<Tick, TickError> {
        let ticked = self.take_turn().await;
        let (is_leading, outcome) = match &ticked {
            Ok(Tick::Idle) => (false, "idle"),
            Ok(Tick::Following) => (false, "following"),
            Ok(Tick::Led(_)) => (true, "led"),
            Err(TickError::Evidence { .. } | TickError::Step { .. }) => (true, "failed"),
            Err(TickError::Lease(_) | TickError::CatchUp(_)) => (false, "failed"),
        };
        self.metrics.controller_leads.set(i64::from(is_leading));
        self.metrics
            .controller_ticks
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
        ticked
    }

    async fn take_turn(&mut self) -> Result<Tick, TickError> {
        if self.under_way().is_empty() {
            // A lease that nobody needs ends by itself.
            self.forget();
            return Ok(Tick::Idle);
        }
        let held = self.lease.hold(self.replica.store(), &*self.clock).await;
        let Some(held) = held.map_err(TickError::Lease)? else {
            // Who leads again begins again, with what was committed meanwhile.
            self.forget();
            return Ok(Tick::Following);
        };
        self.replica.catch_up().await?;
        let rollouts = self.under_way();
        self.cases
            .retain(|name, _| rollouts.iter().any(|(other, _)| other == name));
        let cases = &self.cases;
        self.analytics.retain(|name| cases.contains_key(name));
        let (mut steps, mut failed) = (0, None);
        for (name, served) in rollouts {
            match self.attend(&held, &name, &served).await {
                Ok(has_moved) => steps += usize::from(has_moved),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.analytics.ask(&*self.clock);
        failed.map_or(Ok(Tick::Led(steps)), Err)
    }

    fn forget(&mut self) {
        self.cases.clear();
        self.analytics.forget();
    }

    /// The environments with a rollout under way, as this process knows them. One whose last state cannot be read takes no
    /// steps anyway.
    fn under_way(&self) -> Vec<(EnvironmentName, Arc<Served>)> {
        let snapshot = self.replica.snapshot();
        let environments = snapshot.iter().flat_map(|all| &all.environments);
        let under_way = environments.filter(|(_, served)| {
            served.environment.rollout_under_way().is_some() && served.fault.is_none()
        });
        under_way
            .map(|(name, served)| (name.clone(), Arc::clone(served)))
            .collect()
    }

    /// Judges one rollout, and commits the step that follows, if one does. Returns whether it did.
    async fn attend(
        &mut self,
        held: &Held,
        name: &EnvironmentName,
        served: &Served,
    ) -> Result<bool, TickError> {
        let Some(rollout) = served.environment.rollout_under_way() else {
            return Ok(false);
        };
        let store = self.replica.store();
        let case = match self
            .cases
            .remove(name)
            .filter(|case| case.is_about(rollout))
        {
            Some(known) => known,
            None => Case::open(name.clone(), rollout),
        };
        let case = self.cases.entry(name.clone()).or_insert(case);
        let failed = |source| TickError::Evidence {
            environment: name.clone(),
            source,
        };
        let heard = case.hear(rollout, store, &*self.clock).await;
        heard.map_err(failed)?;
        let attended = self
            .analytics
            .attend(name, served, case.judge(), store, &*self.clock)
            .await;
        let trouble = attended.map_err(failed)?;
        let frozen = self.replica.frozen(served, self.clock.now());
        let Some(chosen) = case.choose(rollout, trouble, frozen, &*self.clock) else {
            return Ok(false);
        };
        tracing::debug!(environment = %name, transition = ?chosen.transition, "judged");
        if !held.is_valid(self.clock.monotonic()) {
            return Ok(false);
        }
        self.commit(name, served, chosen).await
    }

    /// Commits the step, on condition that the environment is still at the revision that was judged.
    async fn commit(
        &mut self,
        name: &EnvironmentName,
        served: &Served,
        chosen: Chosen,
    ) -> Result<bool, TickError> {
        let (Transition::Go(change), Some(rollout)) =
            (&chosen.transition, served.environment.rollout_under_way())
        else {
            return Ok(false);
        };
        let command = Command::from(StepRollout::of(rollout, *change, chosen.record));
        let request = Request {
            actor: actor(),
            reason: chosen.reason,
            key: None,
            expected: Some(served.revision),
            wait: None,
        };
        let key = AggregateKey::Environment(name.clone());
        let control = Arc::clone(&self.control);
        let span = tracing::debug_span!(
            target: spans::TARGET,
            "step of a rollout",
            environment = %name,
            action = command.action(),
        );
        match control
            .execute::<Environment>(&key, &command, &request)
            .instrument(span)
            .await
        {
            Ok(answer) => {
                let state = answer.state.as_ref();
                let rollout = state.and_then(|state| state.rollout.as_deref());
                if let (Some(case), Some(rollout)) = (self.cases.get_mut(name), rollout) {
                    case.committed(rollout);
                }
                Ok(matches!(answer.outcome, Outcome::Committed(_)))
            }
            // Somebody else had a say: the next tick looks at what they left.
            Err(WriteError::Stale { .. } | WriteError::Refused(_)) => {
                tracing::info!(environment = %name, action = command.action(), "overtaken");
                Ok(false)
            }
            Err(source) => Err(TickError::Step {
                environment: name.clone(),
                source: Box::new(source),
            }),
        }
    }
}

/// Who takes the steps.
fn actor() -> Actor {
    // It follows the grammar of an actor, and no token has this name.
    "traffic-cop".parse().expect("a valid actor")
}

/// `text` as a reason: as much of it as there is room for.
fn reason(text: &str) -> Reason {
    let text: String = text.chars().take(500).collect();
    let text = text.trim();
    text.parse()
        // What the judge says is one line of words and numbers.
        .unwrap_or_else(|_| "the evidence".parse().expect("a valid reason"))
}
