//! The judge: whether what callers do is evidence that the candidate harms.
//!
//! It takes in exposures and outcomes in any order ([`Judge::absorb`]), moves on with time ([`Judge::advance`]), and says at
//! any moment what the evidence amounts to ([`Judge::verdict`]). What to do about it is the rollout's business
//! ([`rollout::step`](super::rollout::step)).
//!
//! The claim behind every number: if the candidate is at no moment worse than the active version, the probability that a
//! metric's evidence *ever* reaches `1/α` is at most `α`, whatever the ramp, the time of day and the number of looks. Three
//! rules carry it, and each was paid for in simulation:
//! - calls are judged in the order of their **assignment**, once the horizon has passed, never in the order they end;
//! - the weight of a call is the one it was **drawn** with, never the one in force by the journal;
//! - a call is judged **once**: its first decision counts, and what arrives after its time never enters the evidence.
//!
//! State is in two parts: the [`Record`], which is committed with the rollout and from which a judge goes on
//! ([`Judge::resume`]), and the conversations not yet judged, which are read again from the stored evidence.

pub mod arm;
pub mod evidence;
mod memory;
pub mod metric;
pub mod mixture;
pub mod planning;
pub mod process;
pub mod rates;
pub mod record;
pub mod scale;
pub mod trouble;
pub mod verdict;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use self::arm::{Arm, ByArm, Tally};
use self::evidence::{ConversationHash, Evidence, Exposure, Interval, Outcome};
use self::memory::{Arrival, Memory, Stage};
use self::metric::{Metric, MetricSet};
use self::process::{HARM_ODDS, SPLIT_ODDS};
pub use self::record::Record;
pub use self::verdict::Verdict;
use super::rollout::Rollout;
use super::rollout::limits::Source;
use super::rollout::percent::Percent;
use super::rollout::plan::{Plan, Step};
use super::slot::Slot;

/// How long a judged conversation is remembered, so that a late bad end finds its arm and a repeat is recognised.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(1);

/// A judge at work on one rollout.
#[derive(Debug, Clone)]
pub struct Judge {
    plan: Plan,
    candidate: Slot,
    record: Record,
    memory: Memory,
}

impl Judge {
    /// The judge of `rollout`, going on from its record. What was stored before is read again with [`Self::recall`].
    #[must_use]
    pub fn resume(rollout: &Rollout) -> Self {
        Self {
            plan: rollout.plan.clone(),
            candidate: rollout.candidate,
            record: rollout.record.clone(),
            memory: Memory::default(),
        }
    }

    /// What the judge knows; committed with whatever the rollout does next.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Takes over what was committed about the rollout since: the step it is in, and pause lines that a person raised.
    pub fn follow(&mut self, rollout: &Rollout) {
        self.record.follow(&rollout.record);
    }

    /// Reads again, after a restart, evidence stored before it. What the record has judged already is only recognised: it
    /// moves no number.
    ///
    /// Exposures have to come no later than the outcomes that belong to them.
    pub fn recall(&mut self, evidence: &Evidence) {
        for exposure in &evidence.exposures {
            if self.memory.expose(exposure, self.record.watermark) == Arrival::Late
                && let Some(conversation) = self.memory.get_mut(exposure.conversation)
            {
                conversation.stage = Stage::Judged;
            }
        }
        for outcome in &evidence.outcomes {
            if let Some(conversation) = self.memory.report(outcome, self.record.watermark)
                && conversation.stage == Stage::Judged
            {
                conversation.counted = conversation.bad();
            }
        }
        self.judge_intervals(&evidence.intervals, Repeats::Expected);
    }

    /// Takes in new evidence, in any order and with any repeats.
    pub fn absorb(&mut self, evidence: &Evidence) {
        for exposure in &evidence.exposures {
            let arrival = self.memory.expose(exposure, self.record.watermark);
            if arrival == Arrival::Late && is_drawn(exposure) {
                self.record.skipped.late_exposures += 1;
            }
        }
        for outcome in &evidence.outcomes {
            self.absorb_outcome(outcome);
        }
        self.judge_intervals(&evidence.intervals, Repeats::Counted);
    }

