//! What the evidence amounts to, with its reasons.

mod words;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::arm::{Arm, ByArm, Tally};
use super::metric::Metric;
use super::mixture::EValue;
use super::record::{MetricRecord, Record, Skipped};
use super::trouble::Trouble;
use crate::domain::rollout::limits::{HarmLimit, OnPause, Source};
use crate::domain::rollout::plan::{FastLaneAlarm, Plan, Step};
use crate::domain::slot::Slot;

/// What the evidence amounts to at one moment. Its [`Display`](std::fmt::Display) says it in words and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verdict {
    /// The slot under trial.
    pub candidate: Slot,
    /// Harm, per limited metric.
    pub metrics: Vec<MetricFinding>,
    /// Harm in the first moments of calls; `None` if no metric is watched there.
    pub fast_lane: Option<Finding>,
    /// Whether calls are split as set.
    pub decisions: Finding,
    /// Whether the versions report how calls end equally often.
    pub reports: Finding,
    /// The calls of the present step.
    pub calls: StepCalls,
    /// Whether the data is good enough to promote on.
    pub data: Data,
    /// Evidence that was left out.
    pub skipped: Skipped,
}

/// Evidence, and the lines at which it has consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EvidenceOfHarm)]
pub struct Finding {
    /// The evidence.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = f64)]
    pub e: EValue,
    /// At this line the rollout pauses; `None` if it never does for this.
    #[serde(serialize_with = "as_optional_number")]
    #[schema(value_type = Option<f64>)]
    pub pause_line: Option<EValue>,
    /// At this line the rollout is aborted; `None` if it never is for this.
    #[serde(serialize_with = "as_optional_number")]
    #[schema(value_type = Option<f64>)]
    pub abort_line: Option<EValue>,
}

/// What evidence has consequences for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None: it lies below its lines.
    Sound,
    /// The rollout pauses.
    Pause,
    /// The rollout is aborted.
    Abort,
}

/// What is known about one metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MetricFinding {
    /// The metric.
    pub metric: Metric,
    /// Where it comes from; all but outcomes are approximate.
    pub source: Source,
    /// What a pause for it does to the weight.
    #[serde(skip)]
    pub on_pause: OnPause,
    /// Evidence of harm.
    pub harm: Finding,
    /// Evidence that bad ends which became known too late are the candidate's more often than chance would have it.
    pub late: Finding,
    /// Proof of no harm; `None` if the plan does not ask for it.
    pub certificate: Option<CertificateFinding>,
    /// All calls judged since the rollout began.
    pub seen: ByArm<Tally>,
}

/// How far the proof of no harm has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CertificateFinding {
    /// The evidence.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = f64)]
    pub e: EValue,
    /// The line at which it is proof.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = f64)]
    pub line: EValue,
}

/// The calls of the present step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct StepCalls {
    /// Matured calls of the candidate that tell how they ended, in the metric that has fewest.
    pub usable: u64,
    /// How many the step asks for.
    pub minimum: u64,
    /// Matured randomised calls.
    pub matured: ByArm<u64>,
    /// Those that reported how they ended.
    pub reported: ByArm<u64>,
}

/// Whether the data of the present step is good enough to promote on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// It is.
    Fresh,
    /// No call of this slot has matured in this step.
    NoCalls(Slot),
    /// Too few of this slot's calls reported how they ended.
    Unreported {
        /// The slot.
        slot: Slot,
        /// Its calls that reported.
        reported: u64,
        /// Its matured calls.
        matured: u64,
    },
    /// No interval with calls of both versions has been counted for this metric in this step.
    NoIntervals(Metric),
    /// The newest data is this many minutes old.
    Stale(u64),
    /// The platform's analytics cannot be relied on.
    Analytics(Trouble),
}

impl Verdict {
    /// The same, if the platform's analytics is found to be in `trouble`: whatever the data says, it is not good enough.
    #[must_use]
    pub fn in_trouble(self, trouble: Option<Trouble>) -> Self {
        Self {
            data: trouble.map_or(self.data, Data::Analytics),
            ..self
        }
    }
}

impl Finding {
    /// The consequence it has.
    #[must_use]
    pub fn level(&self) -> Level {
        let reaches = |line: Option<EValue>| line.is_some_and(|line| self.e.reaches(line));
        if reaches(self.abort_line) {
            Level::Abort
        } else if reaches(self.pause_line) {
            Level::Pause
        } else {
            Level::Sound
        }
    }
}

impl CertificateFinding {
    /// Whether it is proof.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        self.e.reaches(self.line)
    }
}

