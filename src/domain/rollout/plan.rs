//! The plan of a rollout: plain data, checked once.

mod check;

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use check::InvalidPlan;

use super::limits::{HarmLimit, Limits, OnPause};
use super::percent::Percent;
use crate::domain::judge::metric::{ByMetric, Metric, MetricSet};
use crate::domain::weight::Weight;

/// A plan that was checked. What was checked stays so: it can be read, not changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Terms", into = "Terms")]
#[schema(value_type = Terms)]
pub struct Plan(Terms);

/// What a plan says. Everything has a default; `{}` is the built-in plan `canary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// The ramp, in order; weights rise, and the last is 100.
    pub steps: Vec<Step>,
    /// The metrics that may stop it.
    #[schema(value_type = super::limits::LimitsSchema)]
    pub limits: Limits,
    /// The judge of calls that end badly at once.
    pub fast_lane: FastLane,
    /// When a call counts, and which data is good enough.
    pub data: DataPolicy,
    /// What a pause does to the weight, unless a limit says otherwise.
    pub on_pause: OnPause,
    /// Minutes after which a rollout that has come to no end stops waiting; counted from its start or last resumption.
    pub maximum_minutes: u32,
    /// What it does then.
    pub after_maximum: AfterMaximum,
    /// Percent of calls that the last step still leaves to the active version, so that a comparison goes on to the end; 0,
    /// none, if left out.
    pub hold_back_percent: Percent,
}

/// One step of the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Share of new calls that goes to the candidate, in percent.
    pub weight: Weight,
    /// Minutes that the step lasts at least.
    #[serde(default = "Step::default_bake_minutes")]
    pub bake_minutes: u32,
    /// Matured, reported calls of the candidate that the step takes at least. Nothing is drawn at 100 %, so it is not asked
    /// for there.
    #[serde(default = "Step::default_minimum_calls")]
    pub minimum_calls: u32,
    /// Whether a person has to agree before the step is left.
    #[serde(default)]
    pub gate: Gate,
}

/// Who opens the way out of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The controller, once everything else holds.
    #[default]
    Automatic,
    /// A person; everything else has to hold as well.
    Manual,
}

/// What a rollout does that has come to no end in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterMaximum {
    /// Pause until a person decides.
    #[default]
    Ask,
    /// Give up: every new call goes to the active version.
    Abort,
}

/// A second look at the same calls, for a candidate that is plainly broken: what counts is only whether a call ended badly
/// right after it was assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FastLane {
    /// How soon after assignment, in seconds, an end counts as bad here.
    pub within_seconds: u32,
    /// How much later, in seconds, it may become known.
    pub grace_seconds: u32,
    /// Probability of a false alarm.
    pub alpha_percent: Percent,
    /// What an alarm does.
    pub then: FastLaneAlarm,
    /// What a pause by this lane does to the weight.
    pub on_pause: OnPause,
}

/// What an alarm of the fast lane does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FastLaneAlarm {
    /// Abort.
    #[default]
    Abort,
    /// Pause.
    Pause,
}

/// When a call counts, and which data is good enough to promote on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataPolicy {
    /// Minutes after assignment until a call counts. A bad end within them makes the call bad. Bad calls end early and good
    /// ones late, so counting calls as they end makes any new version look terrible.
    pub horizon_minutes: u32,
    /// How many minutes later a bad end may become known.
    pub grace_minutes: u32,
    /// Percent of the matured calls of each arm that must have reported how they ended.
    pub reported_percent: Percent,
    /// Probability that a sound split is taken for an unsound one.
    pub split_alpha_percent: Percent,
    /// Minutes without good enough data, or since the newest call that counts, after which the data is stale.
    pub max_stale_minutes: u32,
    /// What happens then.
    pub when_stale: WhenStale,
}

/// What stale data leads to. It never promotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenStale {
    /// The step waits.
    #[default]
    Hold,
    /// Every new call goes to the active version.
    Rollback,
}

impl Step {
    /// A step of the default plan.
    #[must_use]
    pub fn at(weight: Weight) -> Self {
        Self {
            weight,
            bake_minutes: Self::default_bake_minutes(),
            minimum_calls: Self::default_minimum_calls(),
            gate: Gate::Automatic,
        }
    }

    /// How long the step lasts at least.
    #[must_use]
    pub fn bake(&self) -> Duration {
        minutes(self.bake_minutes)
    }

    fn default_bake_minutes() -> u32 {
        30
    }

    fn default_minimum_calls() -> u32 {
        50
    }
}

impl Default for Terms {
    fn default() -> Self {
        let ramp = [500, 2_500, 5_000, 10_000];
        Self {
            // The numbers above are all at most 10,000.
            steps: ramp
                .iter()
                .filter_map(|bps| Weight::from_bps(*bps).ok())
                .map(Step::at)
                .collect(),
            limits: ByMetric {
                abandon: Some(HarmLimit::default()),
                ..ByMetric::default()
            },
            fast_lane: FastLane::default(),
            data: DataPolicy::default(),
            on_pause: OnPause::Hold,
            maximum_minutes: 24 * 60,
            after_maximum: AfterMaximum::Ask,
            hold_back_percent: Percent::ZERO,
        }
    }
}