    /// Judges every call that has matured at `now`.
    ///
    /// Everything stored so far has to be absorbed before: a report that is not is taken for missing. Time that goes
    /// backwards changes nothing; time that jumps ahead makes reports late, which can cost evidence and can never invent it.
    pub fn advance(&mut self, now: Timestamp) {
        self.judge_early(before(now, self.plan.fast_lane.maturity()));
        self.judge_matured(before(now, self.plan.data.maturity()));
        self.memory
            .forget_before(before(self.record.watermark, REMEMBERED));
    }

    /// What the evidence amounts to at `now`, for a rollout that is in `step`.
    #[must_use]
    pub fn verdict(&self, step: &Step, now: Timestamp) -> Verdict {
        verdict::reach(&self.plan, self.candidate, &self.record, step, now)
    }

    /// The end of the last interval judged, in the metric that is furthest behind; the time up to which calls are judged before
    /// the first. `None` if no metric comes in intervals.
    #[must_use]
    pub fn intervals_judged_until(&self) -> Option<Timestamp> {
        let metrics = self.plan.approximate_metrics();
        let until = metrics.iter().map(|metric| {
            let record = self.record.metrics[metric];
            let until = record.and_then(|record| record.interval_until);
            until.unwrap_or(self.record.watermark)
        });
        until.min()
    }

    /// The calls that were first decided from `from` on and before `until`, as far as they are remembered: an hour beyond
    /// what is judged.
    #[must_use]
    pub fn decided(&self, from: Timestamp, until: Timestamp) -> ByArm<u64> {
        let mut decided = ByArm::<u64>::default();
        for conversation in self.memory.since(before(from, Duration::from_nanos(1))) {
            if let Some(exposure) = conversation
                .exposure
                .filter(|exposure| exposure.assigned_at < until)
            {
                decided[Arm::of(exposure.slot, self.candidate)] += 1;
            }
        }
        decided
    }

    /// How the two versions' calls of the last `window` that were reported ended, matured or not. For people to look at: bad
    /// calls end early, so a version that is new looks worse here than it is, and nothing is decided by it.
    #[must_use]
    pub fn observation(&self, metric: Metric, window: Duration, now: Timestamp) -> ByArm<Tally> {
        let mut seen = ByArm::<Tally>::default();
        for conversation in self.memory.since(before(now, window)) {
            if let Some(exposure) = conversation.exposure.filter(|_| conversation.is_reported) {
                let arm = Arm::of(exposure.slot, self.candidate);
                seen[arm].add(Tally::one(conversation.first_bad[metric].is_some()));
            }
        }
        seen
    }

    fn absorb_outcome(&mut self, outcome: &Outcome) {
        let Some(conversation) = self.memory.report(outcome, self.record.watermark) else {
            self.record.skipped.without_exposure += 1;
            return;
        };
        if conversation.stage != Stage::Judged {
            return;
        }
        let news = outcome.bad.without(conversation.counted);
        conversation.counted = conversation.counted.and(news);
        if let Some(exposure) = conversation.exposure.filter(is_drawn) {
            self.count_late(&exposure, news);
        }
    }