/// Reaches the verdict on `record`.
pub(super) fn reach(
    plan: &Plan,
    candidate: Slot,
    record: &Record,
    step: &Step,
    now: Timestamp,
) -> Verdict {
    let split_line = EValue::line(plan.data.split_alpha_percent);
    let limited = || {
        plan.limits
            .iter()
            .filter_map(|(metric, limit)| Some((metric, limit.as_ref()?)))
    };
    let metrics = limited()
        .filter_map(|(metric, limit)| {
            Some(metric_finding(
                plan,
                metric,
                limit,
                record.metrics[metric].as_ref()?,
            ))
        })
        .collect();
    let pauses = |e: EValue, line: EValue| Finding {
        e,
        pause_line: Some(line),
        abort_line: None,
    };
    Verdict {
        candidate,
        metrics,
        fast_lane: (!plan.fast_metrics().is_empty()).then(|| fast_lane_finding(plan, record)),
        decisions: pauses(
            record.decisions.bet.e(),
            record.decisions.pause_line(split_line, None),
        ),
        reports: pauses(
            record.reports.bet.e(),
            record.reports.pause_line(split_line, None),
        ),
        calls: StepCalls {
            usable: usable_calls(plan, record),
            minimum: u64::from(step.minimum_calls),
            matured: record.step.matured,
            reported: record.step.reported,
        },
        data: data(plan, candidate, record, now),
        skipped: record.skipped,
    }
}

fn metric_finding(
    plan: &Plan,
    metric: Metric,
    limit: &HarmLimit,
    record: &MetricRecord,
) -> MetricFinding {
    let abort_line = limit.abort_line();
    let late_line = record.late.pause_line(limit.pause_line(), None);
    MetricFinding {
        metric,
        source: limit.source,
        on_pause: plan.on_pause_for(metric),
        harm: Finding {
            e: record.harm.bet.e(),
            pause_line: Some(record.harm.pause_line(limit.pause_line(), abort_line)),
            abort_line,
        },
        late: Finding {
            e: record.late.bet.e(),
            pause_line: Some(late_line),
            abort_line: None,
        },
        certificate: record
            .certificate
            .zip(limit.certificate)
            .map(|(bet, terms)| CertificateFinding {
                e: bet.e(),
                line: EValue::line(terms.alpha_percent),
            }),
        seen: record.seen,
    }
}

fn fast_lane_finding(plan: &Plan, record: &Record) -> Finding {
    let (e, line) = (
        record.fast_lane.bet.e(),
        EValue::line(plan.fast_lane.alpha_percent),
    );
    match plan.fast_lane.then {
        FastLaneAlarm::Abort => Finding {
            e,
            pause_line: None,
            abort_line: Some(line),
        },
        FastLaneAlarm::Pause => Finding {
            e,
            pause_line: Some(record.fast_lane.pause_line(line, None)),
            abort_line: None,
        },
    }
}

/// The candidate's calls of this step that tell how they ended, in the source that has fewest of them.
fn usable_calls(plan: &Plan, record: &Record) -> u64 {
    let of_metric = |(metric, limit): (Metric, &Option<HarmLimit>)| match limit.as_ref()?.source {
        Source::Outcomes => Some(record.step.reported.candidate),
        Source::Analytics | Source::AnalyticsPauseOnly => {
            Some(record.metrics[metric].map_or(0, |record| record.step_intervals.candidate))
        }
    };
    plan.limits.iter().filter_map(of_metric).min().unwrap_or(0)
}

fn data(plan: &Plan, candidate: Slot, record: &Record, now: Timestamp) -> Data {
    let problem = |(metric, limit): (Metric, &Option<HarmLimit>)| match limit.as_ref()?.source {
        Source::Outcomes => reported_data_problem(plan, candidate, record, now),
        Source::Analytics | Source::AnalyticsPauseOnly => {
            interval_data_problem(plan, metric, record, now)
        }
    };
    plan.limits.iter().find_map(problem).unwrap_or(Data::Fresh)
}

fn reported_data_problem(
    plan: &Plan,
    candidate: Slot,
    record: &Record,
    now: Timestamp,
) -> Option<Data> {
    let step = &record.step;
    for arm in Arm::BOTH {
        let (slot, matured, reported) =
            (arm.slot(candidate), step.matured[arm], step.reported[arm]);
        if matured == 0 {
            return Some(Data::NoCalls(slot));
        }
        // In whole basis points on both sides, so that exactly the asked share is enough.
        let least = u128::from(matured) * u128::from(plan.data.reported_percent.bps());
        if u128::from(reported) * 10_000 < least {
            return Some(Data::Unreported {
                slot,
                reported,
                matured,
            });
        }
    }
    stale(plan, step.newest, now)
}

fn interval_data_problem(
    plan: &Plan,
    metric: Metric,
    record: &Record,
    now: Timestamp,
) -> Option<Data> {
    let record = record.metrics[metric].as_ref()?;
    if record.step_intervals.iter().any(|(_, calls)| *calls == 0) {
        return Some(Data::NoIntervals(metric));
    }
    stale(plan, record.interval_until, now)
}

fn stale(plan: &Plan, newest: Option<Timestamp>, now: Timestamp) -> Option<Data> {
    let age = Duration::try_from(now.duration_since(newest?)).unwrap_or(Duration::ZERO);
    (age > plan.data.max_stale()).then_some(Data::Stale(age.as_secs() / 60))
}

fn as_number<S: Serializer>(e: &EValue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(e.value())
}

fn as_optional_number<S: Serializer>(e: &Option<EValue>, serializer: S) -> Result<S::Ok, S::Error> {
    e.map(EValue::value).serialize(serializer)
}
