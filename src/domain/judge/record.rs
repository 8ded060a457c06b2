//! What the judge knows, small and exact enough to be part of every state the controller commits.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arm::{Arm, ByArm, Tally};
use super::evidence::{EvidenceDigest, Exposure, Interval};
use super::metric::ByMetric;
use super::mixture::EValue;
use super::process::{Harm, Harmlessness, Mismatch};
use super::rates::draw_probability;
use crate::domain::ids::Revision;
use crate::domain::rollout::limits::HarmLimit;
use crate::domain::rollout::plan::Plan;
use crate::domain::weight::Weight;

/// By how much more than at a resumption the evidence has to grow until the rollout pauses again.
const RESUME_FACTOR: f64 = 3.0;

/// The judge's whole state between two looks: evidence, counts, how far it has read, and a digest of what it read.
///
/// The same plan, record and further evidence give the same next record, bit for bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The metrics that the plan limits.
    pub metrics: ByMetric<Option<MetricRecord>>,
    /// The fast lane's evidence of harm.
    pub fast_lane: Watched<Harm>,
    /// Evidence that calls are not split as set.
    pub decisions: Watched<Mismatch>,
    /// Evidence that the arms do not report alike.
    pub reports: Watched<Mismatch>,
    /// The present step's calls.
    pub step: StepCounts,
    /// Every randomised call assigned up to here has been judged, or was late.
    pub watermark: Timestamp,
    /// The same for the fast lane.
    pub fast_watermark: Timestamp,
    /// What was left out of the evidence.
    pub skipped: Skipped,
    /// Digest of the calls and intervals judged.
    pub digest: EvidenceDigest,
}

/// Evidence about one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRecord {
    /// Evidence of harm.
    pub harm: Watched<Harm>,
    /// Evidence of its absence, if the plan asks for it.
    pub certificate: Option<Harmlessness>,
    /// Evidence that bad ends which became known too late come from the candidate more often than its share of calls.
    pub late: Watched<Mismatch>,
    /// The calls judged.
    pub seen: ByArm<Tally>,
    /// End of the last interval judged, where the metric comes in intervals.
    pub interval_until: Option<Timestamp>,
    /// Calls in the present step's intervals.
    pub step_intervals: ByArm<u64>,
}

/// A bet and the evidence at which it pauses the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched<P> {
    /// The bet.
    pub bet: P,
    /// The pause line that a person set by resuming in spite of the evidence; 1 if nobody did.
    pub raised_line: EValue,
}

/// Randomised calls that matured since a step was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepCounts {
    /// The revision that entered the step. Calls decided by an older one belong to the step before.
    pub entered: Revision,
    /// All of them.
    pub matured: ByArm<u64>,
    /// Those that reported how they ended.
    pub reported: ByArm<u64>,
    /// When the newest of them was assigned.
    pub newest: Option<Timestamp>,
}

/// Evidence that was received and not used, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Skipped {
    /// Exposures that arrived after their time was judged.
    pub late_exposures: u64,
    /// Conversations whose first decision was not left to chance.
    pub not_randomised: u64,
    /// Outcomes of conversations without a known decision.
    pub without_exposure: u64,
    /// Bad ends that became known, or happened, too late to count; they are in the late evidence.
    pub late_outcomes: u64,
    /// Intervals that overlap an earlier one, count more bad calls than calls, or whose metric is not judged by intervals.
    pub intervals: u64,
}

impl<P> Watched<P> {
    fn new(bet: P) -> Self {
        Self {
            bet,
            raised_line: EValue::ONE,
        }
    }

    /// The pause line in force: the plan's, or the raised one, never above the abort line if there is one.
    #[must_use]
    pub fn pause_line(&self, planned: EValue, abort: Option<EValue>) -> EValue {
        let line = planned.max(self.raised_line);
        abort.map_or(line, |abort| line.min(abort))
    }

    /// Resumes: evidence `e` at or above the pause line becomes the reason for a higher one.
    fn resume(&mut self, e: EValue, planned: EValue) {
        if e.reaches(planned.max(self.raised_line)) {
            self.raised_line = e.times(RESUME_FACTOR);
        }
    }
}

impl MetricRecord {
    fn new(limit: &HarmLimit) -> Self {
        Self {
            harm: Watched::new(Harm::NEW),
            certificate: limit.certificate.map(|_| Harmlessness::NEW),
            late: Watched::new(Mismatch::NEW),
            seen: ByArm::default(),
            interval_until: None,
            step_intervals: ByArm::default(),
        }
    }