impl Default for FastLane {
    fn default() -> Self {
        Self {
            within_seconds: 60,
            grace_seconds: 30,
            alpha_percent: Percent::whole(1),
            then: FastLaneAlarm::Abort,
            on_pause: OnPause::Zero,
        }
    }
}

impl Default for DataPolicy {
    fn default() -> Self {
        Self {
            horizon_minutes: 10,
            grace_minutes: 1,
            reported_percent: Percent::whole(80),
            split_alpha_percent: Percent::whole(1),
            max_stale_minutes: 60,
            when_stale: WhenStale::Hold,
        }
    }
}

impl FastLane {
    /// How soon after assignment an end counts as bad here.
    #[must_use]
    pub fn within(&self) -> Duration {
        Duration::from_secs(u64::from(self.within_seconds))
    }

    /// How long after assignment this lane takes a call in.
    #[must_use]
    pub fn maturity(&self) -> Duration {
        Duration::from_secs(u64::from(self.within_seconds) + u64::from(self.grace_seconds))
    }
}

impl DataPolicy {
    /// How long after assignment a bad end makes a call bad.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        minutes(self.horizon_minutes)
    }

    /// How long after assignment a call counts: horizon and grace.
    #[must_use]
    pub fn maturity(&self) -> Duration {
        minutes(self.horizon_minutes) + minutes(self.grace_minutes)
    }

    /// How long data may fail to be good enough.
    #[must_use]
    pub fn max_stale(&self) -> Duration {
        minutes(self.max_stale_minutes)
    }
}

impl Plan {
    /// The names of the built-in plans.
    pub const BUILT_IN: [&str; 2] = ["canary", "cutover"];

    /// The built-in plan called `name`: `canary` is the default ramp; `cutover` sends every new call to the candidate at
    /// once and makes it active when calls had time to end. The latter compares nothing, so it stops for nothing either.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "canary" => Some(Self::default()),
            "cutover" => Some(Self(Terms {
                steps: vec![Step {
                    bake_minutes: 0,
                    ..Step::at(Weight::FULL)
                }],
                ..Terms::default()
            })),
            _ => None,
        }
    }

    /// The plan that says `terms`.
    ///
    /// # Errors
    /// The first member that makes no sense, with what was expected of it.
    pub fn new(terms: Terms) -> Result<Self, InvalidPlan> {
        check::check(&terms).map(|()| Self(terms))
    }

    /// The terms, to make another plan of.
    #[must_use]
    pub fn into_terms(self) -> Terms {
        self.0
    }

    /// The weight that step `index` gives the candidate: the plan's, less the hold-back if it is the last. Past the end, the
    /// last step's.
    #[must_use]
    pub fn weight(&self, index: usize) -> Weight {
        let last = self.steps.len() - 1;
        if index < last {
            return self.steps[index].weight;
        }
        Weight::from_bps(Weight::FULL.bps() - self.hold_back_percent.bps()).unwrap_or(Weight::FULL)
    }

    /// What a pause for `metric` does to the weight.
    #[must_use]
    pub fn on_pause_for(&self, metric: Metric) -> OnPause {
        let by_default = if metric == Metric::Error {
            OnPause::Zero
        } else {
            self.on_pause
        };
        self.limits[metric]
            .and_then(|limit| limit.on_pause)
            .unwrap_or(by_default)
    }

    /// The metrics that the fast lane watches.
    #[must_use]
    pub fn fast_metrics(&self) -> MetricSet {
        let limits = self
            .limits
            .iter()
            .filter_map(|(metric, limit)| limit.map(|limit| (metric, limit)));
        limits
            .filter(|(metric, limit)| limit.is_in_fast_lane(*metric))
            .map(|(metric, _)| metric)
            .collect()
    }

    /// The metrics that come as counts of intervals.
    #[must_use]
    pub fn approximate_metrics(&self) -> MetricSet {
        let limits = self.limits.iter();
        limits
            .filter(|(_, limit)| limit.is_some_and(|limit| limit.source.is_approximate()))
            .map(|(metric, _)| metric)
            .collect()
    }

    /// The longest that a rollout goes on without coming to an end.
    #[must_use]
    pub fn maximum(&self) -> Duration {
        minutes(self.maximum_minutes)
    }
}

impl Deref for Plan {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0
    }
}

impl TryFrom<Terms> for Plan {
    type Error = InvalidPlan;

    fn try_from(terms: Terms) -> Result<Self, InvalidPlan> {
        Self::new(terms)
    }
}

impl From<Plan> for Terms {
    fn from(plan: Plan) -> Self {
        plan.0
    }
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(60 * u64::from(minutes))
}
