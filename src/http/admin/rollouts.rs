//! Looking at rollouts: where one stands, and what the evidence says.
//!
//! Any replica can tell: it hears the stored evidence from where the last commit left the judge, as the controller does. What
//! it cannot know is since when the leading controller has seen the present step; it takes the time of the commit, so a
//! controller that took over since may wait for longer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::environments::freshen;
use super::extract::{Path, environment_name};
use super::history;
use super::moment::Moment;
use super::view::{Freshness, FrozenView, with_etag};
use crate::domain::access::Scope;
use crate::domain::freeze::Frozen;
use crate::domain::ids::{EnvironmentName, Revision, VersionLabel};
use crate::domain::judge::Judge;
use crate::domain::judge::arm::{ByArm, Tally};
use crate::domain::judge::metric::ByMetric;
use crate::domain::judge::trouble::Trouble;
use crate::domain::judge::verdict::Verdict;
use crate::domain::rollout::plan::{Plan, Terms};
use crate::domain::rollout::{
    Promotion, Rollout, Status, Timing, Transition, Wait, step as next_step,
};
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;
use crate::evidence::Hearing;
use crate::http::Listener;
use crate::http::problem::{Kind, Problem, ProblemSchema};
use crate::replica::Served;

/// How far back the observation looks.
const OBSERVED: Duration = Duration::from_secs(30 * 60);

/// Where a rollout stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolloutView {
    /// Its environment.
    environment: EnvironmentName,
    /// The environment's revision; also the ETag.
    revision: Revision,
    /// The slot on trial.
    candidate: Slot,
    /// The version on trial; null if the slot holds none any more.
    flow_version: Option<VersionLabel>,
    /// In a step, stopped in one until a person decides, or over.
    status: StatusView,
    /// Why it is paused or was aborted, in words.
    cause: Option<String>,
    /// The step it is in, from 1; null once it is over.
    step: Option<usize>,
    /// How many steps it has.
    steps: usize,
    /// Percent of new calls that go to the candidate now.
    weight: Weight,
    /// What a person has agreed to in this step.
    promotion: Option<Promotion>,
    /// The freeze window that keeps it where it is, if it is under way and one is in force.
    frozen: Option<FrozenView>,
    /// When it started, or was last resumed.
    going_since: Timestamp,
    /// What is planned.
    #[schema(value_type = Terms)]
    plan: Plan,
}

/// How far a rollout has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StatusView {
    /// It is in a step.
    Running,
    /// It has stopped in a step; a person resumes or aborts it.
    Paused,
    /// The candidate became active.
    Finished,
    /// The candidate was given up.
    Aborted,
}

/// A rollout.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreshRollout {
    #[serde(flatten)]
    rollout: RolloutView,
    #[serde(flatten)]
    freshness: Freshness,
}

/// A rollout and the evidence about it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolloutEvidence {
    #[serde(flatten)]
    rollout: RolloutView,
    #[serde(flatten)]
    freshness: Freshness,
    /// The verdict in words and numbers, on one line.
    summary: String,
    /// The verdict.
    verdict: Verdict,
    /// What keeps the rollout in its step; empty if the controller's next look moves it.
    waits: Vec<String>,
    /// Whether nothing but a person moves it on.
    needs_a_person: bool,
    /// Calls assigned up to here have been judged.
    judged_until: Timestamp,
    /// Stored evidence that this binary cannot read, in batches.
    unreadable_batches: usize,
    /// How calls ended lately.
    observation: Observation,
}

/// Rates of the last half hour, for people to look at. Bad calls end early and good ones late, so a version that is new looks worse
/// here than it is. Nothing is decided by this.
#[derive(Debug, Serialize, ToSchema)]
struct Observation {
    /// Minutes that calls are counted over.
    minutes: u64,
    /// What this is, for whoever sees the numbers alone.
    label: &'static str,
    /// Calls that reported how they ended, and how many of them badly, per metric and version.
    #[schema(value_type = ByMetric<ByArm<Tally>>)]
    calls: ByMetric<ByArm<Tally>>,
}

/// Shows where a rollout stands.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/rollout",
    operation_id = "show_rollout",
    tag = "rollouts",
    summary = "The rollout under way, or the last one",
    params(("environment" = EnvironmentName, Path)),
    responses(
        (status = 200, description = "The rollout", body = FreshRollout),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let freshness = freshen(&listener).await?;
    let served = served(&listener, &name)?;
    let rollout = rollout_of(&served)?;
    let frozen = frozen(&listener, &served, listener.clock.now());
    let view = FreshRollout {
        rollout: RolloutView::new(name, &served, rollout, frozen),
        freshness,
    };
    Ok(with_etag(served.revision, Json(view).into_response()))
}