    /// Takes in calls that were drawn with `weight`.
    pub(super) fn observe(&mut self, limit: &HarmLimit, weight: Weight, seen: &ByArm<Tally>) {
        self.harm.bet.observe(weight, limit.tolerance_points, seen);
        if let (Some(bet), Some(certificate)) = (&mut self.certificate, limit.certificate) {
            bet.observe(weight, certificate.margin_points, seen);
        }
        for arm in Arm::BOTH {
            self.seen[arm].add(seen[arm]);
        }
    }
}

impl StepCounts {
    /// Counts a matured call, if the step is the one that it was decided in.
    pub(super) fn count(&mut self, exposure: &Exposure, arm: Arm, is_reported: bool) {
        if exposure.revision < self.entered {
            return;
        }
        self.matured[arm] += 1;
        self.reported[arm] += u64::from(is_reported);
        self.newest = self.newest.max(Some(exposure.assigned_at));
    }
}

impl Record {
    /// Before any evidence, for a rollout by `plan` that began with `revision`. Nothing assigned before `now` counts.
    #[must_use]
    pub fn new(plan: &Plan, revision: Revision, now: Timestamp) -> Self {
        Self {
            metrics: ByMetric::from_fn(|metric| {
                plan.limits[metric].as_ref().map(MetricRecord::new)
            }),
            fast_lane: Watched::new(Harm::NEW),
            decisions: Watched::new(Mismatch::NEW),
            reports: Watched::new(Mismatch::NEW),
            step: StepCounts {
                entered: revision,
                ..StepCounts::default()
            },
            watermark: now,
            fast_watermark: now,
            skipped: Skipped::default(),
            digest: EvidenceDigest::default(),
        }
    }

    /// Begins to count the calls of the step that `revision` enters. The evidence goes on.
    pub(in crate::domain) fn enter_step(&mut self, revision: Revision) {
        self.step = StepCounts {
            entered: revision,
            ..StepCounts::default()
        };
        for (_, metric) in self.metrics.iter_mut() {
            if let Some(metric) = metric {
                metric.step_intervals = ByArm::default();
            }
        }
    }

    /// Takes note that a person goes on in spite of the evidence: each line it has reached rises to three times the evidence.
    pub(in crate::domain) fn raise_lines(&mut self, plan: &Plan) {
        let split = EValue::line(plan.data.split_alpha_percent);
        let fast = EValue::line(plan.fast_lane.alpha_percent);
        self.fast_lane.resume(self.fast_lane.bet.e(), fast);
        self.decisions.resume(self.decisions.bet.e(), split);
        self.reports.resume(self.reports.bet.e(), split);
        for (metric, record) in self.metrics.iter_mut() {
            if let (Some(record), Some(limit)) = (record, plan.limits[metric]) {
                record.harm.resume(record.harm.bet.e(), limit.pause_line());
                record.late.resume(record.late.bet.e(), limit.pause_line());
            }
        }
    }

    /// Takes in the counts of an interval; `false` if they cannot be used.
    pub(super) fn take_interval(&mut self, plan: &Plan, interval: &Interval) -> bool {
        let entered = self.step.entered;
        let limit = plan.limits[interval.metric].filter(|limit| limit.source.is_approximate());
        let (Some(limit), Some(record)) = (limit, &mut self.metrics[interval.metric]) else {
            return false;
        };
        let is_absurd = interval.from >= interval.until
            || interval
                .seen
                .iter()
                .any(|(_, tally)| tally.bad > tally.calls);
        if is_absurd
            || record
                .interval_until
                .is_some_and(|until| interval.from < until)
        {
            return false;
        }
        record.interval_until = Some(interval.until);
        if draw_probability(interval.weight).is_some() {
            record.observe(&limit, interval.weight, &interval.seen);
            if interval.revision >= entered {
                for arm in Arm::BOTH {
                    record.step_intervals[arm] += interval.seen[arm].calls;
                }
            }
        }
        true
    }

    /// Takes over what was decided about the rollout elsewhere, as `committed` has it: the step entered and the lines raised.
    pub(super) fn follow(&mut self, committed: &Self) {
        if committed.step.entered > self.step.entered {
            self.enter_step(committed.step.entered);
        }
        self.fast_lane.raised_line = committed.fast_lane.raised_line;
        self.decisions.raised_line = committed.decisions.raised_line;
        self.reports.raised_line = committed.reports.raised_line;
        for (metric, record) in self.metrics.iter_mut() {
            if let (Some(record), Some(committed)) = (record, &committed.metrics[metric]) {
                record.harm.raised_line = committed.harm.raised_line;
                record.late.raised_line = committed.late.raised_line;
            }
        }
    }
}
