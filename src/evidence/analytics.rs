//! The platform's analytics as a source of evidence: counts of closed intervals, an approximation.
//!
//! The controller that leads has an [`Analytics`] and attends with it to each rollout that has a metric of this source, once per
//! tick, and has it ask at the tick's end. That never waits for the platform: a question is asked beside, one at a time for all
//! environments, and its answer is taken at a later tick. What counts is stored once for every reader
//! ([`crate::store::analytics`]), and so is what is wrong if nothing does.

mod counts;
mod docket;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::docket::{Docket, Ground, Question};
use super::batches::kept_for;
use crate::clock::Clock;
use crate::domain::ids::EnvironmentName;
use crate::domain::judge::Judge;
use crate::domain::judge::evidence::Interval;
use crate::domain::judge::trouble::Trouble;
use crate::genesys::client::{AskError, Client};
use crate::genesys::flow_aggregates::{InvalidAnswer, Row};
use crate::genesys::flow_end::FlowEnds;
use crate::replica::Served;
use crate::store::evidence::Batch;
use crate::store::{Store, StoreError, analytics};
use crate::telemetry::{Metrics, OutcomeLabels};

/// When intervals are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How long an interval is; whole seconds, at least one.
    pub interval: Duration,
    /// How long after its end it is looked at first.
    pub lag: Duration,
    /// How long after that it is looked at again, and least time between two questions about one environment.
    pub pause: Duration,
}

/// Somebody to ask.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who asks.
    pub client: Arc<Client>,
    /// When.
    pub schedule: Schedule,
    /// What ends of flows mean.
    pub ends: FlowEnds,
}

/// The source, as one controller has it.
#[derive(Debug)]
pub struct Analytics {
    access: Option<Access>,
    metrics: Metrics,
    files: BTreeMap<EnvironmentName, File>,
    asking: JoinSet<(EnvironmentName, Question, Answer)>,
}

type Answer = Result<Vec<Row>, AskError>;

/// What is known about one environment.
#[derive(Debug)]
struct File {
    docket: Docket,
    /// An answer that was not looked at.
    answer: Option<(Question, Answer)>,
    /// Counts that are not stored yet.
    accepted: VecDeque<Batch<Interval>>,
    /// What the store says is wrong; `None` if that is not known.
    noted: Option<Option<Trouble>>,
    /// Whether it was attended to since the last question was chosen.
    is_attended: bool,
}

impl Analytics {
    /// The source of a controller that has `access`, or none: then a rollout that needs it holds.
    #[must_use]
    pub fn new(access: Option<Access>, metrics: Metrics) -> Self {
        Self {
            access,
            metrics,
            files: BTreeMap::new(),
            asking: JoinSet::new(),
        }
    }

    /// Forgets everything, as whoever does not lead: the next look begins again.
    pub fn forget(&mut self) {
        self.files.clear();
        self.asking.abort_all();
    }

    /// Forgets environments but those that `is_kept` keeps.
    pub fn retain(&mut self, is_kept: impl Fn(&EnvironmentName) -> bool) {
        self.files.retain(|name, _| is_kept(name));
    }