/// Shows the evidence about a rollout.
#[utoipa::path(
    get,
    path = "/v1/environments/{environment}/rollout/evidence",
    operation_id = "show_rollout_evidence",
    tag = "rollouts",
    summary = "What the evidence about the rollout says now, and what the rollout waits for",
    params(("environment" = EnvironmentName, Path)),
    responses(
        (status = 200, description = "The evidence", body = RolloutEvidence),
        (status = "default", description = "A problem", body = ProblemSchema, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn show_evidence(
    State(listener): State<Arc<Listener>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Read, Some(&name))?;
    let name = environment_name(&name)?;
    let freshness = freshen(&listener).await?;
    let served = served(&listener, &name)?;
    let rollout = rollout_of(&served)?;
    let now = listener.clock.now();
    let mut hearing = Hearing::open(name.clone(), rollout);
    let mut trouble = None;
    let in_step = if rollout.end().is_none() {
        let store = listener.replica.store();
        if !rollout.plan.approximate_metrics().is_empty() {
            trouble = store.trouble(&name, rollout.entered()).await?;
        }
        hearing.hear(store, now, listener.clock.plan_time()).await?;
        let entered = Moment::Revision(rollout.entered());
        let entered = history::at(&listener, &name, entered).await?.committed_at;
        Duration::try_from(now.duration_since(entered)).unwrap_or_default()
    } else {
        Duration::ZERO
    };
    let frozen = frozen(&listener, &served, now);
    let timing = Timing {
        now,
        in_step,
        without_data: Duration::ZERO,
    };
    let heard = Heard { hearing, trouble };
    let view = evidence(name, &served, rollout, frozen, &heard, freshness, timing);
    Ok(with_etag(served.revision, Json(view).into_response()))
}

/// What there is to judge by.
struct Heard {
    hearing: Hearing,
    /// What the leading controller has noted to be wrong with analytics.
    trouble: Option<Trouble>,
}

fn evidence(
    name: EnvironmentName,
    served: &Served,
    rollout: &Rollout,
    frozen: Option<Frozen>,
    heard: &Heard,
    freshness: Freshness,
    timing: Timing,
) -> RolloutEvidence {
    let now = timing.now;
    let judge = heard.hearing.judge();
    // One that is over is looked at as it was in the end. A plan has a step.
    let step = rollout
        .current_step()
        .unwrap_or(&rollout.plan.steps[rollout.plan.steps.len() - 1]);
    let verdict = judge.verdict(step, now).in_trouble(heard.trouble);
    let waits = match next_step(rollout, &verdict, &timing).while_frozen(frozen.clone()) {
        Transition::Hold(waits) => waits,
        Transition::Go(_) => Vec::new(),
    };
    let is_for_a_person = |wait: &Wait| matches!(wait, Wait::Person(_) | Wait::Gate);
    RolloutEvidence {
        rollout: RolloutView::new(name, served, rollout, frozen),
        freshness,
        summary: verdict.to_string(),
        verdict,
        needs_a_person: !waits.is_empty() && waits.iter().all(is_for_a_person),
        waits: waits.iter().map(ToString::to_string).collect(),
        judged_until: judge.record().watermark,
        unreadable_batches: heard.hearing.unreadable(),
        observation: Observation::of(judge, now),
    }
}

/// The environment as this process serves it.
fn served(listener: &Listener, name: &EnvironmentName) -> Result<Arc<Served>, Problem> {
    let snapshot = listener.replica.snapshot();
    let snapshot = snapshot.as_ref().ok_or_else(Problem::not_ready)?;
    let served = snapshot.environments.get(name);
    served.cloned().ok_or_else(Problem::no_environment)
}

/// The freeze window in force, if a rollout is under way.
fn frozen(listener: &Listener, served: &Served, now: Timestamp) -> Option<Frozen> {
    served.environment.rollout_under_way()?;
    listener.replica.frozen(served, now)
}

fn rollout_of(served: &Served) -> Result<&Rollout, Problem> {
    let rollout = served.environment.rollout.as_deref();
    rollout.ok_or_else(|| {
        Problem::new(
            Kind::RolloutNotFound,
            "this environment has had no rollout of the version in its candidate slot",
        )
    })
}

impl RolloutView {
    fn new(
        environment: EnvironmentName,
        served: &Served,
        rollout: &Rollout,
        frozen: Option<Frozen>,
    ) -> Self {
        let (status, step, promotion, cause) = match &rollout.status {
            Status::Running { step, promotion } => {
                (StatusView::Running, Some(step), *promotion, None)
            }
            Status::Paused { step, cause, .. } => (
                StatusView::Paused,
                Some(step),
                None,
                Some(cause.to_string()),
            ),
            Status::Finished => (StatusView::Finished, None, None, None),
            Status::Aborted(cause) => (StatusView::Aborted, None, None, Some(cause.to_string())),
        };
        let version = served.environment.slots[rollout.candidate].version.as_ref();
        Self {
            environment,
            revision: served.revision,
            candidate: rollout.candidate,
            flow_version: version.map(|version| version.label.clone()),
            status,
            cause,
            step: step.map(|step| step + 1),
            steps: rollout.plan.steps.len(),
            weight: served.environment.share(rollout.candidate),
            promotion,
            frozen: frozen.map(FrozenView::from),
            going_since: rollout.going_since,
            plan: rollout.plan.clone(),
        }
    }
}

impl Observation {
    fn of(judge: &Judge, now: Timestamp) -> Self {
        Self {
            minutes: OBSERVED.as_secs() / 60,
            label: "an observation; nothing is decided by it",
            calls: ByMetric::from_fn(|metric| judge.observation(metric, OBSERVED, now)),
        }
    }
}