    /// Takes calls into the fast lane and the check of the split, both of which need not wait for the horizon.
    fn judge_early(&mut self, until: Timestamp) {
        let watched = self.plan.fast_metrics();
        for key in self.memory.between(self.record.fast_watermark, until) {
            let Some(conversation) = self.memory.get_mut(key) else {
                continue;
            };
            let Some(exposure) = conversation.exposure.filter(is_drawn) else {
                continue;
            };
            if conversation.stage == Stage::Late {
                continue;
            }
            let arm = Arm::of(exposure.slot, self.candidate);
            self.record
                .decisions
                .bet
                .observe(&SPLIT_ODDS, exposure.weight, arm);
            if !watched.is_empty() {
                let bad = conversation
                    .bad_until(after(exposure.assigned_at, self.plan.fast_lane.within()));
                let is_bad = watched.iter().any(|metric| bad.contains(metric));
                self.record.fast_lane.bet.observe(
                    exposure.weight,
                    Percent::ZERO,
                    &one_call(arm, is_bad),
                );
            }
        }
        self.record.fast_watermark = self.record.fast_watermark.max(until);
    }

    fn judge_matured(&mut self, until: Timestamp) {
        for key in self.memory.between(self.record.watermark, until) {
            self.judge_conversation(key);
        }
        self.record.watermark = self.record.watermark.max(until);
    }

    fn judge_conversation(&mut self, key: ConversationHash) {
        let Some(conversation) = self
            .memory
            .get_mut(key)
            .filter(|found| found.stage == Stage::Waiting)
        else {
            return;
        };
        let Some(exposure) = conversation.exposure else {
            self.record.skipped.without_exposure += 1;
            return;
        };
        conversation.stage = Stage::Judged;
        let is_reported = conversation.is_reported;
        let bad = conversation.bad_until(after(exposure.assigned_at, self.plan.data.horizon()));
        conversation.counted = conversation.bad();
        let too_late = conversation.counted.without(bad);
        if !is_drawn(&exposure) {
            self.record.skipped.not_randomised += 1;
            return;
        }
        self.judge_call(&exposure, is_reported, bad);
        self.count_late(&exposure, too_late);
    }

    fn judge_call(&mut self, exposure: &Exposure, is_reported: bool, bad: MetricSet) {
        let arm = Arm::of(exposure.slot, self.candidate);
        self.record.digest.add_call(exposure, is_reported, bad);
        if is_reported {
            self.record
                .reports
                .bet
                .observe(&SPLIT_ODDS, exposure.weight, arm);
        }
        self.record.step.count(exposure, arm, is_reported);
        for (metric, limit) in self.plan.limits.iter() {
            if let (Some(limit), Some(record)) = (limit, &mut self.record.metrics[metric])
                && limit.source == Source::Outcomes
            {
                record.observe(limit, exposure.weight, &one_call(arm, bad.contains(metric)));
            }
        }
    }

    /// Counts bad ends that are no evidence of harm any more, and asks instead whose they are: if both versions were alike,
    /// the candidate would have its share of them.
    fn count_late(&mut self, exposure: &Exposure, bad: MetricSet) {
        let arm = Arm::of(exposure.slot, self.candidate);
        for metric in bad.iter() {
            self.record.skipped.late_outcomes += 1;
            if let Some(record) = &mut self.record.metrics[metric] {
                record.late.bet.observe(&HARM_ODDS, exposure.weight, arm);
            }
        }
    }

    fn judge_intervals(&mut self, intervals: &[Interval], repeats: Repeats) {
        for interval in intervals {
            if self.record.take_interval(&self.plan, interval) {
                self.record.digest.add_interval(interval);
            } else if repeats == Repeats::Counted {
                self.record.skipped.intervals += 1;
            }
        }
    }
}

/// Whether evidence that was taken in already is worth counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    Counted,
    Expected,
}

/// Whether chance decided between the two versions.
fn is_drawn(exposure: &Exposure) -> bool {
    exposure.is_randomised && rates::draw_probability(exposure.weight).is_some()
}

fn one_call(arm: Arm, is_bad: bool) -> ByArm<Tally> {
    let mut seen = ByArm::default();
    seen[arm] = Tally::one(is_bad);
    seen
}

/// `duration` before `time`, or the beginning of time.
fn before(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_sub(duration).unwrap_or(Timestamp::MIN)
}

/// `duration` after `time`, or the end of time.
fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}