    /// Does what there is to do about the rollout under way: takes an answer, stores what counts and what is wrong. Returns what
    /// is wrong, if anything is.
    ///
    /// # Errors
    /// The store does not answer or refuses. What was to be stored is the next time.
    pub async fn attend(
        &mut self,
        name: &EnvironmentName,
        served: &Served,
        judge: &Judge,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Option<Trouble>, StoreError> {
        let rollout = served.environment.rollout_under_way();
        let asking = rollout
            .map(|rollout| (rollout, rollout.plan.approximate_metrics()))
            .filter(|(_, metrics)| !metrics.is_empty());
        let Some((rollout, metrics)) = asking else {
            // Of a rollout before this one.
            self.files.remove(name);
            return Ok(None);
        };
        let now = clock.now();
        let kept_until = now.saturating_add(kept_for(Some(rollout)));
        let kept_until = kept_until.unwrap_or(jiff::Timestamp::MAX);
        let Some(access) = self.access.clone() else {
            let trouble = Some(Trouble::NotSetUp);
            let entered = rollout.entered();
            if store.trouble(name, entered).await? != trouble {
                store
                    .put_trouble(name, entered, trouble, kept_until)
                    .await?;
            }
            return Ok(trouble);
        };
        self.collect();
        let ground = Ground::of(&served.environment, rollout, metrics);
        let open = |ground| File::open(ground, access.schedule, rollout.plan.data.horizon(), now);
        let file = self
            .files
            .entry(name.clone())
            .or_insert_with(|| open(ground.clone()));
        if file.docket.ground != ground {
            *file = open(ground);
        }
        file.take(name, &access.ends, judge, kept_until);
        file.store(name, store, kept_until).await?;
        file.is_attended = true;
        Ok(file.docket.trouble())
    }

    /// Asks the next question: of those that are due, the one that has waited for longest. Only environments that were attended
    /// to since the last call take part, so that one whose evidence cannot be read or stored holds up no other.
    pub fn ask(&mut self, clock: &dyn Clock) {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let longest = self
            .files
            .iter_mut()
            .filter_map(|(name, file)| {
                let is_attended = std::mem::take(&mut file.is_attended);
                let question = file.docket.due(now, monotonic).filter(|_| is_attended)?;
                Some((question, name, file))
            })
            .min_by_key(|(_, _, file)| file.docket.asked_at);
        let (Some((question, name, file)), Some(access), true) =
            (longest, &self.access, self.asking.is_empty())
        else {
            return;
        };
        file.docket.asked_at = Some(monotonic);
        let (name, client) = (name.clone(), Arc::clone(&access.client));
        self.asking.spawn(async move {
            let answer = client.flow_aggregates(&question.query).await;
            (name, question, answer)
        });
    }

    /// Files the answers that have come.
    fn collect(&mut self) {
        while let Some(joined) = self.asking.try_join_next() {
            let Ok((name, question, answer)) = joined else {
                continue;
            };
            let outcome = match &answer {
                Ok(_) => "answered",
                Err(AskError::NotNow) => "put_off",
                Err(_) => "failed",
            };
            self.metrics
                .analytics_questions
                .get_or_create(&OutcomeLabels { outcome })
                .inc();
            if let Some(file) = self.files.get_mut(&name) {
                file.answer = Some((question, answer));
            }
        }
    }
}

impl File {
    fn open(ground: Ground, schedule: Schedule, horizon: Duration, now: jiff::Timestamp) -> Self {
        Self {
            docket: Docket::open(ground, schedule, horizon, now),
            answer: None,
            accepted: VecDeque::new(),
            noted: None,
            is_attended: false,
        }
    }

    fn take(
        &mut self,
        name: &EnvironmentName,
        ends: &FlowEnds,
        judge: &Judge,
        kept_until: jiff::Timestamp,
    ) {
        let Some((question, answer)) = self.answer.take() else {
            return;
        };
        if question.ground != self.docket.ground {
            return;
        }
        let before = self.docket.trouble();
        let failure = answer.as_ref().err().map(ToString::to_string);
        let accepted = self.docket.take(&question.query, answer, ends, judge);
        match self.docket.trouble() {
            Some(trouble) if before != Some(trouble) => {
                tracing::warn!(environment = %name, %trouble, failure, "analytics cannot be relied on");
            }
            None if before.is_some() => {
                tracing::info!(environment = %name, "analytics can be relied on again");
            }
            _ => {}
        }
        let batches = accepted
            .into_iter()
            .map(|(until, values)| analytics::batch(name.clone(), until, kept_until, values));
        self.accepted.extend(batches);
    }

    async fn store(
        &mut self,
        name: &EnvironmentName,
        store: &Store,
        kept_until: jiff::Timestamp,
    ) -> Result<(), StoreError> {
        while let Some(counts) = self.accepted.front() {
            store.put_interval(counts).await?;
            self.accepted.pop_front();
        }
        let trouble = self.docket.trouble();
        if self.noted != Some(trouble) {
            let entered = self.docket.ground.entered;
            store
                .put_trouble(name, entered, trouble, kept_until)
                .await?;
            self.noted = Some(trouble);
        }
        Ok(())
    }
}

/// What a failure is to a rollout; `None` if nothing was asked.
fn trouble_of(error: &AskError) -> Option<Trouble> {
    Some(match error {
        AskError::NotNow => return None,
        AskError::NoSecret(_) => Trouble::NoSecret,
        AskError::NoAnswer(_) => Trouble::NoAnswer,
        AskError::LoginRefused(_) => Trouble::LoginRefused,
        AskError::Unauthenticated => Trouble::Unauthenticated,
        AskError::Forbidden => Trouble::Forbidden,
        AskError::Throttled(pause) => Trouble::Throttled(pause.as_secs()),
        AskError::Status(status) => Trouble::Status(status.as_u16()),
        AskError::TooLarge => Trouble::TooLarge,
        AskError::Invalid(InvalidAnswer::Unreadable) => Trouble::Unreadable,
        AskError::Invalid(InvalidAnswer::Absurd) => Trouble::Absurd,
        AskError::ClocksApart(ahead) => Trouble::ClocksApart(*ahead),
    })
}
