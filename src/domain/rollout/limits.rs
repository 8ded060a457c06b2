//! How much harm a plan accepts, per metric, and how sure it wants to be.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::percent::Percent;
use crate::domain::judge::metric::{ByMetric, Metric};
use crate::domain::judge::mixture::EValue;

/// The harm limits of a plan: the metrics left out are not judged.
pub type Limits = ByMetric<Option<HarmLimit>>;

/// The harm limits of a plan; the metrics left out are not judged.
#[derive(ToSchema)]
#[schema(as = Limits)]
#[expect(
    dead_code,
    reason = "describes `Limits`, which no derived description can"
)]
pub(super) struct LimitsSchema {
    /// Callers who hang up in the flow.
    abandon: Option<HarmLimit>,
    /// Flows that fail, or hang up on the caller.
    error: Option<HarmLimit>,
    /// Calls that go to a person.
    transfer: Option<HarmLimit>,
    /// Calls whose flow does not settle what the caller came for.
    containment: Option<HarmLimit>,
}

/// When a metric stops a rollout.
///
/// The candidate is taken for harmless until there is evidence against it. The two probabilities are those of a *false*
/// alarm over the whole rollout, however often anyone looks; with several metrics they add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HarmLimit {
    /// Probability that a harmless candidate is paused: the pause line is E = 100 / this.
    pub pause_alpha_percent: Percent,
    /// Probability that a harmless candidate is aborted: the abort line is E = 100 / this. At most that of a pause.
    pub abort_alpha_percent: Percent,
    /// Harm only counts beyond this many percentage points more than the active version.
    pub tolerance_points: Percent,
    /// If set, a step also waits for proof that the candidate is not worse by a margin.
    pub certificate: Option<Certificate>,
    /// What a pause for this metric does to the weight; by default `zero` for `error`, else what the plan says.
    pub on_pause: Option<OnPause>,
    /// Where the metric comes from.
    pub source: Source,
    /// Whether calls that end badly at once are also judged at once; by default for `abandon` and `error`. Only where the
    /// source is outcomes.
    pub fast_lane: Option<bool>,
}

/// Proof of no harm as a condition for promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The proof is that the candidate is worse by less than this many percentage points. The smaller, the more calls.
    pub margin_points: Percent,
    /// Probability that a candidate that is worse by that much is certified.
    #[serde(default = "five_percent")]
    pub alpha_percent: Percent,
}

fn five_percent() -> Percent {
    Percent::whole(5)
}

/// What happens to the weight when a rollout pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnPause {
    /// It stays: calls keep coming, and evidence with them.
    #[default]
    Hold,
    /// No new call goes to the candidate until the rollout is resumed.
    Zero,
}

/// Where a metric comes from. Fixed while a rollout lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Outcomes reported per call.
    #[default]
    Outcomes,
    /// Interval counts of the platform's analytics, an approximation: they may pause and abort.
    Analytics,
    /// The same, but they may only pause.
    AnalyticsPauseOnly,
}

impl Source {
    /// Whether the metric comes as counts of intervals.
    #[must_use]
    pub fn is_approximate(self) -> bool {
        self != Self::Outcomes
    }
}

impl Default for HarmLimit {
    fn default() -> Self {
        Self {
            pause_alpha_percent: Percent::whole(5),
            abort_alpha_percent: Percent::whole(1),
            tolerance_points: Percent::ZERO,
            certificate: None,
            on_pause: None,
            source: Source::Outcomes,
            fast_lane: None,
        }
    }
}

impl HarmLimit {
    /// The evidence at which the rollout pauses.
    #[must_use]
    pub fn pause_line(&self) -> EValue {
        EValue::line(self.pause_alpha_percent)
    }

    /// The evidence at which the rollout is aborted; `None` if this source may not.
    #[must_use]
    pub fn abort_line(&self) -> Option<EValue> {
        (self.source != Source::AnalyticsPauseOnly).then(|| EValue::line(self.abort_alpha_percent))
    }

    /// Whether the fast lane watches `metric` under this limit.
    #[must_use]
    pub fn is_in_fast_lane(&self, metric: Metric) -> bool {
        let by_default = matches!(metric, Metric::Abandon | Metric::Error);
        self.source == Source::Outcomes && self.fast_lane.unwrap_or(by_default)
    }
}
